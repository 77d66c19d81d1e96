//! Redrives as tasks: begun, paced, told, cancelled, and finished by others.

use crate::common::child;
use crate::{in_shm, is_clean, over_both, small, with};
use ringmain::{Engine, EngineQueue, Error, Home, QueueOptions, RedriveOptions, RedriveState};
use std::time::{Duration, Instant};

over_both! {
    messages_go_back_to_their_sources
    messages_go_to_a_named_queue
    what_is_refused
    one_that_is_cancelled_stops
    a_rate_is_kept
    what_has_no_source_is_left
    a_full_destination_is_waited_for
    ten_are_remembered
}

const PLAIN: RedriveOptions = RedriveOptions::new();

/// Two sources and their queue of dead letters.
fn three<H: Home>(engine: &Engine<H>) -> [EngineQueue<H>; 3] {
    let dead = engine.create_queue("dead", &small()).expect("a queue");
    let source = |name| {
        let spec = with(QueueOptions::new()).dead_letters("dead", 1);
        engine.create_queue(name, &spec).expect("a queue")
    };
    [source("one"), source("two"), dead]
}

/// Sends a message that fails, and is moved.
fn fails<H: Home>(queue: &EngineQueue<H>, body: &[u8]) {
    queue.send(body).expect("room");
    let received = queue.receive().expect("received").expect("a message");
    received.release().expect("released");
    assert!(queue.receive().expect("looked").is_none(), "moved");
}

fn visible<H: Home>(queue: &EngineQueue<H>) -> u64 {
    queue.stat().expect("figures").visible
}

fn redrive<H: Home>(engine: &Engine<H>, options: &RedriveOptions) -> ringmain::RedriveStatus {
    engine.start_redrive("dead", options).expect("begun");
    engine.run_redrive("dead").expect("ended")
}

fn messages_go_back_to_their_sources<H: Home>(engine: &Engine<H>) {
    let [one, two, dead] = three(engine);
    for number in 0..9u8 {
        fails(if number % 3 == 0 { &one } else { &two }, &[number]);
    }
    let letter = dead.receive().expect("received").expect("a dead letter");
    assert_eq!(letter.source(), Some("one"));
    letter.release().expect("released");
    assert_eq!(visible(&dead), 9);
    let begun = engine.start_redrive("dead", &PLAIN).expect("begun");
    assert_eq!(
        (begun.state, begun.moved, begun.total),
        (RedriveState::Running, 0, 9)
    );
    assert_eq!((begun.queue.as_str(), begun.rate), ("dead", 500));
    let ended = engine.run_redrive("dead").expect("ended");
    assert_eq!(
        (ended.state, ended.moved, ended.skipped),
        (RedriveState::Completed, 9, 0)
    );
    assert_eq!(
        ended.to_string(),
        "dead to their sources: completed, 9 of 9 moved"
    );
    assert_eq!([&one, &two, &dead].map(|queue| visible(queue)), [3, 6, 0]);
    assert_eq!(engine.redrives("dead"), Ok(vec![ended]));
    let back = one.receive().expect("received").expect("a message");
    assert_eq!((back.receive_count(), back.source()), (1, None));
    back.delete().expect("deleted");
}

fn messages_go_to_a_named_queue<H: Home>(engine: &Engine<H>) {
    let [one, two, dead] = three(engine);
    let other = engine.create_queue("other", &small()).expect("a queue");
    for number in 0..5u8 {
        fails(&one, &[number]);
    }
    dead.send(b"sent here itself").expect("room");
    let ended = redrive(engine, &PLAIN.to("other"));
    assert_eq!((ended.state, ended.moved), (RedriveState::Completed, 6));
    assert_eq!(ended.destination.as_deref(), Some("other"));
    assert_eq!(
        [&one, &two, &dead, &other].map(|queue| visible(queue)),
        [0, 0, 0, 6]
    );
}

fn what_is_refused<H: Home>(engine: &Engine<H>) {
    let [one, _two, dead] = three(engine);
    let begin = |name: &str, options: &RedriveOptions| {
        let begun = engine.start_redrive(name, options);
        begun.map(|_| ()).expect_err("refused")
    };
    for rate in [0, 501] {
        let said = begin("dead", &PLAIN.rate(rate)).to_string();
        let expected = format!("redrive rate (messages/s) is {rate}; it must be 1 to 500");
        assert_eq!(said, expected);
    }
    for rate in [1, 500] {
        engine
            .start_redrive("dead", &PLAIN.rate(rate))
            .expect("a rate at its bound");
        engine.cancel_redrive("dead").expect("cancelled");
    }
    let said = begin("one", &PLAIN).to_string();
    assert!(said.contains("no queue's queue of dead letters"), "{said}");
    assert!(matches!(
        begin("dead", &PLAIN.to("dead")),
        Error::Redrive { .. }
    ));
    assert!(matches!(
        begin("dead", &PLAIN.to("none")),
        Error::Redrive { .. }
    ));
    assert!(matches!(
        begin("dead", &PLAIN.to("a b")),
        Error::Name { .. }
    ));
    assert_eq!(begin("none", &PLAIN), Error::NoQueue);
    let none = Error::Redrive {
        problem: "none of this queue is under way",
    };
    assert_eq!(engine.run_redrive("dead"), Err(none.clone()));
    assert_eq!(engine.cancel_redrive("dead"), Err(none.clone()));
    fails(&one, b"x");
    engine.start_redrive("dead", &PLAIN).expect("begun");
    assert!(
        matches!(begin("dead", &PLAIN), Error::Redrive { .. }),
        "one at a time"
    );
    assert_eq!(visible(&dead), 1, "nobody runs it");
    assert_eq!(engine.resume_redrives().expect("run").len(), 1);
    assert_eq!(engine.resume_redrives(), Ok(vec![]));
    assert_eq!((visible(&dead), visible(&one)), (0, 1));
}

fn one_that_is_cancelled_stops<H: Home>(engine: &Engine<H>) {
    let [one, _two, dead] = three(engine);
    for number in 0..60u8 {
        fails(&one, &[number]);
    }
    engine
        .start_redrive("dead", &PLAIN.rate(20))
        .expect("begun");
    let ended = std::thread::scope(|scope| {
        let runner = scope.spawn(|| engine.run_redrive("dead"));
        while engine.redrives("dead").expect("told")[0].moved < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let busy = engine.run_redrive("dead").expect_err("somebody runs it");
        assert!(busy.to_string().contains("somebody runs it"), "{busy}");
        engine.cancel_redrive("dead").expect("cancelled");
        runner.join().expect("no panic").expect("ended")
    });
    assert_eq!(ended.state, RedriveState::Cancelled);
    let (there, back) = (visible(&dead), visible(&one));
    assert_eq!(there + back, 60);
    assert!((3..60).contains(&back), "{back}");
    let ended = redrive(engine, &PLAIN);
    assert_eq!((ended.moved, visible(&one)), (there, 60));
}

fn a_rate_is_kept<H: Home>(engine: &Engine<H>) {
    let [one, _two, _dead] = three(engine);
    for number in 0..11u8 {
        fails(&one, &[number]);
    }
    let begun = Instant::now();
    redrive(engine, &PLAIN.rate(20));
    // Ten pauses of 50 ms; how much longer is the machine's.
    assert!(begun.elapsed() >= Duration::from_millis(500));
}

fn what_has_no_source_is_left<H: Home>(engine: &Engine<H>) {
    let [one, two, dead] = three(engine);
    fails(&one, b"one");
    fails(&two, b"two");
    dead.send(b"sent here itself").expect("room");
    engine.delete_queue("two").expect("deleted");
    let ended = redrive(engine, &PLAIN);
    assert_eq!(
        (ended.state, ended.moved, ended.skipped),
        (RedriveState::Completed, 1, 2)
    );
    assert_eq!(
        ended.to_string(),
        "dead to their sources: completed, 1 of 3 moved, 2 left"
    );
    let stat = dead.stat().expect("figures");
    assert_eq!(
        (stat.visible, stat.in_flight),
        (0, 2),
        "visible again later"
    );
    let ended = redrive(engine, &PLAIN.to("one"));
    assert_eq!(ended.moved, 0, "they are in flight");
}

fn a_full_destination_is_waited_for<H: Home>(engine: &Engine<H>) {
    let [one, _two, dead] = three(engine);
    fails(&one, b"waits");
    let mut filled = 0;
    while one.send(b"in the way").is_ok() {
        filled += 1;
    }
    engine.start_redrive("dead", &PLAIN).expect("begun");
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| engine.run_redrive("dead"));
        std::thread::sleep(Duration::from_millis(120));
        assert_eq!(engine.redrives("dead").expect("told")[0].moved, 0);
        let received = one.receive().expect("received").expect("a message");
        received.delete().expect("deleted");
        let ended = runner.join().expect("no panic").expect("ended");
        assert_eq!((ended.state, ended.moved), (RedriveState::Completed, 1));
    });
    assert_eq!((visible(&one), visible(&dead)), (filled, 0));
}

fn ten_are_remembered<H: Home>(engine: &Engine<H>) {
    let [_one, _two, _dead] = three(engine);
    for _ in 0..12 {
        redrive(engine, &PLAIN);
    }
    let ids: Vec<u64> = engine
        .redrives("dead")
        .expect("told")
        .iter()
        .map(|r| r.id)
        .collect();
    assert_eq!(ids, (3..=12).collect::<Vec<_>>());
}

#[test]
fn a_runner_dies_and_another_one_finishes() {
    const MESSAGES: u64 = 200;
    const TEST: &str = "redrive::a_runner_dies_and_another_one_finishes";
    if child::role().is_some() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let _ = engine.run_redrive("dead"); // whoever was killed before may not be gone yet
        return;
    }
    let (dir, engine) = in_shm("redrive");
    let [one, _two, dead] = three(&engine);
    let mut begun = Vec::new();
    for number in 0..MESSAGES {
        begun.push(number);
        fails(&one, &number.to_le_bytes());
    }
    engine.start_redrive("dead", &PLAIN).expect("begun");
    let mut kills = 0;
    while visible(&dead) > MESSAGES / 4 {
        let argument = dir.path().to_str().expect("UTF-8");
        let runner = child::command(TEST, "runner", argument).spawn();
        let mut runner = runner.expect("a child");
        let before = visible(&dead);
        let begun = Instant::now();
        while visible(&dead) > before - 3 - kills % 5 {
            assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
            std::thread::yield_now();
        }
        runner.kill().expect("killed");
        runner.wait().expect("its end");
        kills += 1;
        engine.tend().expect("tended");
        let status = &engine.redrives("dead").expect("told")[0];
        assert_eq!(status.state, RedriveState::Running);
    }
    assert!(kills > 3, "{kills} deaths");
    let ended = engine.resume_redrives().expect("run");
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].state, RedriveState::Completed);
    // A death between a move and its count leaves the count wrong.
    assert!(ended[0].moved.abs_diff(MESSAGES) <= kills, "{}", ended[0]);
    let mut came = Vec::new();
    for queue in [&one, &dead] {
        while let Some(received) = queue.receive().expect("received") {
            let body = received.body().try_into().expect("eight bytes");
            came.push(u64::from_le_bytes(body));
            received.delete().expect("deleted");
        }
        let stat = queue.stat().expect("figures");
        assert_eq!(stat.slots_free, stat.slots, "leaked");
    }
    came.sort_unstable();
    assert_eq!(came, begun, "lost or doubled");
    is_clean(&engine);
}
