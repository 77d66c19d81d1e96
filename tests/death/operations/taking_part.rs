//! Taking part: creating and opening regions and queues, and leaving them.

use super::super::board::Time;
use super::super::ground::{Image, Kind, Maker, ONE, REGION_BYTES, open_region, options, unlinked};
use super::super::stage::Stage;
use super::super::tracer::{begin, end};
use super::upkeep::dead_owner;
use super::{Operation, PLAIN, empty};
use ringmain::{Mapped, Queue};
use std::sync::Arc;

pub const ALL: &[Operation] = &[
    Operation {
        name: "Mapped::open",
        operate: open,
        sets_up: true,
        ..PLAIN
    },
    Operation {
        name: "Mapped::open, over a dead one's index",
        prepare: all_dead,
        operate: open,
        sets_up: true,
        ..PLAIN
    },
    Operation {
        name: "Mapped::create",
        kind: Kind::Nothing,
        prepare: empty,
        operate: |stage| {
            begin();
            let region = Mapped::create(stage.path, REGION_BYTES);
            end();
            stage.must(region.is_ok(), 0, "not created");
        },
        sets_up: true,
        ..PLAIN
    },
    Operation {
        name: "Queue::create",
        kind: Kind::Vacant,
        prepare: empty,
        operate: |stage| {
            let region = open_region(stage.path);
            begin();
            let queue = Queue::create_with(Arc::clone(&region), options(), Time(stage.board));
            end();
            stage.must(queue.is_ok(), 0, "not created");
        },
        sets_up: true,
        ..PLAIN
    },
    Operation {
        name: "Queue::open",
        operate: |stage| {
            let region = open_region(stage.path);
            begin();
            let queue = Queue::open_with(Arc::clone(&region), Time(stage.board));
            end();
            stage.must(queue.is_ok(), 0, "not opened");
        },
        sets_up: true,
        ..PLAIN
    },
    Operation {
        name: "drop of a Mapped that holds",
        operate: leave,
        ..PLAIN
    },
];

fn open(stage: &Stage<'_>) {
    begin();
    let region = Mapped::open(stage.path);
    end();
    stage.must(region.is_ok(), 0, "not opened");
}

/// Every index of the registry is a dead one's, and the second's owner held much.
fn all_dead(maker: &Maker<'_>) -> Option<Image> {
    let mut image = dead_owner(maker)?;
    image.attach_all();
    Some(image)
}

/// Leaves with messages that it has not settled, and with a claim.
fn leave(stage: &Stage<'_>) {
    let region = open_region(stage.path);
    let queue = Queue::open_with(Arc::clone(&region), Time(stage.board)).expect("it opens");
    let queue = unlinked(queue);
    drop(stage.take(&queue));
    for _ in 0..2 {
        let held = stage.take(&queue);
        stage.lets_go(super::seed_in(held.body()));
        std::mem::forget(held);
    }
    stage.lets_go(1);
    std::mem::forget(queue.claim(ONE).expect("room"));
    drop(queue);
    begin();
    drop(region);
    end();
}
