//! Waiting for the disk: operations on a FIFO queue with a journal.

use super::super::super::board::seeds;
use super::super::super::ground::{ONE, RUN};
use super::super::super::stage::{Stage, seed_in};
use super::super::super::tracer::{begin, end};
use super::super::Grouped;
use super::super::ledger::{Named, group_name, id_name, sending, sent};
use super::{PLAIN, opened, settle, take};
use ringmain::Durability;

const FRESH: Named = (seeds::TRACED, 1, seeds::TRACED as u32);

const JOURNALED: Grouped = Grouped {
    journaled: true,
    ..PLAIN
};

pub const ALL: &[Grouped] = &[
    Grouped {
        name: "FIFO send, before Ok",
        operate: |stage| send(stage, ONE),
        ..JOURNALED
    },
    Grouped {
        name: "FIFO send, a run of slots, before Ok",
        operate: |stage| send(stage, RUN),
        ..JOURNALED
    },
    Grouped {
        name: "FIFO delete, before Ok",
        operate: delete,
        ..JOURNALED
    },
    Grouped {
        name: "FIFO sync",
        operate: sync,
        ..JOURNALED
    },
];

fn send(stage: &Stage<'_>, len: usize) {
    let queue = opened(stage);
    let safe = queue.at(Durability::BeforeOk).expect("a level");
    let (seed, group, id) = FRESH;
    let (group, id, body) = (group_name(group), id_name(id), stage.sending(seed, len));
    sending(stage.board, FRESH, len);
    begin();
    let outcome = safe.send(&group, &*id, body);
    sent(stage.board, seed, &outcome);
    end();
    stage.must(outcome.is_ok(), seed, "not sent");
}

fn delete(stage: &Stage<'_>) {
    let queue = opened(stage);
    let safe = queue.at(Durability::BeforeOk).expect("a level");
    let mut taken = take(stage, &queue, 3);
    let held = taken.remove(0);
    let (receipt, seed) = (held.receipt(), seed_in(held.body()));
    drop(held);
    begin();
    stage.deleting(seed);
    let deleted = safe.delete(&receipt);
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
    for held in taken {
        settle(stage, held);
    }
}

/// One comes and one goes; the two are on the disk when `sync` has returned.
fn sync(stage: &Stage<'_>) {
    let queue = opened(stage);
    let mut taken = take(stage, &queue, 1);
    let held = taken.remove(0);
    let gone = stage.deleting(seed_in(held.body()));
    let deleted = held.delete();
    let (seed, group, id) = FRESH;
    let (group, id, body) = (group_name(group), id_name(id), stage.sending(seed, ONE));
    sending(stage.board, FRESH, ONE);
    let outcome = queue.send(&group, &*id, body);
    begin();
    let synced = queue.sync();
    if synced.is_ok() {
        stage.deleted(gone, &deleted);
        sent(stage.board, seed, &outcome);
    }
    end();
    stage.must(synced.is_ok(), seed, "not synced");
}
