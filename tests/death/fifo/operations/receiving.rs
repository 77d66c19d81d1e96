//! Receiving from groups.

use super::super::super::board::{seeds, state};
use super::super::super::ground::{Image, ONE, RETENTION_MS, RUN, VISIBILITY_MS};
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Grouped;
use super::super::ground::{Held, Maker, Orders, two_groups};
use super::{PLAIN, holds, opened, settle};
use ringmain::Error;

/// The id of a receive that is repeated.
const ATTEMPT: &str = "attempt";

pub const ALL: &[Grouped] = &[
    Grouped {
        name: "FIFO receive",
        operate: |stage| receive(stage, &opened(stage), 1),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive, the last of its group",
        prepare: |maker| {
            maker.own();
            maker.send(1, 1, RUN);
            None
        },
        operate: |stage| receive(stage, &opened(stage), 1),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive_batch, ten of one group",
        prepare: |maker| groups(maker, |_| 1),
        operate: |stage| receive(stage, &opened(stage), 10),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive_batch, ten of four groups",
        prepare: |maker| groups(maker, |n| 1 + n % 4),
        operate: |stage| receive(stage, &opened(stage), 10),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive, expiring others' holds",
        prepare: detached,
        operate: |stage| {
            let queue = opened(stage);
            receive(stage, &queue, 10);
        },
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive, dropping old ones",
        prepare: old,
        operate: |stage| receive(stage, &opened(stage), 10),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive_batch_attempt",
        operate: |stage| attempt(stage, &opened(stage)),
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive_batch_attempt, again",
        operate: |stage| {
            let queue = opened(stage);
            let before = queue.receive_batch_attempt(10, ATTEMPT).expect("received");
            before.iter().for_each(|held| _ = holds(stage, held));
            attempt(stage, &queue);
        },
        ..PLAIN
    },
    Grouped {
        name: "FIFO receive, looking who has died",
        operate: |stage| {
            stage.board.pass_ms(20);
            receive(stage, &opened(stage), 1);
        },
        ..PLAIN
    },
];

/// Twelve messages in groups by their numbers.
pub fn groups(maker: &Maker<'_>, group: fn(u32) -> u32) -> Option<Image> {
    maker.own();
    for number in 0..12 {
        let len = if number % 5 == 4 { RUN } else { ONE };
        maker.send(seeds::GROUND + u64::from(number), group(number), len);
    }
    None
}

/// Messages of three groups are in flight and nobody's, and their time is over.
fn detached(maker: &Maker<'_>) -> Option<Image> {
    for (seed, group) in (6..).zip([3, 3, 3, 4, 5]) {
        maker.send(seed, group, ONE);
    }
    for held in maker.take(10) {
        held.detach();
    }
    maker.board.pass_ms(VISIBILITY_MS + 1);
    for seed in 6..11 {
        maker.board.known(seed).add(state::LATE | state::DETACHED);
    }
    two_groups(maker)
}

/// Messages that are older than the retention: all of a group, and the oldest of another one.
fn old(maker: &Maker<'_>) -> Option<Image> {
    for (seed, group, len) in [(8, 3, ONE), (9, 3, RUN), (10, 2, ONE), (11, 2, ONE)] {
        maker.send(seed, group, len);
        maker.board.known(seed).add(state::DELETING | state::OLD);
    }
    maker.board.pass_ms(RETENTION_MS + 1000);
    maker.own();
    for (seed, group) in (seeds::GROUND..).zip([1, 2, 2]) {
        maker.send(seed, group, ONE);
    }
    maker.queue.tend().expect("tended");
    None
}

pub fn receive(stage: &Stage<'_>, queue: &Orders, max: usize) {
    received(stage, || queue.receive_batch(max));
}

fn attempt(stage: &Stage<'_>, queue: &Orders) {
    received(stage, || queue.receive_batch_attempt(10, ATTEMPT));
}

/// Receives under trace, and settles.
fn received<'q, B>(stage: &Stage<'_>, receive: impl FnOnce() -> Result<B, Error>)
where
    B: IntoIterator<Item = Held<'q>>,
    for<'b> &'b B: IntoIterator<Item = &'b Held<'q>>,
{
    begin();
    let batch = receive();
    for held in batch.iter().flatten() {
        holds(stage, held);
    }
    end();
    stage.must(batch.is_ok(), 0, "a receive failed");
    for held in batch.into_iter().flatten() {
        settle(stage, held);
    }
}
