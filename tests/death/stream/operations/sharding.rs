//! Splits and merges.

use super::super::super::board::Fault;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Streamed;
use super::super::ground::{Log, Maker};
use super::super::ledger::SMALL;
use super::{PLAIN, may_be, opened, some};
use ringmain::{Clock, Error, Region, ShardId, Stream};

/// In the midst of the hashes of the first shard.
const POINT: u128 = 1 << 126;
/// In the midst of those of the second one.
const HIGH_POINT: u128 = 3 << 126;

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream split",
        operate: split_first,
        does: |_, stream| numbers(stream) == [0, 1, 2, 3],
        ..PLAIN
    },
    Streamed {
        name: "Stream merge",
        operate: |stage| merge(stage, 0, 1),
        does: |_, stream| numbers(stream) == [0, 1, 2],
        ..PLAIN
    },
    Streamed {
        name: "Stream split, in old shards' places",
        prepare: |maker| {
            some(maker);
            let [zero, one] = [0, 1].map(ShardId::from_number);
            let both = maker.stream.merge(zero, one).expect("merged");
            let [low, high] = maker.stream.split(both, 1 << 127).expect("split");
            some(maker);
            maker.ages();
            assert_eq!([low.number(), high.number()], [3, 4]);
            for n in 0..8 {
                maker.put(n % 4, SMALL);
            }
            None
        },
        operate: |stage| split(stage, 3, POINT),
        does: |_, stream| numbers(stream) == [2, 3, 4, 6, 7],
        ..PLAIN
    },
    Streamed {
        name: "Stream split, completing a dead one's",
        prepare: |maker| Some(amid_a_split(maker)),
        operate: |stage| split(stage, 1, HIGH_POINT),
        does: |_, stream| numbers(stream) == [0, 1, 2, 3, 4, 5],
        ..PLAIN
    },
];

/// The numbers of the shards that are there.
pub fn numbers(stream: &Log) -> Vec<u32> {
    let mut numbers: Vec<_> = stream.shards().map(ShardId::number).collect();
    numbers.sort_unstable();
    numbers
}

/// One has died between opening the first child and the second.
fn amid_a_split(maker: &Maker<'_>) -> super::Image {
    some(maker);
    let [before, _] = maker.dies(split_first, &|stream| stream.shards().count() == 4);
    before
}

/// Splits the first shard.
pub fn split_first(stage: &Stage<'_>) {
    split(stage, 0, POINT);
}

fn split(stage: &Stage<'_>, shard: u32, point: u128) {
    split_in(stage, &opened(stage), shard, point);
}

pub fn split_in<R: Region>(
    stage: &Stage<'_>,
    stream: &Stream<R, impl Clock>,
    shard: u32,
    point: u128,
) {
    begin();
    let split = stream.split(ShardId::from_number(shard), point);
    end();
    if let Err(error) = split {
        may_be(stage, 0, &error);
    }
}

fn merge(stage: &Stage<'_>, one: u32, other: u32) {
    let stream = opened(stage);
    let [one, other] = [one, other].map(ShardId::from_number);
    begin();
    let merged = stream.merge(one, other);
    end();
    match merged {
        Ok(_) => {}
        // One of them was closed meanwhile, or is not open yet.
        Err(Error::NotAdjacent) => {
            let what = "neighbours are none";
            stage.board.fault(Fault::Damaged, 0, what);
        }
        Err(error) => may_be(stage, 0, &error),
    }
}
