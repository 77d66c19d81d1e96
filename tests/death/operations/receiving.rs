//! Receiving.

use super::super::board::{Board, seeds, state};
use super::super::common::body;
use super::super::ground::{Image, Jobs, Kind, Maker, ONE, RETENTION_MS, RUN, send};
use super::super::stage::{Stage, seed_in, sound};
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN, empty, first, pass_visibility};
use ringmain::Message;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub const ALL: &[Operation] = &[
    Operation {
        name: "receive",
        operate: |stage| receive(stage),
        ..PLAIN
    },
    Operation {
        name: "receive, looking who has died",
        operate: |stage| {
            stage.board.pass_ms(20);
            receive(stage);
        },
        ..PLAIN
    },
    Operation {
        name: "receive_batch",
        prepare: mixed,
        operate: receive_batch,
        ..PLAIN
    },
    Operation {
        name: "receive_into",
        operate: receive_into,
        ..PLAIN
    },
    Operation {
        name: "receive, dropping old ones",
        prepare: old,
        operate: receive,
        ..PLAIN
    },
    Operation {
        name: "receive, the delay just over",
        prepare: delayed,
        operate: |stage| {
            stage.board.pass_ms(1000);
            for (_, entry) in stage.board.named() {
                entry.add(state::LATE); // not in flight, whatever the words say
            }
            receive(stage);
        },
        ..PLAIN
    },
    Operation {
        name: "receive, striking empty blocks out",
        kind: Kind::Wide,
        prepare: empty_blocks,
        operate: receive,
        ..PLAIN
    },
    Operation {
        name: "receive, expiring others' holds",
        prepare: detached,
        hold: first,
        operate: |stage| {
            let queue = stage.open();
            let own = stage.take(&queue);
            pass_visibility(stage);
            receive_from(stage, &queue);
            sound(stage.board, own.body());
        },
        ..PLAIN
    },
    Operation {
        name: "receive_timeout, woken",
        prepare: empty,
        operate: receive_timeout,
        asleep: Some(wake),
        ..PLAIN
    },
];

/// Messages whose delay is a second.
fn delayed(maker: &Maker<'_>) -> Option<Image> {
    for (seed, len) in (seeds::GROUND..).zip([ONE, RUN]) {
        let body = body(seed, len);
        let entry = maker.board.known(seed);
        entry.len.store(len as u32, SeqCst);
        entry.add(state::SENDING | state::SENT);
        let message = Message::new(&body).delay(Duration::from_secs(1));
        maker.queue.send_message(&message).expect("room");
    }
    None
}

/// Three blocks are empty, the fourth has four messages, and the receivers' cursor stands at the
/// first slot.
fn empty_blocks(maker: &Maker<'_>) -> Option<Image> {
    for seed in seeds::MANY..seeds::MANY + 3 * 64 + 4 {
        maker.send(seed, ONE);
    }
    for _ in 0..3 * 64 {
        let held = maker.queue.receive().expect("received").expect("there");
        let seed = seed_in(held.body());
        held.delete().expect("deleted");
        maker
            .board
            .known(seed)
            .add(state::DELETING | state::DELETED | state::CAME);
    }
    let mut image = Image::of(maker.path);
    image.leave(1);
    image.rewind(2);
    Some(image)
}

/// Messages of one slot and of several.
fn mixed(maker: &Maker<'_>) -> Option<Image> {
    for (seed, len) in (seeds::GROUND..).zip([ONE, RUN, ONE, ONE, RUN, 8]) {
        maker.send(seed, len);
    }
    None
}

/// Two messages that are older than the retention, one of them long, and two fresh ones.
fn old(maker: &Maker<'_>) -> Option<Image> {
    for (seed, len) in [(1, ONE), (2, RUN)] {
        maker.send(seed, len);
        maker.board.known(seed).add(state::DELETING | state::OLD);
    }
    maker.board.pass_ms(RETENTION_MS + 1000);
    for seed in [3, 4] {
        maker.send(seed, ONE);
    }
    maker.queue.tend().expect("tended");
    None
}

/// Five messages, and two more that are in flight and nobody's.
fn detached(maker: &Maker<'_>) -> Option<Image> {
    for seed in [6, 7] {
        maker.send(seed, ONE);
        let held = maker.queue.receive().expect("received").expect("there");
        held.detach();
        maker.board.known(seed).add(state::LATE);
    }
    super::five(maker)
}

fn receive(stage: &Stage<'_>) {
    receive_from(stage, &stage.open());
}

fn receive_from(stage: &Stage<'_>, queue: &Jobs) {
    begin();
    let received = queue.receive();
    if let Ok(Some(held)) = &received {
        stage.holds(held.body());
    }
    end();
    stage.must(received.is_ok(), 0, "a receive failed");
    if let Ok(Some(held)) = received {
        stage.settle(held);
    }
}

fn receive_batch(stage: &Stage<'_>) {
    let queue = stage.open();
    begin();
    let batch = queue.receive_batch(10);
    for held in batch.iter().flatten() {
        stage.holds(held.body());
    }
    end();
    stage.must(batch.is_ok(), 0, "a receive failed");
    for held in batch.into_iter().flatten() {
        stage.settle(held);
    }
}

fn receive_into(stage: &Stage<'_>) {
    let queue = stage.open();
    let mut buffer = [0; 512];
    begin();
    let copied = queue.receive_into(&mut buffer);
    if let Ok(Some(copied)) = &copied {
        stage.holds(&buffer[..copied.len]);
    }
    end();
    stage.must(copied.is_ok(), 0, "a receive failed");
    if let Ok(Some(copied)) = copied
        && let Some((_, seed)) = sound(stage.board, &buffer[..copied.len])
    {
        stage.deleting(seed);
        let deleted = queue.delete(&copied.receipt);
        stage.deleted(seed, &deleted);
        stage.must(deleted.is_ok(), seed, "what it holds cannot be deleted");
    }
}

fn receive_timeout(stage: &Stage<'_>) {
    let queue = stage.open();
    begin();
    let received = queue.receive_timeout(Duration::from_secs(20));
    if let Ok(Some(held)) = &received {
        stage.holds(held.body());
    }
    end();
    stage.must(matches!(received, Ok(Some(_))), 0, "not woken");
    if let Ok(Some(held)) = received {
        stage.settle(held);
    }
}

/// Sends a message to the one who sleeps, once those before have come to somebody.
fn wake(board: &'static Board, queue: &Jobs) {
    let own = [0, 6, 7, 8, 9].map(|n| seeds::TRACER + n);
    let waits = |seed: &u64| {
        let entry = board.known(*seed);
        let gone = state::CAME | state::DELETING | state::HELD;
        entry.has(state::SENT) && !entry.has(gone)
    };
    if own.iter().any(waits) {
        return;
    }
    if let Some(&seed) = own
        .iter()
        .find(|&&seed| !board.known(seed).has(state::SENDING))
    {
        let _ = send(board, queue, seed, ONE); // full is as good: then something is there
    }
}
