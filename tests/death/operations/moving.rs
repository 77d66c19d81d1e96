//! Moves to another queue: dead letters.

use super::super::board::{seeds, state};
use super::super::ground::{Image, Kind, Maker, ONE, RECEIVES_MAX, RUN, dead_of, open_apart};
use super::super::ground::{open_both, send};
use super::super::stage::Stage;
use super::super::tracer::{Stop, Traced, Way, begin, end, told};
use super::{Operation, PLAIN, seed_in};

pub const ALL: &[Operation] = &[
    Operation {
        name: "receive, moving a dead letter",
        kind: Kind::Dead,
        prepare: |maker| failed(maker, &[ONE]),
        operate: receive,
        ..PLAIN
    },
    Operation {
        name: "receive, moving a run",
        kind: Kind::Dead,
        prepare: |maker| failed(maker, &[RUN]),
        operate: receive,
        ..PLAIN
    },
    Operation {
        name: "receive_batch, moving some of ten",
        kind: Kind::Dead,
        prepare: |maker| {
            failed(maker, &[ONE, RUN, ONE]);
            for seed in seeds::GROUND + 3..seeds::GROUND + 6 {
                maker.send(seed, ONE);
            }
            None
        },
        operate: |stage| {
            let queue = stage.open();
            begin();
            let batch = queue.receive_batch(10);
            end();
            // Beside the dead letters there are three, and what a survivor has sent meanwhile.
            let batch = batch.expect("received");
            stage.must(batch.len() >= 3, 0, "not what had not failed");
            for held in batch {
                stage.holds(held.body());
                stage.settle(held);
            }
        },
        ..PLAIN
    },
    Operation {
        name: "redrive, two of three",
        kind: Kind::Dead,
        prepare: |maker| {
            let (_, dead) = open_both(maker.board, maker.path);
            let dead = dead.expect("there is one");
            for (seed, len) in (seeds::GROUND..).zip([ONE, RUN, ONE]) {
                send(maker.board, &dead, seed, len).expect("room");
            }
            None
        },
        operate: |stage| {
            let (queue, dead) = open_both(stage.board, stage.path);
            let dead = dead.expect("there is one");
            begin();
            let redriven = dead.redrive(&queue, 2);
            end();
            stage.must(redriven.is_ok_and(|moved| moved == 2), 0, "not redriven");
        },
        ..PLAIN
    },
    Operation {
        name: "with_dead_letters, after a sealer's death",
        prepare: |maker| mid_move(maker, Image::has_held, Image::has_arrival),
        ..FINISHED
    },
    Operation {
        name: "with_dead_letters, after a departure",
        prepare: |maker| mid_move(maker, Image::has_departed, Image::has_arrival),
        ..FINISHED
    },
    Operation {
        name: "with_dead_letters, after a landing",
        prepare: |maker| mid_move(maker, Image::has_departed, Image::has_ready),
        ..FINISHED
    },
];

/// Finishes what a dead mover has left.
const FINISHED: Operation = Operation {
    kind: Kind::MidMove,
    operate: |stage| {
        let (queue, dead) = open_apart(stage.board, stage.path);
        begin();
        let queue = queue.with_dead_letters(dead);
        end();
        stage.must(queue.is_ok(), 0, "not linked");
    },
    ..PLAIN
};

/// A mover of a run has died when both queues were as these say.
fn mid_move(
    maker: &Maker<'_>,
    source: fn(&Image) -> bool,
    target: fn(&Image) -> bool,
) -> Option<Image> {
    failed(maker, &[RUN]);
    let stage = Stage {
        board: maker.board,
        path: maker.path,
        receipts: &[],
    };
    let mover = Traced::start(|| {
        receive(&stage);
        0
    });
    let mover = mover.unwrap_or_else(|status| panic!("the mover {}", told(status)));
    let step = Way {
        steps: 1,
        ..Way::default()
    };
    while !source(&Image::of(maker.path)) || !target(&Image::of(&dead_of(maker.path))) {
        let stop = mover.advance(step, None);
        assert!(matches!(stop, Stop::At(_)), "the mover passes that by");
    }
    mover.kill();
    maker.board.known(seeds::GROUND).add(state::HELD);
    let mut image = Image::of(maker.path);
    image.leave(1);
    image.forget_processes();
    Some(image)
}

/// Messages that have been received as often as they may be.
fn failed(maker: &Maker<'_>, lens: &[usize]) -> Option<Image> {
    for (seed, len) in (seeds::GROUND..).zip(lens) {
        maker.send(seed, *len);
    }
    for _ in 0..RECEIVES_MAX {
        let batch = maker.queue.receive_batch(10).expect("received");
        assert_eq!(batch.len(), lens.len(), "all are there");
        for outcome in batch.release() {
            outcome.expect("released");
        }
    }
    None
}

fn receive(stage: &Stage<'_>) {
    let queue = stage.open();
    begin();
    let received = queue.receive();
    end();
    // A survivor may have sent others meanwhile.
    if let Some(held) = received.expect("received") {
        stage.must(seed_in(held.body()) >= seeds::TRACER, 0, "not moved");
        stage.holds(held.body());
        stage.settle(held);
    }
}
