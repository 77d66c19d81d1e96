//! Records that are prepared, and what has become of them: what `ringmain follow` does.

use super::super::super::board::{Board, Fault, state};
use super::super::super::common::body;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Streamed;
use super::super::fates::{noted, place_of};
use super::super::ground::{ASKED_MS, Ground, Log, Maker, SEGMENT};
use super::super::ledger::{SMALL, TRACED, key, putting};
use super::writing::{crossed, up_to};
use super::{Image, PLAIN, may_be, opened, some};
use ringmain::{Clock, Durability, Error, Fate, Put, Region, Stream, StreamEntry};
use std::sync::atomic::Ordering::SeqCst;

/// By key: three records of the first shard, and one of the second.
const KEYS: &[u32] = &[0, 1, 2, 0];

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream prepare, committed",
        operate: commits,
        does: |ground, stream| fate_at_tail(ground, stream) == Ok(Fate::Record),
        ..PLAIN
    },
    Streamed {
        name: "Stream prepare, sealing a segment",
        prepare: |maker| up_to(maker, SEGMENT / 64 - 2),
        operate: commits,
        does: |ground, stream| crossed(ground, stream, SEGMENT / 64) == 1,
        ..PLAIN
    },
    Streamed {
        name: "Stream prepare, dropped",
        operate: |stage| prepare(stage, &opened(stage), false),
        does: |ground, stream| fate_at_tail(ground, stream) == Ok(Fate::GivenUp),
        ..PLAIN
    },
    Streamed {
        name: "Stream fate, of what a dead one had prepared",
        prepare: |maker| dies(maker, |_, _| true),
        operate: |stage| asks(stage, Fate::GivenUp),
        ..PLAIN
    },
    Streamed {
        name: "Stream fate, of what a dead one had committed",
        prepare: |maker| dies(maker, |stream, put| stream.fate(put) == Ok(Fate::Record)),
        operate: |stage| asks(stage, Fate::Record),
        ..PLAIN
    },
];

/// What became of what was claimed where the tail of the first shard was.
fn fate_at_tail(ground: &Ground, stream: &Log) -> Result<Fate, Error> {
    stream.fate(Put {
        shard: ground.first.shard,
        sequence: ground.first.tail,
    })
}

/// Somebody prepares records and dies: when it has been told where the first one will be, and the
/// stream is like this.
fn dies(maker: &Maker<'_>, like: fn(&Log, Put) -> bool) -> Option<Image> {
    some(maker);
    let board = maker.board;
    let is_told = |stream: &Log| {
        let is_placed = board.known(TRACED).has(state::PLACED);
        is_placed && like(stream, place_of(board, TRACED))
    };
    let [_, then] = maker.dies(commits, &is_told);
    for seed in TRACED..TRACED + KEYS.len() as u64 {
        board.known(seed).add(state::HELD);
    }
    Some(then)
}

fn commits(stage: &Stage<'_>) {
    prepare(stage, &opened(stage), true);
}

/// The same by a handle that waits for the disk.
pub fn commits_durably(stage: &Stage<'_>) {
    let stream = opened(stage);
    let durable = stream.at(Durability::BeforeOk).expect("a mirror");
    prepare(stage, &durable, true);
}

fn prepare<R: Region>(stage: &Stage<'_>, stream: &Stream<R, impl Clock>, commits: bool) {
    let board: &Board = stage.board;
    let keys: Vec<_> = KEYS.iter().map(|number| key(*number)).collect();
    let seeds = TRACED..TRACED + KEYS.len() as u64;
    let data: Vec<_> = seeds.clone().map(|seed| body(seed, SMALL)).collect();
    let entries = keys.iter().zip(&data);
    let entries: Vec<_> = entries
        .map(|(key, data)| StreamEntry::new(key, data))
        .collect();
    for (seed, number) in seeds.clone().zip(KEYS) {
        putting(board, (seed, *number), SMALL);
        let entry = board.known(seed);
        entry.add(state::PREPARED);
        if !commits {
            entry.add(state::REFUSED); // it must not come
        }
        // Those of one shard are there together.
        entry.holder.store(1 + number % 2, SeqCst);
    }
    begin();
    let done = stream.prepare(&entries, |n, outcome| {
        noted(board, TRACED + n as u64, &outcome);
    });
    let done = done.and_then(|prepared| match commits {
        true => prepared.commit(),
        false => {
            drop(prepared);
            Ok(())
        }
    });
    if commits && done.is_ok() {
        let placed = |seed: &u64| board.known(*seed).has(state::PLACED);
        let placed = seeds.clone().filter(placed);
        let durable = match stream.durability() {
            Durability::BeforeOk => state::DURABLE,
            _ => 0,
        };
        placed.for_each(|seed| board.known(seed).add(state::SENT | durable));
    }
    end();
    if let Err(error) = done {
        may_be(stage, TRACED, &error);
    }
    for seed in seeds {
        let entry = board.known(seed);
        if !entry.has(state::PLACED) {
            // Refused, or left out behind one that was.
            entry.add(state::REFUSED);
            may_be(stage, seed, &Error::Full);
        }
    }
}

/// Asks what became of the first record that the dead one had prepared: the traced one relies on
/// what it is told.
fn asks(stage: &Stage<'_>, expected: Fate) {
    let stream = opened(stage);
    let put = place_of(stage.board, TRACED);
    stage.board.pass_ms(ASKED_MS);
    begin();
    let fate = stream.fate(put);
    end();
    let entry = stage.board.known(TRACED);
    match fate {
        Ok(Fate::Record) if expected == Fate::Record => entry.add(state::SENT),
        Ok(Fate::GivenUp) if expected == Fate::GivenUp => entry.add(state::REFUSED),
        // The rings were filled meanwhile.
        Ok(Fate::Unknown) if stage.board.alone.load(SeqCst) == 0 => {}
        Ok(_) => {
            let what = "it is told of another fate";
            stage.board.fault(Fault::Damaged, TRACED, what);
        }
        Err(error) => may_be(stage, TRACED, &error),
    }
}
