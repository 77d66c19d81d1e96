//! Emptying a FIFO queue, looking at it, repairing after others, and leaving.

use super::super::super::board::{Time, seeds, state};
use super::super::super::ground::{ONE, open_region};
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Grouped;
use super::super::image::Parts;
use super::super::ledger::{group_name, id_name, sending, sent};
use super::receiving::groups;
use super::sending::died_helping;
use super::{PLAIN, opened, take};
use ringmain::FifoQueue;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

pub const ALL: &[Grouped] = &[
    Grouped {
        name: "FIFO purge",
        prepare: |maker| groups(maker, |n| 1 + n % 4),
        operate: |stage| {
            let queue = opened(stage);
            stage.board.purging.store(1, SeqCst);
            begin();
            let purged = queue.purge();
            end();
            stage.must(purged.is_ok(), 0, "not purged");
        },
        ..PLAIN
    },
    Grouped {
        name: "FIFO tend, repairing after a death",
        prepare: |maker| {
            for (seed, group) in (seeds::GROUND..).zip([1, 1, 1, 2, 2]) {
                maker.send(seed, group, ONE);
            }
            maker.dies(dies_late, Parts::has_linked_unaccepted);
            for seed in 1..=3 {
                maker.board.known(seed).add(state::HELD);
            }
            maker.image()
        },
        operate: |stage| tend(stage, 0),
        ..PLAIN
    },
    Grouped {
        name: "FIFO tend, a dead helper's message in no order",
        prepare: |maker| died_helping(maker, Parts::has_unordered),
        operate: |stage| tend(stage, 0),
        ..PLAIN
    },
    Grouped {
        name: "FIFO tend, mending",
        operate: |stage| tend(stage, 99),
        ..PLAIN
    },
    Grouped {
        name: "FIFO drop of a Mapped that holds",
        operate: leave,
        ..PLAIN
    },
    Grouped {
        name: "FifoQueue::open",
        operate: |stage| {
            let region = open_region(stage.path);
            begin();
            let queue = FifoQueue::open_with(Arc::clone(&region), Time(stage.board));
            end();
            stage.must(queue.is_ok(), 0, "not opened");
        },
        sets_up: true,
        ..PLAIN
    },
];

fn tend(stage: &Stage<'_>, before: u32) {
    let queue = opened(stage);
    for _ in 0..before {
        queue.tend().expect("tended");
    }
    begin();
    let tended = queue.tend();
    end();
    stage.must(tended.is_ok(), 0, "not tended");
}

/// Holds all of a group, and sends to another one.
fn dies_late(stage: &Stage<'_>) {
    let queue = opened(stage);
    let held = take(stage, &queue, 3);
    let named = (10, 3, 10);
    let body = stage.sending(named.0, ONE);
    sending(stage.board, named, ONE);
    begin();
    let done = queue.send(&group_name(named.1), &*id_name(named.2), body);
    sent(stage.board, named.0, &done);
    end();
    drop(held);
}

/// Leaves with messages that it has not settled.
fn leave(stage: &Stage<'_>) {
    let region = open_region(stage.path);
    let queue = FifoQueue::open_with(Arc::clone(&region), Time(stage.board)).expect("it opens");
    for held in take(stage, &queue, 4) {
        stage.lets_go(super::seed_in(held.body()));
        std::mem::forget(held);
    }
    drop(queue);
    begin();
    drop(region);
    end();
}
