//! The operations on streams: for each what there is before, and what is done under trace.

mod consuming;
mod keeping;
mod preparing;
mod reading;
mod sharding;
mod writing;

use super::super::board::Fault;
use super::super::ground::Image;
use super::super::stage::Stage;
use super::super::world::World;
use super::ground::{Ground, Log, Maker, open};
use super::ledger::SMALL;
use super::{Kept, Streamed};
use ringmain::Error;
use std::sync::atomic::Ordering::SeqCst;

const PLAIN: Streamed = Streamed {
    name: "",
    evicts: false,
    prepare: some,
    operate: |_| {},
    does: |_, _| true,
    given_up: 0,
    reserves: false,
    kept: Kept::No,
};

/// All of them, in the order of the tables.
pub fn all() -> Vec<Streamed> {
    [
        writing::ALL,
        reading::ALL,
        sharding::ALL,
        consuming::ALL,
        keeping::ALL,
        preparing::ALL,
    ]
    .concat()
}

impl Streamed {
    /// The same on a stream with an interval, if here all who put would wait for who is stopped.
    pub fn timed(&self) -> Option<Self> {
        let waits = self.kept == Kept::BeforeOk;
        waits.then_some(Self {
            kept: Kept::Timed,
            ..*self
        })
    }

    /// What there is before.
    pub fn ground(&self, world: &World) -> Ground {
        Ground::new(world.board, &world.path, self)
    }
}

fn opened(stage: &Stage<'_>) -> Log {
    open(stage.board, stage.path)
}

/// Some records of four keys, in both shards.
fn some(maker: &Maker<'_>) -> Option<Image> {
    for n in 0..8 {
        maker.put(n % 4, SMALL);
    }
    None
}

/// Left alone, an operation has to succeed; others may be in its way, and say so.
fn may_be(stage: &Stage<'_>, seed: u64, error: &Error) {
    let others = matches!(
        error,
        Error::Full
            | Error::SegmentInUse { .. }
            | Error::Resharding { .. }
            | Error::ShardLimit { .. }
            | Error::ShardNotOpen { .. }
            | Error::ShardClosed { .. }
            | Error::NoShard { .. }
            | Error::Lost { .. }
            | Error::ConsumerLimit { .. }
    );
    if !others || stage.board.alone.load(SeqCst) != 0 {
        eprintln!("the traced one: {error}");
        stage
            .board
            .fault(Fault::Stuck, seed, "the traced one is refused");
    }
}
