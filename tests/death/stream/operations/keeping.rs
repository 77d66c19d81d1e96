//! Records that are on the disk when their put returns: the mirror, its lock, its pin and its
//! ledgers. Stopped, they are on a stream with an interval, so that others need not wait for them.

use super::super::super::board::state;
use super::super::super::common::body;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::ground::SEGMENTS;
use super::super::ledger::{LARGE, SMALL, TRACED, key, put as put_in_memory, putting, told};
use super::super::{Kept, Streamed};
use super::preparing::commits_durably;
use super::sharding::{numbers, split_in};
use super::writing::{gives_up, put_batch_in, says};
use super::{PLAIN, may_be, opened};
use ringmain::{Durability, ShardId};

const KEPT: Streamed = Streamed {
    kept: Kept::BeforeOk,
    ..PLAIN
};

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream put, before Ok",
        operate: |stage| put(stage, Durability::BeforeOk, SMALL),
        does: |_, stream| {
            stream
                .stat(ZERO)
                .is_ok_and(|stat| stat.durable == Some(stat.tail))
        },
        ..KEPT
    },
    Streamed {
        name: "Stream put_batch, before Ok",
        operate: |stage| {
            let stream = opened(stage);
            let durable = stream.at(Durability::BeforeOk).expect("a mirror");
            put_batch_in(stage, &durable, &[0, 1, 3, 0]);
        },
        ..KEPT
    },
    Streamed {
        name: "Stream put, before Ok, evicting",
        evicts: true,
        prepare: |maker| {
            maker.fill();
            None
        },
        operate: |stage| put(stage, Durability::BeforeOk, LARGE),
        does: gives_up,
        given_up: SEGMENTS,
        ..KEPT
    },
    Streamed {
        name: "Stream prepare, before Ok",
        operate: commits_durably,
        does: |_, stream| {
            stream
                .stat(ZERO)
                .is_ok_and(|stat| stat.durable == Some(stat.tail))
        },
        ..KEPT
    },
    Streamed {
        name: "Stream sync",
        operate: sync,
        does: |_, stream| {
            stream
                .stat(ZERO)
                .is_ok_and(|stat| stat.durable == Some(stat.tail))
        },
        ..KEPT
    },
    Streamed {
        name: "Stream split, before Ok",
        operate: |stage| {
            let stream = opened(stage);
            let durable = stream.at(Durability::BeforeOk).expect("a mirror");
            split_in(stage, &durable, 0, 1 << 126);
        },
        does: |_, stream| numbers(stream) == [0, 1, 2, 3],
        ..KEPT
    },
    Streamed {
        name: "Stream put, with an interval",
        operate: |stage| put(stage, EVERY, SMALL),
        does: |_, stream| {
            stream
                .stat(ZERO)
                .is_ok_and(|stat| stat.durable < Some(stat.tail))
        },
        kept: Kept::Timed,
        ..KEPT
    },
];

const ZERO: ShardId = ShardId::from_number(0);
/// As the ground has it.
const EVERY: Durability = super::super::ground::EVERY;

fn put(stage: &Stage<'_>, level: Durability, len: usize) {
    let stream = opened(stage);
    let stream = stream.at(level).expect("a mirror");
    let (key, data) = (key(0), body(TRACED, len));
    putting(stage.board, (TRACED, 0), len);
    begin();
    let put = stream.put(&key, &data);
    told(stage.board, TRACED, &put);
    if put.is_ok() && level == Durability::BeforeOk {
        stage.board.known(TRACED).add(state::DURABLE);
    }
    end();
    says(stage, TRACED, &put);
}

/// Two records of two shards are on the disk when a commit of them has returned.
fn sync(stage: &Stage<'_>) {
    let stream = opened(stage);
    let memory = stream.at(Durability::Process).expect("a mirror");
    let seeds = TRACED..TRACED + 2;
    for (seed, key) in seeds.clone().zip(0..) {
        put_in_memory(stage.board, &memory, (seed, key), SMALL).expect("room");
    }
    begin();
    let synced = stream.sync();
    if synced.is_ok() {
        seeds.for_each(|seed| stage.board.known(seed).add(state::DURABLE));
    }
    end();
    if let Err(error) = synced {
        may_be(stage, TRACED, &error);
    }
}
