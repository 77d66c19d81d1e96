//! Putting records.

use super::super::super::board::{Board, Time, state};
use super::super::super::common::body;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Streamed;
use super::super::ground::{Ground, Log, Maker, SEGMENT, SEGMENTS, first, granule};
use super::super::ledger::{LARGE, SMALL, TRACED, key, putting, told};
use super::sharding::split_first;
use super::{PLAIN, may_be, opened, some};
use ringmain::{
    Clock, Durability, Mapped, ProducerOptions, Put, Region, ShardId, ShardWriter, Stream,
    StreamEntry, StreamProducer,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// Granules of a block of the tail's hint.
const BLOCK: u64 = 64;

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream put, into a segment",
        operate: |stage| put(stage, 0, SMALL),
        does: |ground, stream| crossed(ground, stream, BLOCK) == 0,
        ..PLAIN
    },
    Streamed {
        name: "Stream put, moving the tail's hint",
        prepare: |maker| up_to(maker, BLOCK - 10),
        operate: |stage| put(stage, 0, LARGE),
        does: |ground, stream| {
            let segment = SEGMENT / 64;
            crossed(ground, stream, BLOCK) == 1 && crossed(ground, stream, segment) == 0
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream put, sealing a segment",
        prepare: |maker| up_to(maker, SEGMENT / 64 - 10),
        operate: |stage| put(stage, 0, LARGE),
        does: |ground, stream| crossed(ground, stream, SEGMENT / 64) == 1,
        ..PLAIN
    },
    Streamed {
        name: "Stream put, over records that are old",
        prepare: |maker| {
            maker.fill();
            maker.ages();
            None
        },
        operate: |stage| put(stage, 0, LARGE),
        does: gives_up,
        given_up: SEGMENTS,
        ..PLAIN
    },
    Streamed {
        name: "Stream put, evicting",
        evicts: true,
        prepare: |maker| {
            maker.fill();
            None
        },
        operate: |stage| put(stage, 0, LARGE),
        does: gives_up,
        given_up: 1,
        ..PLAIN
    },
    Streamed {
        name: "Stream put_batch, into one shard",
        operate: |stage| put_batch(stage, &[0, 2, 0, 0]),
        ..PLAIN
    },
    Streamed {
        name: "Stream put_batch, into two shards",
        operate: |stage| put_batch(stage, &[0, 1, 3, 0]),
        ..PLAIN
    },
    Streamed {
        name: "Stream put_batch, sealing a segment",
        prepare: |maker| up_to(maker, SEGMENT / 64 - 3),
        operate: |stage| put_batch(stage, &[0, 2, 0, 0]),
        does: |ground, stream| crossed(ground, stream, SEGMENT / 64) == 1,
        ..PLAIN
    },
    Streamed {
        name: "Stream producer, a batch of each shard",
        operate: |stage| produce(stage, &[0, 1, 2, 0], ProducerOptions::new()),
        ..PLAIN
    },
    Streamed {
        name: "Stream producer, aggregates",
        operate: |stage| {
            let options = ProducerOptions::new().aggregate(400);
            produce(stage, &[0, 1, 2, 3, 0], options);
        },
        does: |_, stream| {
            let stats = |n| stream.stat(ShardId::from_number(n));
            let granules = [0, 1].map(|n| stats(n).map_or(0, |stat| stat.bytes / 64));
            // Four records each before, and then three or two in two granules.
            granules == [6, 6]
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream claim and commit",
        operate: |stage| claim(stage, true),
        ..PLAIN
    },
    Streamed {
        name: "Stream claim, dropped",
        operate: |stage| claim(stage, false),
        ..PLAIN
    },
    Streamed {
        name: "Stream writer put, reserving",
        operate: |stage| reserved(stage, 0),
        reserves: true,
        ..PLAIN
    },
    Streamed {
        name: "Stream writer put, going on",
        operate: |stage| reserved(stage, 1),
        reserves: true,
        ..PLAIN
    },
    Streamed {
        name: "Stream writer put, over a segment's end",
        prepare: |maker| up_to(maker, SEGMENT / 64 - 40),
        operate: |stage| reserved(stage, 1),
        does: |ground, stream| crossed(ground, stream, SEGMENT / 64) == 1,
        reserves: true,
        ..PLAIN
    },
    Streamed {
        name: "Stream put, a shard that a dead one closed",
        prepare: |maker| {
            some(maker);
            let closed = |stream: &Log| {
                let id = ShardId::from_number(0);
                stream.shard_info(id).is_ok_and(|info| !info.is_open())
            };
            let [before, _] = maker.dies(split_first, &closed);
            Some(before)
        },
        operate: |stage| put(stage, 0, SMALL),
        does: |_, stream| stream.shards().count() == 4,
        ..PLAIN
    },
];

/// The first shard has records up to so many granules behind its begin.
pub fn up_to(maker: &Maker<'_>, granules: u64) -> Option<super::Image> {
    some(maker);
    while first(&maker.stream).bytes / 64 < granules {
        maker.put(0, SMALL);
    }
    None
}

/// How many borders of so many granules the tail of the first shard has come over.
pub fn crossed(ground: &Ground, stream: &Log, granules: u64) -> u64 {
    let tails = [ground.first.tail, first(stream).tail];
    let [before, after] = tails.map(|tail| granule(tail.as_u64()) / granules);
    after - before
}

/// Whether the oldest segment was given up for it.
pub fn gives_up(ground: &Ground, stream: &Log) -> bool {
    let full = ground.first.bytes > (SEGMENTS - 1) * SEGMENT;
    full && first(stream).oldest > ground.first.oldest
}

pub fn put(stage: &Stage<'_>, number: u32, len: usize) {
    let stream = opened(stage);
    let (key, data) = (key(number), body(TRACED, len));
    putting(stage.board, (TRACED, number), len);
    begin();
    let put = stream.put(&key, &data);
    told(stage.board, TRACED, &put);
    end();
    says(stage, TRACED, &put);
}

/// Puts by a writer that has put so many records before, and gives the shard back.
fn reserved(stage: &Stage<'_>, before: u64) {
    let stream = opened(stage);
    let key = key(0);
    let mut writer = stream.writer(ShardId::from_number(0)).expect("the shard");
    let last = TRACED + before;
    let put = |writer: &mut ShardWriter<'_, Arc<Mapped>, Time>, seed: u64, data: &[u8]| {
        putting(stage.board, (seed, 0), LARGE);
        let put = writer.put(&key, data);
        told(stage.board, seed, &put);
        put
    };
    for seed in TRACED..last {
        let put = put(&mut writer, seed, &body(seed, LARGE));
        says(stage, seed, &put);
    }
    let data = body(last, LARGE);
    begin();
    let put = put(&mut writer, last, &data);
    drop(writer);
    end();
    says(stage, last, &put);
}

pub fn says(stage: &Stage<'_>, seed: u64, put: &Result<Put, ringmain::Error>) {
    if let Err(error) = put {
        may_be(stage, seed, error);
    }
}

fn put_batch(stage: &Stage<'_>, numbers: &[u32]) {
    put_batch_in(stage, &opened(stage), numbers);
}

pub fn put_batch_in<R: Region>(stage: &Stage<'_>, stream: &Stream<R, impl Clock>, numbers: &[u32]) {
    let board: &Board = stage.board;
    let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
    let seeds = TRACED..TRACED + numbers.len() as u64;
    let data: Vec<_> = seeds.clone().map(|seed| body(seed, SMALL)).collect();
    let entries = keys.iter().zip(&data);
    let entries: Vec<_> = entries
        .map(|(key, data)| StreamEntry::new(key, data))
        .collect();
    for (seed, number) in seeds.clone().zip(numbers) {
        putting(board, (seed, *number), SMALL);
        // Those of one shard are there together.
        board.known(seed).holder.store(1 + number % 2, SeqCst);
    }
    let level = stream.durability();
    begin();
    let done = stream.put_batch(&entries, |place, outcome| {
        let seed = TRACED + place as u64;
        told(board, seed, &outcome);
        if outcome.is_ok() && level == Durability::BeforeOk {
            board.known(seed).add(state::DURABLE);
        }
    });
    end();
    if let Err(error) = done {
        may_be(stage, TRACED, &error);
    }
    for seed in seeds {
        if board.known(seed).has(state::REFUSED) {
            may_be(stage, seed, &ringmain::Error::Full);
        }
    }
}

fn produce(stage: &Stage<'_>, numbers: &[u32], options: ProducerOptions) {
    let stream = opened(stage);
    let board: &Board = stage.board;
    let options = options.records(16).bytes(4096);
    let mut producer = StreamProducer::new(&stream, options).expect("a producer");
    for (seed, number) in (TRACED..).zip(numbers) {
        putting(board, (seed, *number), SMALL);
        // Those of one shard are there together.
        board.known(seed).holder.store(1 + number % 2, SeqCst);
        producer
            .put(&key(*number), &body(seed, SMALL))
            .expect("room for it");
    }
    begin();
    let mut left = producer.flush();
    while let Some(outcome) = producer.next_outcome() {
        told(board, TRACED + outcome.token.number(), &outcome.result);
    }
    end();
    // What was refused, since others were in the way, is tried again at the end.
    producer.close(|outcome| {
        let seed = TRACED + outcome.token.number();
        told(board, seed, &outcome.result);
        if let Err(error) = outcome.result {
            left = Err(error);
        }
    });
    if let Err(error) = left {
        may_be(stage, TRACED, &error);
    }
}

fn claim(stage: &Stage<'_>, commits: bool) {
    let stream = opened(stage);
    let (key, data) = (key(0), body(TRACED, LARGE));
    putting(stage.board, (TRACED, 0), LARGE);
    if !commits {
        stage.board.known(TRACED).add(state::REFUSED); // it must not come
    }
    begin();
    let claimed = stream.claim(&key, LARGE);
    let put = claimed.and_then(|mut claim| {
        claim.copy_from_slice(&data);
        match commits {
            true => claim.commit().map(Some),
            false => Ok(None),
        }
    });
    if let Ok(Some(put)) = put {
        told(stage.board, TRACED, &Ok(put));
    }
    end();
    if let Err(error) = put {
        stage.board.known(TRACED).add(state::REFUSED);
        may_be(stage, TRACED, &error);
    }
}
