//! Waiting for the disk: operations on a queue with a journal.

use super::super::board::seeds;
use super::super::ground::{Kind, ONE};
use super::super::stage::Stage;
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN, seed_in};
use ringmain::Durability;

/// A body of a few slots.
const SOME: usize = 200;

const JOURNALED: Operation = Operation {
    kind: Kind::Journaled,
    ..PLAIN
};

pub const ALL: &[Operation] = &[
    Operation {
        name: "send, before Ok",
        operate: |stage| send(stage, SOME),
        ..JOURNALED
    },
    Operation {
        name: "delete, before Ok",
        operate: delete,
        ..JOURNALED
    },
    Operation {
        name: "sync",
        operate: sync,
        ..JOURNALED
    },
];

fn send(stage: &Stage<'_>, len: usize) {
    let queue = stage.open();
    let safe = queue.at(Durability::BeforeOk).expect("a level");
    let body = stage.sending(seeds::TRACED, len);
    begin();
    let sent = safe.send(body);
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok(), seeds::TRACED, "not sent");
}

fn delete(stage: &Stage<'_>) {
    let queue = stage.open();
    let safe = queue.at(Durability::BeforeOk).expect("a level");
    let held = stage.take(&queue);
    let (receipt, seed) = (held.receipt(), seed_in(held.body()));
    drop(held);
    begin();
    stage.deleting(seed);
    let deleted = safe.delete(&receipt);
    stage.deleted(seed, &deleted);
    end();
    stage.must(deleted.is_ok(), seed, "not deleted");
}

/// One comes and one goes; the two are on the disk when `sync` has returned.
fn sync(stage: &Stage<'_>) {
    let queue = stage.open();
    let held = stage.take(&queue);
    let gone = stage.deleting(seed_in(held.body()));
    let deleted = held.delete();
    let body = stage.sending(seeds::TRACED, ONE);
    let sent = queue.send(body);
    begin();
    let synced = queue.sync();
    if synced.is_ok() {
        stage.deleted(gone, &deleted);
        stage.sent(seeds::TRACED, &sent);
    }
    end();
    stage.must(synced.is_ok(), seeds::TRACED, "not synced");
}
