//! Looking, emptying, and repairing after others.

use super::super::board::{seeds, state};
use super::super::ground::{Image, Maker, ONE, RETENTION_MS, RUN, VISIBILITY_MS, open};
use super::super::stage::Stage;
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN, first};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const ALL: &[Operation] = &[
    Operation {
        name: "purge",
        prepare: mixed,
        hold: first,
        operate: purge,
        ..PLAIN
    },
    Operation {
        name: "reconfigure",
        prepare: mixed,
        hold: first,
        operate: |stage| {
            let queue = stage.open();
            let longer = 2 * Duration::from_millis(RETENTION_MS);
            begin();
            let done = queue.reconfigure(|options| options.retention(longer));
            end();
            stage.must(done.is_ok(), 0, "not reconfigured");
        },
        ..PLAIN
    },
    Operation {
        name: "stat",
        operate: |stage| {
            let queue = stage.open();
            begin();
            let stat = queue.stat();
            end();
            stage.must(stat.is_ok(), 0, "no figures");
        },
        ..PLAIN
    },
    Operation {
        name: "tend, repairing after a death",
        prepare: dead_owner,
        operate: |stage| {
            let queue = stage.open();
            begin();
            let tended = queue.tend();
            end();
            stage.must(tended.is_ok(), 0, "not tended");
        },
        ..PLAIN
    },
    Operation {
        name: "tend, mending bits",
        prepare: bits_missing,
        operate: |stage| {
            let queue = stage.open();
            for _ in 0..99 {
                queue.tend().expect("tended");
            }
            begin();
            let tended = queue.tend();
            end();
            stage.must(tended.is_ok(), 0, "not tended");
        },
        ..PLAIN
    },
];

fn mixed(maker: &Maker<'_>) -> Option<Image> {
    for (seed, len) in (seeds::GROUND..).zip([ONE, RUN, ONE, RUN]) {
        maker.send(seed, len);
    }
    None
}

fn purge(stage: &Stage<'_>) {
    let queue = stage.open();
    stage.board.purging.store(1, SeqCst);
    begin();
    let purged = queue.purge();
    end();
    stage.must(purged.is_ok(), 0, "not purged");
}

/// Somebody has died with everything that one can hold: a message read in place, one that is not, a
/// run, a claim, a deleted message that it still read, one that others have gone on with.
pub fn dead_owner(maker: &Maker<'_>) -> Option<Image> {
    let dead = open(maker.board, maker.path);
    let take = || dead.receive().expect("received").expect("there");
    maker.send(1, ONE);
    let former = take();
    maker.board.pass_ms(VISIBILITY_MS + 1);
    let other = maker.queue.receive().expect("received").expect("expired");
    other.release().expect("released");
    maker.board.known(1).add(state::HELD); // ready again, under a pin of the dead
    for (seed, len) in [(2, ONE), (3, RUN), (4, ONE), (5, RUN)] {
        maker.send(seed, len);
    }
    let again = maker.queue.receive_batch(10).expect("received");
    assert_eq!(again.len(), 5, "all are there");
    for held in again {
        held.release().expect("released");
    }
    let mut held: Vec<_> = dead
        .receive_batch(10)
        .expect("received")
        .into_iter()
        .collect();
    assert_eq!(held.len(), 5, "all are there");
    let deleted = held.pop().expect("the last");
    let seed = super::seed_in(deleted.body());
    dead.delete(&deleted.receipt())
        .expect("deleted, and still read");
    maker
        .board
        .known(seed)
        .add(state::DELETED | state::DELETING);
    drop(held.pop()); // held, and not read in place
    for seed in 1..=5 {
        maker.board.known(seed).add(state::HELD);
    }
    let claim = dead.claim(RUN).expect("room");
    let mut image = Image::of(maker.path);
    image.leave(1); // the maker itself
    drop((claim, held, deleted, former));
    Some(image)
}

/// Bits that a participant took, which then stopped: of a waiting message and of a free slot.
fn bits_missing(maker: &Maker<'_>) -> Option<Image> {
    super::five(maker);
    let mut image = Image::of(maker.path);
    image.leave(1);
    image.clear_bits(0, 1, 0b110);
    image.clear_bits(0, 0, 1 << 40 | 1 << 41);
    Some(image)
}
