//! Sending into groups.

use super::super::super::board::seeds;
use super::super::super::ground::{Image, ONE, RUN};
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Grouped;
use super::super::ground::{IDS, Maker, WINDOW_MS, two_groups};
use super::super::image::Parts;
use super::super::ledger::{Named, SAME_NAME, group_name, id_name, sending, sent};
use super::{PLAIN, opened};
use ringmain::FifoEntry;

/// What the traced one sends: an id of its own.
const FRESH: Named = (seeds::TRACED, 1, seeds::TRACED as u32);
/// A group that has never been there.
const NEW_GROUP: u32 = 7;
/// What somebody had sent, or was about to, when it died: its id, in a group of its own.
const DEAD: Named = (10, 3, 10);
/// What one sends who helps with that.
const HELPER: u64 = 11;

pub const ALL: &[Grouped] = &[
    Grouped {
        name: "FIFO send, into a new group",
        operate: |stage| send(stage, (seeds::TRACED, NEW_GROUP, 20), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, into an empty group",
        prepare: |maker| {
            maker.spend(9, NEW_GROUP);
            two_groups(maker)
        },
        operate: |stage| send(stage, (seeds::TRACED, NEW_GROUP, 20), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, behind others",
        operate: |stage| send(stage, FRESH, ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, a run of slots",
        operate: |stage| send(stage, FRESH, RUN),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, a duplicate",
        operate: |stage| send(stage, (seeds::TRACED, 2, 1), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, a duplicate of one that is gone",
        prepare: |maker| {
            maker.spend(9, 2);
            two_groups(maker)
        },
        operate: |stage| send(stage, (seeds::TRACED, 1, 9), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id that a dead one has pending",
        prepare: |maker| died_sending(maker, Parts::has_pending_unsealed),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id of a dead one whose message is linked",
        prepare: |maker| died_sending(maker, Parts::has_linked_unaccepted),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id of a dead one whose message is accepted",
        prepare: |maker| died_sending(maker, Parts::has_accepted_unsealed),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, behind a dead one's message",
        prepare: |maker| died_sending(maker, Parts::has_linked_unaccepted),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, 20), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id with which a dead one has helped",
        prepare: |maker| died_helping(maker, Parts::has_helped),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id of a dead one in no order",
        prepare: |maker| died_helping(maker, Parts::has_unordered),
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id pending for nothing",
        prepare: |maker| {
            died_sending(maker, Parts::has_pending_unsealed);
            maker.queue.tend().expect("tended");
            let pending = Parts::of(maker.path).pending();
            assert_eq!(pending, 1, "the id of what was never sent");
            None
        },
        operate: |stage| send(stage, (seeds::TRACED, DEAD.1, DEAD.2), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send_batch, ten to one group",
        operate: |stage| send_batch(stage, |_| 1),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send_batch, ten to four groups",
        operate: |stage| send_batch(stage, |n| [1, NEW_GROUP, 2, 8][n % 4]),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, evicting a group",
        prepare: many_groups,
        operate: |stage| send(stage, (seeds::TRACED, NEW_GROUP, 20), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, an id whose window is over",
        prepare: |maker| window_over(maker, 100),
        operate: |stage| send(stage, (seeds::TRACED, 1, SAME_NAME + 101), ONE),
        ..PLAIN
    },
    Grouped {
        name: "FIFO send, taking an old id's entry",
        prepare: |maker| window_over(maker, IDS - 6),
        operate: |stage| send(stage, FRESH, ONE),
        ..PLAIN
    },
];

fn send(stage: &Stage<'_>, named: Named, len: usize) {
    let queue = opened(stage);
    let (seed, group, id) = named;
    let (group, id) = (group_name(group), id_name(id));
    let body = stage.sending(seed, len);
    sending(stage.board, named, len);
    begin();
    let done = queue.send(&group, &*id, body);
    sent(stage.board, seed, &done);
    end();
    stage.must(done.is_ok(), seed, "not sent");
}

fn send_batch(stage: &Stage<'_>, group: fn(usize) -> u32) {
    let queue = opened(stage);
    let named: Vec<_> = (0..10)
        .map(|n| {
            let (seed, group) = (seeds::TRACED + n as u64, group(n));
            let body = stage.sending(seed, ONE);
            sending(stage.board, (seed, group, seed as u32), ONE);
            (group_name(group), id_name(seed as u32), body)
        })
        .collect();
    let entries: Vec<_> = named
        .iter()
        .map(|(group, id, body)| FifoEntry::new(group, *body).id(id))
        .collect();
    begin();
    let outcomes = queue.send_batch(&entries);
    if let Ok(outcomes) = &outcomes {
        for (seed, outcome) in (seeds::TRACED..).zip(outcomes) {
            sent(stage.board, seed, outcome);
        }
    }
    end();
    let all = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(all, seeds::TRACED, "not all sent");
}

/// Somebody has died in a send when the memory was as `when` says.
fn died_sending(maker: &Maker<'_>, when: fn(&Parts) -> bool) -> Option<Image> {
    two_groups(maker);
    maker.dies(|stage| send(stage, DEAD, ONE), when);
    maker.image()
}

/// One died with its id remembered, and then one who sent the same id.
pub fn died_helping(maker: &Maker<'_>, when: fn(&Parts) -> bool) -> Option<Image> {
    died_sending(maker, Parts::has_pending_unsealed);
    maker.dies(|stage| send(stage, (HELPER, DEAD.1, DEAD.2), ONE), when);
    maker.image()
}

/// Every entry of a group is in use, most of them by groups without messages.
fn many_groups(maker: &Maker<'_>) -> Option<Image> {
    let entries = Parts::of(maker.path).groups();
    for number in 0..entries as u64 {
        if number.is_multiple_of(IDS / 2) {
            maker.board.pass_ms(WINDOW_MS + 1); // so that there are ids
        }
        maker.spend(seeds::MANY + number, 100 + number as u32);
    }
    maker.board.pass_ms(WINDOW_MS + 1);
    two_groups(maker)
}

/// So many ids, from that of the seed 100 on, have been used, and their windows are over.
fn window_over(maker: &Maker<'_>, ids: u64) -> Option<Image> {
    for seed in seeds::MANY..seeds::MANY + ids {
        maker.spend(seed, 4);
    }
    maker.board.pass_ms(WINDOW_MS + 1);
    two_groups(maker)
}
