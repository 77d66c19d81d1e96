//! Settling: deleting, releasing, extending, detaching, dropping.

use super::super::board::{Fault, state};
use super::super::ground::{Held, Image, Maker, ONE, RUN};
use super::super::stage::{Stage, seed_in, sound};
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN, first};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const ALL: &[Operation] = &[
    Operation {
        name: "delete, by handle",
        operate: delete,
        ..PLAIN
    },
    Operation {
        name: "delete, by receipt",
        operate: delete_by_receipt,
        ..PLAIN
    },
    Operation {
        name: "delete, a run",
        prepare: run,
        operate: delete,
        ..PLAIN
    },
    Operation {
        name: "delete, of a batch received",
        prepare: runs,
        operate: delete_received,
        ..PLAIN
    },
    Operation {
        name: "delete_batch, by receipts",
        prepare: runs,
        operate: delete_batch,
        ..PLAIN
    },
    Operation {
        name: "delete, read in place by another",
        hold: first,
        operate: retire,
        ..PLAIN
    },
    Operation {
        name: "drop of a Received",
        operate: |stage| {
            let queue = stage.open();
            let held = stage.take(&queue);
            begin();
            drop(held);
            end();
        },
        ..PLAIN
    },
    Operation {
        name: "drop of a former holder",
        prepare: run,
        operate: last_unpin,
        ..PLAIN
    },
    Operation {
        name: "extend",
        operate: |stage| extend(stage, Duration::from_secs(60)),
        ..PLAIN
    },
    Operation {
        name: "extend to 0 s",
        operate: |stage| extend(stage, Duration::ZERO),
        ..PLAIN
    },
    Operation {
        name: "release, by handle",
        operate: |stage| {
            let queue = stage.open();
            let held = stage.take(&queue);
            let seed = stage.lets_go(seed_in(held.body()));
            begin();
            let released = held.release();
            end();
            stage.must(released.is_ok(), seed, "not released");
        },
        ..PLAIN
    },
    Operation {
        name: "release, by receipt",
        operate: |stage| {
            let queue = stage.open();
            let held = stage.take(&queue);
            let (seed, receipt) = (stage.lets_go(seed_in(held.body())), held.receipt());
            begin();
            let released = queue.release(&receipt);
            end();
            stage.must(released.is_ok(), seed, "not released");
            sound(stage.board, held.body());
        },
        ..PLAIN
    },
    Operation {
        name: "detach of a Received",
        operate: detach,
        ..PLAIN
    },
];

/// One message of several slots, and one of one.
pub fn run(maker: &Maker<'_>) -> Option<Image> {
    maker.send(1, RUN);
    maker.send(2, ONE);
    None
}

/// Short messages and long ones.
fn runs(maker: &Maker<'_>) -> Option<Image> {
    for (seed, len) in (1..).zip([ONE, RUN, ONE, ONE, RUN]) {
        maker.send(seed, len);
    }
    None
}

fn delete(stage: &Stage<'_>) {
    let queue = stage.open();
    let held = stage.take(&queue);
    let seed = stage.deleting(seed_in(held.body()));
    begin();
    let deleted = held.delete();
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
}

fn delete_by_receipt(stage: &Stage<'_>) {
    let queue = stage.open();
    let receipt = stage.take_copy(&queue);
    let seed = stage.deleting(1);
    begin();
    let deleted = queue.delete(&receipt);
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
}

fn delete_received(stage: &Stage<'_>) {
    let queue = stage.open();
    let batch = queue.receive_batch(10).expect("received");
    for held in &batch {
        stage.deleting(stage.holds(held.body()));
    }
    let named: Vec<u64> = batch
        .iter()
        .map(|held: &Held<'_>| seed_in(held.body()))
        .collect();
    begin();
    let outcomes = batch.delete();
    for (&seed, outcome) in named.iter().zip(&outcomes) {
        stage.deleted(seed, outcome);
    }
    end();
    stage.must(
        outcomes.iter().all(|outcome| outcome.is_ok()),
        named[0],
        "not all deleted",
    );
}

fn delete_batch(stage: &Stage<'_>) {
    let queue = stage.open();
    let receipts = [(); 5].map(|()| stage.take_copy(&queue));
    for seed in 1..=5 {
        stage.deleting(seed);
    }
    begin();
    let outcomes = queue.delete_batch(&receipts);
    if let Ok(outcomes) = &outcomes {
        for (seed, outcome) in (1..).zip(outcomes) {
            stage.deleted(seed, outcome);
        }
    }
    end();
    let deleted = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(deleted, 1, "not all deleted");
}

/// Deletes what the tracer reads in place.
fn retire(stage: &Stage<'_>) {
    let queue = stage.open();
    stage.board.known(1).add(state::DELETING);
    begin();
    let deleted = queue.delete(&stage.receipts[0]);
    stage.deleted(1, &deleted);
    end();
    stage.must(deleted.is_ok(), 1, "not deleted");
}

/// Reads on in a message that is deleted already; its end frees the slots.
fn last_unpin(stage: &Stage<'_>) {
    let queue = stage.open();
    let held = stage.take(&queue);
    let seed = stage.deleting(seed_in(held.body()));
    let deleted = queue.delete(&held.receipt());
    stage.deleted(seed, &deleted);
    stage.must(deleted.is_ok(), seed, "not deleted");
    sound(stage.board, held.body());
    begin();
    drop(held);
    end();
}

fn extend(stage: &Stage<'_>, visibility: Duration) {
    let queue = stage.open();
    let mut held = stage.take(&queue);
    let seed = seed_in(held.body());
    if visibility.is_zero() {
        stage.board.known(stage.lets_go(seed)).add(state::LATE);
    }
    begin();
    let extended = held.extend(visibility);
    end();
    stage.must(extended.is_ok(), seed, "not extended");
    if visibility.is_zero() {
        sound(stage.board, held.body());
    } else {
        stage.settle(held);
    }
}

/// From here on the message is in flight and nobody's: it may come back only when its time is over.
fn detach(stage: &Stage<'_>) {
    let queue = stage.open();
    let held = stage.take(&queue);
    let seed = seed_in(held.body());
    let entry = stage.board.known(seed);
    entry.add(state::DETACHED);
    begin();
    let receipt = held.detach();
    end();
    entry.holder.store(0, SeqCst);
    stage.deleting(seed);
    let deleted = queue.delete(&receipt);
    stage.deleted(seed, &deleted);
    stage.must(deleted.is_ok(), seed, "what it detached cannot be deleted");
    if stage.board.alone.load(SeqCst) != 0 && queue.extend(&receipt, Duration::ZERO).is_ok() {
        stage
            .board
            .fault(Fault::Doubled, seed, "what was deleted could be extended");
    }
}
