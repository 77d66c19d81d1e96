//! Changes of an engine: making and deleting queues, saying where dead letters go, redrives.

use super::super::board::{Board, Fault, seeds, state};
use super::super::engine::{Change, Check, DEAD, JOBS, Service, spec};
use super::super::ground::{ONE, RUN, send};
use super::super::tracer::{begin, end};
use ringmain::{Durability, Error, QueueOptions, QueueSpec, RedriveOptions, RedriveState};
use std::time::Duration;

/// Receives of a message before it is a dead letter.
const RECEIVES: u32 = 2;
/// The messages of the queue that is changed.
const LETTERS: std::ops::Range<u64> = 5..8;

const PLAIN: Change = Change {
    name: "",
    prepare: |engine, board| with_jobs(engine, board, &spec()),
    operate: |_, _| {},
    look: |_, _| {},
    opens_all: false,
};

pub const ALL: &[Change] = &[
    Change {
        name: "Engine::create_queue",
        prepare: |_, _| {},
        operate: |engine, board| create(engine, board, &linked()),
        look: |check, engine| is_made(check, engine, &linked()),
        ..PLAIN
    },
    Change {
        name: "Engine::create_queue, with a journal",
        prepare: |_, _| {},
        operate: |engine, board| create(engine, board, &journaled()),
        look: |check, engine| is_made(check, engine, &journaled()),
        ..PLAIN
    },
    Change {
        name: "Engine::delete_queue",
        operate: delete,
        look: |check, engine| is_deleted(check, engine, &spec()),
        ..PLAIN
    },
    Change {
        name: "Engine::delete_queue, with a journal",
        prepare: |engine, board| with_jobs(engine, board, &journaled()),
        operate: delete,
        look: |check, engine| is_deleted(check, engine, &journaled()),
        ..PLAIN
    },
    Change {
        name: "Engine::set_dead_letters",
        operate: |engine, board| set_dead_letters(engine, board, Some((DEAD, RECEIVES))),
        look: has_target_or_none,
        ..PLAIN
    },
    Change {
        name: "Engine::set_dead_letters, to none",
        prepare: |engine, board| with_jobs(engine, board, &linked()),
        operate: |engine, board| set_dead_letters(engine, board, None),
        look: has_target_or_none,
        ..PLAIN
    },
    Change {
        name: "Engine::start_redrive",
        prepare: with_letters,
        operate: |engine, board| {
            begin();
            let started = engine.start_redrive(DEAD, &RedriveOptions::new());
            end();
            must(board, started.is_ok(), "not started");
        },
        look: is_redriven,
        ..PLAIN
    },
    Change {
        name: "Engine::cancel_redrive",
        prepare: with_redrive,
        operate: |engine, board| {
            begin();
            let cancelled = engine.cancel_redrive(DEAD);
            end();
            must(board, cancelled.is_ok(), "not cancelled");
        },
        look: is_redriven,
        ..PLAIN
    },
    Change {
        name: "Engine::run_redrive",
        prepare: with_redrive,
        operate: |engine, board| {
            begin();
            let run = engine.run_redrive(DEAD);
            end();
            let completed = run.is_ok_and(|run| run.state == RedriveState::Completed);
            must(board, completed, "not completed");
        },
        look: is_redriven,
        opens_all: true,
    },
];

fn must(board: &Board, right: bool, what: &'static str) {
    if !right {
        board.fault(Fault::Stuck, 0, what);
    }
}

fn linked() -> QueueSpec {
    spec().dead_letters(DEAD, RECEIVES).tag("team", "blue")
}

fn journaled() -> QueueSpec {
    let options = QueueOptions::new().typical_body(32);
    spec().options(options.durability(Durability::BeforeOk))
}

/// Messages that have been received as often as they may be, though nobody counts as yet.
fn with_jobs(engine: &Service, board: &'static Board, spec: &QueueSpec) {
    let jobs = engine.create_queue(JOBS, spec).expect("a queue");
    for (seed, len) in LETTERS.zip([ONE, RUN, ONE]) {
        send(board, &jobs, seed, len).expect("room");
    }
    for _ in 0..RECEIVES {
        for outcome in jobs.receive_batch(10).expect("received").release() {
            outcome.expect("released");
        }
    }
}

/// One of them has become a dead letter.
fn with_letters(engine: &Service, board: &'static Board) {
    let jobs = engine.create_queue(JOBS, &linked()).expect("a queue");
    send(board, &jobs, seeds::GROUND + 8, RUN).expect("room");
    for _ in 0..=RECEIVES {
        if let Some(held) = jobs.receive().expect("received") {
            held.release().expect("released");
        }
    }
    for (seed, len) in LETTERS.zip([ONE, RUN, ONE]) {
        send(board, &jobs, seed, len).expect("room");
    }
}

fn with_redrive(engine: &Service, board: &'static Board) {
    with_letters(engine, board);
    let started = engine.start_redrive(DEAD, &RedriveOptions::new());
    assert_eq!(started.expect("started").total, 1, "one is there");
}

fn create(engine: &Service, board: &Board, spec: &QueueSpec) {
    begin();
    let made = engine.create_queue(JOBS, spec);
    end();
    must(board, made.is_ok(), "not created");
}

fn delete(engine: &Service, board: &'static Board) {
    begin();
    let deleted = engine.delete_queue(JOBS);
    end();
    must(board, deleted.is_ok(), "not deleted");
}

fn set_dead_letters(engine: &Service, board: &Board, policy: Option<(&str, u32)>) {
    begin();
    let set = engine.set_dead_letters(JOBS, policy);
    end();
    must(board, set.is_ok(), "not set");
}

/// It is there with all that was asked for, or can be made so.
fn is_made(check: &Check<'_>, engine: &Service, spec: &QueueSpec) {
    if check.is_there(engine, JOBS) {
        is_as_asked(check, engine, spec);
    }
    match engine.create_queue(JOBS, spec) {
        Ok(queue) => check.is_usable(&queue),
        Err(_) => check.fault(Fault::Stuck, 0, "cannot be made any more"),
    }
    is_as_asked(check, engine, spec);
}

fn is_as_asked(check: &Check<'_>, engine: &Service, spec: &QueueSpec) {
    let linked = *spec == linked();
    let right = engine.describe(JOBS).is_ok_and(|jobs| {
        let target = jobs.dead_letters.map(|to| (to.target, to.max_receives));
        let tag = jobs.tags.get("team").map(String::as_str);
        let free = jobs.stats.slots_free == jobs.stats.slots;
        let target_is = target == linked.then(|| (DEAD.to_string(), RECEIVES));
        free && target_is && tag == linked.then_some("blue")
    });
    if !right {
        check.fault(
            Fault::Damaged,
            0,
            "a queue is not what its creator asked for",
        );
    }
}

/// It is whole, or gone for everybody; and then its name is free.
fn is_deleted(check: &Check<'_>, engine: &Service, spec: &QueueSpec) {
    let jobs = check.jobs.expect("it was open");
    let gone = jobs.stat().is_err();
    if check.board.known(LETTERS.start).has(state::DELETED) {
        check.must(gone, "a deleted queue is back");
    } else if gone {
        check.must(!check.is_there(engine, JOBS), "a deleted queue opens");
    } else {
        check.must(check.is_there(engine, JOBS), "a queue does not open");
        let there = jobs.stat().map(|stat| stat.visible);
        if there != Ok(LETTERS.count() as u64) {
            check.fault(Fault::Lost, 0, "not all messages of a queue are there");
        }
        check.must(
            engine.delete_queue(JOBS).is_ok(),
            "cannot be deleted any more",
        );
    }
    for seed in LETTERS {
        check.board.known(seed).add(state::DELETED);
    }
    let told = [
        jobs.stat().map(drop),
        jobs.send(b"late").map(drop),
        jobs.receive().map(drop),
        jobs.receive_timeout(Duration::ZERO).map(drop),
        jobs.purge().map(drop),
    ];
    check.must(
        told.iter().all(|told| *told == Err(Error::Deleted)),
        "a handle is not told",
    );
    match engine.create_queue(JOBS, spec) {
        Ok(queue) => check.is_usable(&queue),
        Err(_) => check.fault(Fault::Stuck, 0, "the name cannot be used again"),
    }
}

/// The card says the one or the other, and it can be set again.
fn has_target_or_none(check: &Check<'_>, engine: &Service) {
    let policy = || {
        let jobs = engine.describe(JOBS);
        jobs.map(|jobs| jobs.dead_letters.map(|to| (to.target, to.max_receives)))
    };
    let target = Some((DEAD.to_string(), RECEIVES));
    let found = policy();
    check.must(
        found == Ok(None) || found == Ok(target.clone()),
        "neither set nor not",
    );
    check.must(engine.tend().is_ok(), "tending failed");
    check.must(policy() == found, "a tend makes something else of it");
    for to in [None, Some((DEAD, RECEIVES))] {
        check.must(
            engine.set_dead_letters(JOBS, to).is_ok(),
            "cannot be set any more",
        );
    }
    check.must(policy() == Ok(target), "what was set last does not stand");
}

/// A redrive is under way, or is not, or has ended; and the dead letter comes back by the next.
fn is_redriven(check: &Check<'_>, engine: &Service) {
    let state = || {
        engine
            .redrives(DEAD)
            .map(|all| all.last().map(|last| last.state))
    };
    if !matches!(state(), Ok(Some(RedriveState::Running))) {
        let started = engine.start_redrive(DEAD, &RedriveOptions::new());
        check.must(started.is_ok(), "none can be started");
    }
    let ended = engine.resume_redrives();
    let completed = ended.is_ok_and(|ended| {
        ended.len() == 1 && ended[0].state == RedriveState::Completed && ended[0].skipped == 0
    });
    check.must(completed, "nobody goes on with a redrive");
    let left = engine
        .describe(DEAD)
        .map(|dead| dead.stats.visible + dead.stats.in_flight);
    check.must(left == Ok(0), "a dead letter is not redriven");
}
