//! Settling what was received from groups.

use super::super::super::board::state;
use super::super::super::ground::{ONE, RUN};
use super::super::super::stage::{Stage, seed_in};
use super::super::super::tracer::{begin, end};
use super::super::Grouped;
use super::receiving::groups;
use super::{PLAIN, opened, settle, take, take_receipts};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const ALL: &[Grouped] = &[
    Grouped {
        name: "FIFO delete, the oldest of three",
        operate: |stage| delete(stage, 0),
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, one in the middle",
        operate: |stage| delete(stage, 1),
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, the end of the group",
        operate: |stage| delete(stage, 2),
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, the only one of its group",
        prepare: |maker| {
            maker.own();
            maker.send(1, 1, ONE);
            maker.send(2, 2, ONE);
            None
        },
        operate: |stage| delete(stage, 0),
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, by handle",
        operate: delete_by_handle,
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, by handle, the only one",
        prepare: |maker| {
            maker.own();
            maker.send(1, 1, ONE);
            maker.send(2, 2, ONE);
            None
        },
        operate: delete_by_handle,
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete, by handle, the only one, a run",
        prepare: |maker| {
            maker.own();
            maker.send(1, 1, RUN);
            maker.send(2, 2, ONE);
            None
        },
        operate: delete_by_handle,
        ..PLAIN
    },
    Grouped {
        name: "FIFO delete_batch, ten of four groups",
        prepare: |maker| groups(maker, |n| 1 + n % 4),
        operate: delete_batch,
        ..PLAIN
    },
    Grouped {
        name: "FIFO extend",
        operate: |stage| extend(stage, Duration::from_secs(60)),
        ..PLAIN
    },
    Grouped {
        name: "FIFO extend to 0 s",
        operate: |stage| extend(stage, Duration::ZERO),
        ..PLAIN
    },
    Grouped {
        name: "FIFO release",
        operate: |stage| {
            let queue = opened(stage);
            let (seed, receipt) = take_receipts(stage, &queue, 1).remove(0);
            stage.lets_go(seed);
            begin();
            let released = queue.release(&receipt);
            end();
            stage.must(released.is_ok(), seed, "not released");
        },
        ..PLAIN
    },
    Grouped {
        name: "FIFO release_batch, three of a group",
        operate: release_batch,
        ..PLAIN
    },
    Grouped {
        name: "FIFO drop of a Received",
        operate: |stage| {
            let queue = opened(stage);
            let held = take(stage, &queue, 1).remove(0);
            begin();
            drop(held);
            end();
        },
        ..PLAIN
    },
];

/// Deletes one of three that it holds, the other two afterwards.
fn delete(stage: &Stage<'_>, which: usize) {
    let queue = opened(stage);
    let mut taken = take(stage, &queue, 3);
    let held = taken.remove(which.min(taken.len() - 1));
    let (seed, receipt) = (stage.deleting(seed_in(held.body())), held.receipt());
    drop(held);
    begin();
    let deleted = queue.delete(&receipt);
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
    for held in taken {
        settle(stage, held);
    }
}

fn delete_by_handle(stage: &Stage<'_>) {
    let queue = opened(stage);
    let held = take(stage, &queue, 1).remove(0);
    let seed = stage.deleting(seed_in(held.body()));
    begin();
    let deleted = held.delete();
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
}

fn delete_batch(stage: &Stage<'_>) {
    let queue = opened(stage);
    let (named, receipts): (Vec<_>, Vec<_>) = take_receipts(stage, &queue, 10).into_iter().unzip();
    for &seed in &named {
        stage.deleting(seed);
    }
    begin();
    let outcomes = queue.delete_batch(&receipts);
    if let Ok(outcomes) = &outcomes {
        for (&seed, outcome) in named.iter().zip(outcomes) {
            stage.deleted(seed, outcome);
        }
    }
    end();
    let deleted = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(deleted, named[0], "not all deleted");
}

fn extend(stage: &Stage<'_>, visibility: Duration) {
    let queue = opened(stage);
    let held = take(stage, &queue, 1).remove(0);
    let (seed, receipt) = (seed_in(held.body()), held.receipt());
    if visibility.is_zero() {
        stage.board.known(stage.lets_go(seed)).add(state::LATE);
    }
    begin();
    let extended = queue.extend(&receipt, visibility);
    end();
    stage.must(extended.is_ok(), seed, "not extended");
    if !visibility.is_zero() {
        settle(stage, held);
    }
}

fn release_batch(stage: &Stage<'_>) {
    let queue = opened(stage);
    let (named, receipts): (Vec<_>, Vec<_>) = take_receipts(stage, &queue, 3).into_iter().unzip();
    for &seed in &named {
        stage.board.known(seed).holder.store(0, SeqCst);
    }
    begin();
    let outcomes = queue.release_batch(&receipts);
    end();
    let released = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(released, named[0], "not all released");
}
