//! Peeking: a message is read in place and stays what it is.

use super::super::stage::{Stage, seed_in, sound};
use super::super::tracer::{begin, end};
use super::settling::run;
use super::{Operation, PLAIN, first};

pub const ALL: &[Operation] = &[
    Operation {
        name: "peek",
        operate: |stage| {
            let queue = stage.open();
            begin();
            let peeked = queue.peek();
            if let Ok(Some(peeked)) = &peeked {
                sound(stage.board, peeked.body());
            }
            let found = matches!(peeked, Ok(Some(_)));
            drop(peeked);
            end();
            stage.must(found, 0, "nothing to peek at");
        },
        ..PLAIN
    },
    Operation {
        name: "peeks, one of them in flight",
        hold: first,
        operate: peeks,
        ..PLAIN
    },
    Operation {
        name: "drop of a Peeked, the last reader",
        prepare: run,
        operate: last_reader,
        ..PLAIN
    },
];

/// Peeks at five messages, of which the tracer holds one.
fn peeks(stage: &Stage<'_>) {
    let queue = stage.open();
    begin();
    let found = queue.peeks().filter(|peeked| peeked.is_ok()).count();
    end();
    stage.must(found >= 5, found as u64, "not all are met"); // and what others have sent
}

/// Peeks at a message that is deleted meanwhile; the end of that frees the slots.
fn last_reader(stage: &Stage<'_>) {
    let queue = stage.open();
    let peeked = queue.peek().expect("peeked").expect("the ground has one");
    let held = stage.take(&queue);
    let seed = stage.deleting(seed_in(held.body()));
    assert_eq!(seed_in(peeked.body()), seed, "it is received next");
    let deleted = held.delete();
    stage.deleted(seed, &deleted);
    stage.must(deleted.is_ok(), seed, "not deleted");
    sound(stage.board, peeked.body());
    begin();
    drop(peeked);
    end();
}
