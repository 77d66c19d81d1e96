//! The operations on FIFO queues: for each what there is before, and what is done under trace.

mod journaled;
mod receiving;
mod sending;
mod settling;
mod upkeep;

use super::super::board::{Fault, state, who};
use super::super::stage::{Stage, seed_in, sound};
use super::super::world::World;
use super::ground::{Ground, Held, Orders, open, two_groups};
use super::{Grouped, ledger};
use ringmain::Receipt;
use std::sync::atomic::Ordering::SeqCst;

const PLAIN: Grouped = Grouped {
    name: "",
    prepare: two_groups,
    operate: |_| {},
    sets_up: false,
    journaled: false,
};

/// All of them, in the order of the tables.
pub fn all() -> Vec<Grouped> {
    [
        sending::ALL,
        receiving::ALL,
        settling::ALL,
        upkeep::ALL,
        journaled::ALL,
    ]
    .concat()
}

impl Grouped {
    /// What there is before.
    pub fn ground(&self, world: &World) -> Ground {
        Ground::new(world.board, &world.path, self.journaled, self.prepare)
    }
}

fn opened(stage: &Stage<'_>) -> Orders {
    open(stage.board, stage.path)
}

/// Notes that the traced one has received a message; unless its time was over meanwhile, and it is
/// another one's again.
fn holds(stage: &Stage<'_>, held: &Held<'_>) -> u64 {
    let seed = seed_in(held.body());
    if let Some(entry) = stage.board.entry(seed)
        && entry.holder.load(SeqCst) != who::TRACER
    {
        entry.holder.store(who::TRACED, SeqCst);
        entry.take_away(state::LATE);
        entry.add(state::HELD);
    }
    seed
}

/// Receives up to `max` messages before the operation: they must be there.
fn take<'q>(stage: &Stage<'_>, queue: &'q Orders, max: usize) -> Vec<Held<'q>> {
    let batch = queue.receive_batch(max).expect("received");
    let taken: Vec<_> = batch.into_iter().collect();
    assert!(!taken.is_empty(), "the ground has some");
    for held in &taken {
        holds(stage, held);
    }
    taken
}

/// As [`take`], of receipts: nothing is read in place.
fn take_receipts(stage: &Stage<'_>, queue: &Orders, max: usize) -> Vec<(u64, Receipt)> {
    let taken = take(stage, queue, max);
    let named = taken
        .iter()
        .map(|held| (seed_in(held.body()), held.receipt()));
    named.collect()
}

/// After the operation: checks what is held, and deletes it.
fn settle(stage: &Stage<'_>, held: Held<'_>) {
    let board = stage.board;
    let Some((entry, seed)) = sound(board, held.body()) else {
        return;
    };
    if entry.holder.load(SeqCst) == who::TRACER {
        // Its time is over, and the survivor has it.
        if held.delete().is_ok() {
            board.fault(Fault::Taken, seed, "deleted by one whose time is over");
        }
        return;
    }
    let group = entry.group.load(SeqCst);
    entry.holder.store(0, SeqCst);
    let theirs = ledger::is_locked(board, group) && stage.is_alone_in(group);
    stage.deleting(seed);
    let deleted = held.delete();
    stage.deleted(seed, &deleted);
    if theirs && deleted.is_ok() {
        board.fault(
            Fault::Reordered,
            seed,
            "held although its group is another's",
        );
    }
    stage.must(deleted.is_ok(), seed, "what it holds cannot be deleted");
}

impl Stage<'_> {
    /// Whether the traced one has nothing of a group, as far as the ledger knows.
    fn is_alone_in(&self, group: u32) -> bool {
        !self.board.named().any(|(_, entry)| {
            let traced = entry.holder.load(SeqCst) == who::TRACED;
            traced && entry.group.load(SeqCst) == group
        })
    }
}
