//! Sending.

use super::super::board::{seeds, state};
use super::super::ground::{BLOCKS, Image, Kind, Maker, ONE, RETENTION_MS, RUN, VISIBILITY};
use super::super::stage::Stage;
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN};
use ringmain::Message;
use std::time::Duration;

/// It ends with the visibility of what others hold.
const DELAY: Duration = VISIBILITY;

pub const ALL: &[Operation] = &[
    Operation {
        name: "send, one slot",
        operate: |stage| send(stage, ONE),
        ..PLAIN
    },
    Operation {
        name: "send, a run of slots",
        operate: |stage| send(stage, RUN),
        ..PLAIN
    },
    Operation {
        name: "send, over 64 slots",
        operate: |stage| send(stage, BLOCKS),
        ..PLAIN
    },
    Operation {
        name: "send_batch, ten",
        operate: |stage| send_batch(stage, &[ONE; 10]),
        ..PLAIN
    },
    Operation {
        name: "send_batch, mixed lengths",
        operate: |stage| send_batch(stage, &[ONE, RUN, 8, 100, ONE, RUN]),
        ..PLAIN
    },
    Operation {
        name: "send_message, with attributes",
        operate: |stage| send_message(stage, Duration::ZERO),
        ..PLAIN
    },
    Operation {
        name: "send_message, delayed",
        operate: |stage| send_message(stage, DELAY),
        ..PLAIN
    },
    Operation {
        name: "send_messages, delayed and not",
        operate: send_messages,
        ..PLAIN
    },
    Operation {
        name: "send, striking full blocks out",
        kind: Kind::Wide,
        prepare: full_blocks,
        operate: |stage| send(stage, ONE),
        ..PLAIN
    },
    Operation {
        name: "send, dropping old ones for room",
        prepare: full_of_old,
        operate: |stage| send(stage, ONE),
        ..PLAIN
    },
    Operation {
        name: "claim, commit",
        operate: |stage| claim(stage, RUN, true),
        ..PLAIN
    },
    Operation {
        name: "claim, abort",
        operate: |stage| claim(stage, RUN, false),
        ..PLAIN
    },
    Operation {
        name: "claim, abort, over 64 slots",
        operate: |stage| claim(stage, BLOCKS, false),
        ..PLAIN
    },
];

fn send(stage: &Stage<'_>, len: usize) {
    let queue = stage.open();
    let body = stage.sending(seeds::TRACED, len);
    begin();
    let sent = queue.send(body);
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok(), seeds::TRACED, "not sent");
}

fn send_batch(stage: &Stage<'_>, lens: &[usize]) {
    let queue = stage.open();
    let named = (seeds::TRACED..).zip(lens);
    let bodies: Vec<&[u8]> = named.map(|(seed, &len)| stage.sending(seed, len)).collect();
    begin();
    let outcomes = queue.send_batch(&bodies);
    if let Ok(outcomes) = &outcomes {
        for (seed, outcome) in (seeds::TRACED..).zip(outcomes) {
            stage.sent(seed, outcome);
        }
    }
    end();
    let sent = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(sent, seeds::TRACED, "not all sent");
}

/// A message with an attribute of each type; a delayed one comes when its delay is over, and that
/// is as it should be.
fn message(stage: &Stage<'_>, seed: u64, len: usize, delay: Duration) -> Message<'static> {
    let body = stage.sending(seed, len);
    if !delay.is_zero() {
        stage.board.known(seed).add(state::DETACHED);
    }
    Message::new(body)
        .string("kind", "reading")
        .and_then(|message| message.number("celsius", "21.5"))
        .and_then(|message| message.binary("raw", &[1, 2, 3]))
        .expect("attributes by the rules")
        .delay(delay)
}

fn send_message(stage: &Stage<'_>, delay: Duration) {
    let queue = stage.open();
    let message = message(stage, seeds::TRACED, RUN, delay);
    begin();
    let sent = queue.send_message(&message);
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok(), seeds::TRACED, "not sent");
}

fn send_messages(stage: &Stage<'_>) {
    let queue = stage.open();
    let entries = [(ONE, Duration::ZERO), (RUN, DELAY), (8, Duration::ZERO)];
    let named = (seeds::TRACED..).zip(entries);
    let messages: Vec<_> = named
        .map(|(seed, (len, delay))| message(stage, seed, len, delay))
        .collect();
    begin();
    let outcomes = queue.send_messages(&messages);
    if let Ok(outcomes) = &outcomes {
        for (seed, outcome) in (seeds::TRACED..).zip(outcomes) {
            stage.sent(seed, outcome);
        }
    }
    end();
    let sent = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(sent, seeds::TRACED, "not all sent");
}

/// Three blocks are full, and the senders' cursor stands at the first slot again.
fn full_blocks(maker: &Maker<'_>) -> Option<Image> {
    for seed in seeds::MANY..seeds::MANY + 3 * 64 {
        maker.send(seed, ONE);
    }
    let mut image = Image::of(maker.path);
    image.leave(1);
    image.rewind(1);
    Some(image)
}

/// The queue is full of messages that are older than the retention: as few as possible.
fn full_of_old(maker: &Maker<'_>) -> Option<Image> {
    let mut seeds = seeds::MANY..seeds::FILL;
    for len in [BLOCKS, 1900, RUN, ONE] {
        for seed in seeds.by_ref() {
            if super::super::ground::send(maker.board, &maker.queue, seed, len).is_err() {
                break;
            }
            maker.board.known(seed).add(state::DELETING | state::OLD);
        }
    }
    assert!(maker.queue.send(b"x").is_err(), "the queue is full");
    maker.board.pass_ms(RETENTION_MS + 1000);
    None
}

fn claim(stage: &Stage<'_>, len: usize, commits: bool) {
    let queue = stage.open();
    let body = stage.sending(seeds::TRACED, len);
    begin();
    let sent = match queue.claim(len) {
        Ok(mut claim) if commits => {
            claim.copy_from_slice(body);
            claim.commit();
            Ok(())
        }
        Ok(claim) => {
            claim.abort();
            Err(ringmain::Error::Full) // not sent, as it should be
        }
        Err(error) => Err(error),
    };
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok() == commits, seeds::TRACED, "no claim");
}
