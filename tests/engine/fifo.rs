//! FIFO queues by name: their kind is in their name, and what an engine does for standard queues it
//! does for them, in both homes.

use crate::common::child;
use crate::{in_shm, over_both, small};
use ringmain::{
    AlarmOptions, AlarmState, Comparison, DedupScope, Engine, EngineFifoQueue, Error, FifoOptions,
    Heap, Home, ManualClock, Mapped, Metric, Monitor, Problem, QueueSpec, RedriveOptions,
    RedriveState,
};
use std::time::{Duration, Instant};

over_both! {
    the_name_says_the_kind
    creation_is_idempotent_and_names_what_differs
    one_is_described_tagged_and_set
    the_other_kind_is_refused_by_type
    handles_of_a_deleted_one_are_told
    dead_letters_go_in_order_and_come_back
    dead_letters_stay_with_their_kind
    what_does_not_fit_is_left_with_its_group_behind_it
    tending_and_alarms_serve_both_kinds
    a_redrive_that_was_cancelled_keeps_the_order
}

/// A small FIFO queue.
fn fifo() -> QueueSpec<FifoOptions> {
    QueueSpec::fifo(FifoOptions::new()).bytes(256 << 10)
}

fn make<H: Home>(engine: &Engine<H>, name: &str) -> EngineFifoQueue<H> {
    engine.create_fifo_queue(name, &fifo()).expect("a queue")
}

/// A queue whose messages are dead letters of `dead` after one receive.
fn failing<H: Home>(engine: &Engine<H>, name: &str, dead: &str) -> EngineFifoQueue<H> {
    let spec = fifo().dead_letters(dead, 1);
    engine.create_fifo_queue(name, &spec).expect("a queue")
}

/// Receives and deletes all that there is, as `group:body`.
fn drain<H: Home>(queue: &EngineFifoQueue<H>) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(message) = queue.receive().expect("received") {
        let body = String::from_utf8_lossy(message.body()).into_owned();
        all.push(format!("{}:{body}", message.group().expect("a group")));
        message.delete().expect("deleted");
    }
    all
}

/// Those of one group.
fn of_group(all: &[String], group: &str) -> Vec<String> {
    let bodies = all.iter().filter_map(|message| message.split_once(':'));
    let of_it = bodies.filter(|(of, _)| *of == group);
    of_it.map(|(_, body)| body.to_owned()).collect()
}

/// Sends `count` messages to each of two groups, each of which fails once.
fn fail_all<H: Home>(queue: &EngineFifoQueue<H>, count: usize) {
    for number in 0..count {
        for group in ["a", "b"] {
            let (id, body) = (format!("{group}{number}"), number.to_string());
            queue.send(group, &*id, body.as_bytes()).expect("room");
        }
    }
    let mut received = 0;
    while let Some(message) = queue.receive().expect("received") {
        message.release().expect("released");
        received += 1;
    }
    assert_eq!(received, 2 * count, "each once");
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn the_name_says_the_kind<H: Home>(engine: &Engine<H>) {
    let refused = |outcome: Result<(), Error>, at: usize, words: &str| {
        let Err(error @ Error::Name { at: found, .. }) = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(*found, at);
        assert!(error.to_string().contains(words), "{error}");
    };
    let standard = engine.create_queue("orders.fifo", &small()).map(drop);
    refused(standard, 6, "that of a FIFO queue");
    for name in ["orders", "ordersfifo", "orders-fifo"] {
        let plain = engine.create_fifo_queue(name, &fifo()).map(drop);
        refused(plain, name.len(), "ends in .fifo");
    }
    for (name, at) in [(".fifo", 0), ("a/b.fifo", 1), ("a.fifo.fifo", 1)] {
        let bad = engine.create_fifo_queue(name, &fifo()).map(drop);
        refused(bad, at, "a name");
    }
    let longest = format!("{}.fifo", "n".repeat(75));
    make(engine, &longest);
    let too_long = format!("n{longest}");
    refused(
        engine.create_fifo_queue(&too_long, &fifo()).map(drop),
        76,
        "1 to 80",
    );
    assert_eq!(engine.queues("").expect("names"), [longest]);
}

fn creation_is_idempotent_and_names_what_differs<H: Home>(engine: &Engine<H>) {
    let options = FifoOptions::new().content_dedup(true).dedup_ids(100);
    let spec = fifo().options(options);
    let first = engine.create_fifo_queue("q.fifo", &spec).expect("a queue");
    first.send("g", None, b"one").expect("room");
    let again = engine.create_fifo_queue("q.fifo", &spec).expect("the same");
    let body = again.receive().expect("received").expect("sent");
    assert_eq!(body.body(), b"one");
    drop(body);
    let others = [
        (options.content_dedup(false), "content_dedup"),
        (
            options.dedup_scope(DedupScope::Group),
            "dedup_scope (1: group)",
        ),
        (options.quota(true), "quota"),
        (
            options.dedup_interval(Duration::from_secs(9)),
            "dedup_interval (ms)",
        ),
        (options.dedup_ids(101), "dedup_ids"),
    ];
    for (other, what) in others {
        let outcome = engine.create_fifo_queue("q.fifo", &fifo().options(other));
        let Err(Error::OptionsDiffer { option, .. }) = outcome else {
            panic!("{what}: {outcome:?}");
        };
        assert_eq!(option, what);
    }
    let outcome = engine.create_fifo_queue("q.fifo", &spec.bytes(512 << 10));
    let differs = |outcome| {
        matches!(
            outcome,
            Err(Error::OptionsDiffer {
                option: "bytes",
                ..
            })
        )
    };
    assert!(differs(outcome.map(drop)));
}

fn one_is_described_tagged_and_set<H: Home>(engine: &Engine<H>) {
    make(engine, "dead.fifo");
    let options = FifoOptions::new()
        .content_dedup(true)
        .dedup_ids(64)
        .max_body(1000);
    let spec = fifo().options(options).tag("team", "blue");
    let spec = spec.dead_letters("dead.fifo", 3);
    let queue = engine.create_fifo_queue("q.fifo", &spec).expect("a queue");
    queue.send("g", None, b"one").expect("room");
    engine.tag("q.fifo", "cost", "7").expect("tagged");
    let visibility = Duration::from_secs(5);
    engine
        .reconfigure("q.fifo", |options| options.visibility(visibility))
        .expect("set");
    assert_eq!(queue.options().get_queue().get_visibility(), visibility);
    let told = engine.describe("q.fifo").expect("a queue");
    assert_eq!(told.fifo, Some(queue.options()));
    assert_eq!(told.options.get_visibility(), visibility);
    assert_eq!((told.stats.visible, told.tags.len()), (1, 2));
    let target = told.dead_letters.map(|to| (to.target, to.max_receives));
    assert_eq!(target, Some(("dead.fifo".into(), 3)));
    let dead = engine.describe("dead.fifo").expect("a queue");
    assert_eq!(dead.sources, ["q.fifo"]);
    engine.create_queue("plain", &small()).expect("a queue");
    assert_eq!(engine.describe("plain").expect("a queue").fifo, None);
    assert_eq!(engine.queues("").expect("names").len(), 3);
}

fn the_other_kind_is_refused_by_type<H: Home>(engine: &Engine<H>) {
    make(engine, "q.fifo");
    engine.create_queue("q", &small()).expect("a queue");
    let found = engine.open_queue("q.fifo").map(drop).expect_err("FIFO");
    assert!(matches!(found, Error::Kind { .. }), "{found}");
    let found = engine.open_fifo_queue("q").map(drop).expect_err("standard");
    assert!(matches!(found, Error::Kind { .. }), "{found}");
    let none = engine.open_fifo_queue("r.fifo").map(drop);
    assert_eq!(none, Err(Error::NoQueue));
}

fn handles_of_a_deleted_one_are_told<H: Home>(engine: &Engine<H>) {
    let queue = make(engine, "q.fifo");
    queue.send("g", "1", b"one").expect("room");
    let waits = engine.clone();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let queue = waits.open_fifo_queue("q.fifo").expect("it is there");
            let first = queue.receive().expect("received");
            let waited = queue.receive_timeout(Duration::from_secs(20));
            (first.is_some(), waited.map(drop))
        });
        while queue.stat().expect("figures").in_flight == 0 {
            std::thread::yield_now();
        }
        engine.delete_queue("q.fifo").expect("deleted");
        assert_eq!(waiter.join().expect("ended"), (true, Err(Error::Deleted)));
    });
    assert_eq!(queue.send("g", "2", b"two").map(drop), Err(Error::Deleted));
    let anew = make(engine, "q.fifo");
    anew.send("g", "1", b"one").expect("nothing is remembered");
    assert_eq!(drain(&anew), ["g:one"]);
}

fn dead_letters_go_in_order_and_come_back<H: Home>(engine: &Engine<H>) {
    const EACH: usize = 20;
    let dead = make(engine, "dead.fifo");
    let queue = failing(engine, "q.fifo", "dead.fifo");
    fail_all(&queue, EACH);
    let stats = dead.stat().expect("figures");
    assert_eq!(stats.visible, 2 * EACH as u64);
    let letter = dead.receive().expect("received").expect("a dead letter");
    assert_eq!(
        (letter.source(), letter.body()),
        (Some("q.fifo"), &b"0"[..])
    );
    letter.release().expect("released");

    engine
        .start_redrive("dead.fifo", &RedriveOptions::new())
        .expect("begun");
    let ended = engine.run_redrive("dead.fifo").expect("ended");
    assert_eq!(
        (ended.state, ended.moved, ended.skipped),
        (RedriveState::Completed, 2 * EACH as u64, 0)
    );
    let all = drain(&queue);
    for group in ["a", "b"] {
        assert_eq!(of_group(&all, group), numbers(EACH), "{all:?}");
    }
    assert_eq!(drain(&dead), [""; 0]);
}

fn dead_letters_stay_with_their_kind<H: Home>(engine: &Engine<H>) {
    let (dead, plain) = (make(engine, "dead.fifo"), small());
    engine.create_queue("plain", &plain).expect("a queue");
    let queue = make(engine, "q.fifo");
    let refused = |outcome: Result<(), Error>| {
        let error = outcome.expect_err("of another kind");
        assert!(matches!(error, Error::DeadLetters { .. }), "{error}");
        assert!(error.to_string().contains("another kind"), "{error}");
    };
    refused(engine.set_dead_letters("q.fifo", Some(("plain", 1))));
    refused(engine.set_dead_letters("plain", Some(("dead.fifo", 1))));
    let spec = fifo().dead_letters("plain", 1);
    refused(engine.create_fifo_queue("r.fifo", &spec).map(drop));
    let spec = plain.dead_letters("dead.fifo", 1);
    refused(engine.create_queue("r", &spec).map(drop));
    assert_eq!(engine.queues("r").expect("names"), [""; 0]);

    let set = engine.set_dead_letters("q.fifo", Some(("dead.fifo", 1)));
    set.expect("both are FIFO queues");
    fail_all(&queue, 3);
    let to = RedriveOptions::new().to("plain");
    let outcome = engine.start_redrive("dead.fifo", &to).map(drop);
    let error = outcome.expect_err("of another kind");
    assert!(matches!(error, Error::Redrive { .. }), "{error}");
    assert_eq!(dead.stat().expect("figures").visible, 6);
}

fn what_does_not_fit_is_left_with_its_group_behind_it<H: Home>(engine: &Engine<H>) {
    let dead = make(engine, "dead.fifo");
    let queue = failing(engine, "q.fifo", "dead.fifo");
    let short = fifo().options(FifoOptions::new().max_body(8));
    let short = engine.create_fifo_queue("short.fifo", &short);
    let short = short.expect("a queue");
    queue.send("a", "1", b"too long for it").expect("room");
    queue.send("a", "2", b"fits").expect("room");
    queue.send("b", "3", b"fits").expect("room");
    while let Some(message) = queue.receive().expect("received") {
        message.release().expect("released");
    }
    let to = RedriveOptions::new().to("short.fifo");
    engine.start_redrive("dead.fifo", &to).expect("begun");
    let ended = engine.run_redrive("dead.fifo").expect("ended");
    assert_eq!((ended.moved, ended.skipped, ended.total), (1, 1, 3));
    assert_eq!(drain(&short), ["b:fits"], "nothing overtakes in its group");
    let groups = dead.groups().expect("figures");
    assert_eq!((groups.ready, groups.locked), (0, 1));
}

fn tending_and_alarms_serve_both_kinds<H: Home>(engine: &Engine<H>) {
    let queue = make(engine, "q.fifo");
    let plain = engine.create_queue("q", &small()).expect("a queue");
    assert_eq!(engine.tend().expect("tended").dead, 0);
    let clock = ManualClock::new(60_000);
    let deep = AlarmOptions::new(Comparison::GreaterOrEqual, 1.0).period(Duration::from_secs(1));
    let mut monitor = Monitor::new(&clock);
    monitor
        .add("deep", Metric::Visible, deep)
        .expect("in range");
    queue.send("g", "1", b"one").expect("room");
    for _ in 0..2 {
        monitor.look(&queue.stat().expect("figures"), |_, _| {});
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(monitor.state("deep"), Some(AlarmState::Alarm));
    assert_eq!(plain.stat().expect("figures").visible, 0);
}

fn a_redrive_that_was_cancelled_keeps_the_order<H: Home>(engine: &Engine<H>) {
    const EACH: usize = 10;
    let _dead = make(engine, "dead.fifo");
    let queue = failing(engine, "q.fifo", "dead.fifo");
    fail_all(&queue, EACH);
    let slow = RedriveOptions::new().rate(50);
    engine.start_redrive("dead.fifo", &slow).expect("begun");
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| engine.run_redrive("dead.fifo"));
        while queue.stat().expect("figures").visible < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        engine.cancel_redrive("dead.fifo").expect("cancelled");
        let ended = runner.join().expect("ended").expect("its end");
        assert_eq!(ended.state, RedriveState::Cancelled);
    });
    let before = queue.stat().expect("figures").visible;
    assert!(before < 2 * EACH as u64, "{before} of {}", 2 * EACH);
    engine
        .start_redrive("dead.fifo", &RedriveOptions::new())
        .expect("begun");
    let ended = engine.run_redrive("dead.fifo").expect("ended");
    assert_eq!(ended.moved, 2 * EACH as u64 - before);
    let all = drain(&queue);
    for group in ["a", "b"] {
        assert_eq!(of_group(&all, group), numbers(EACH), "{all:?}");
    }
}

#[test]
fn a_runner_dies_and_the_order_stays() {
    const EACH: usize = 60;
    const TEST: &str = "fifo::a_runner_dies_and_the_order_stays";
    if child::role().is_some() {
        let engine = Engine::open(child::argument()).expect("an engine");
        let _ = engine.run_redrive("dead.fifo"); // whoever was killed may not be gone yet
        return;
    }
    let (dir, engine) = in_shm("engine-fifo-deaths");
    let dead = make(&engine, "dead.fifo");
    let queue = failing(&engine, "q.fifo", "dead.fifo");
    fail_all(&queue, EACH);
    let begun = engine.start_redrive("dead.fifo", &RedriveOptions::new());
    assert_eq!(begun.expect("begun").total, 2 * EACH as u64);
    let arrived = || queue.stat().expect("figures").visible;
    for kill in 0..6 {
        let argument = dir.path().to_str().expect("UTF-8");
        let runner = child::command(TEST, "runner", argument).spawn();
        let mut runner = runner.expect("a child");
        let (before, begun) = (arrived(), Instant::now());
        while arrived() < before + 3 + kill {
            assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
            std::thread::yield_now();
        }
        runner.kill().expect("killed");
        runner.wait().expect("its end");
        engine.tend().expect("tended");
    }
    let ended = engine.resume_redrives().expect("run");
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].state, RedriveState::Completed);
    let mut all = drain(&queue);
    let left = drain(&dead); // a death between a move and its count may leave the last ones
    assert!(left.len() <= 6, "{left:?}");
    all.extend(left);
    for group in ["a", "b"] {
        assert_eq!(
            of_group(&all, group),
            numbers(EACH),
            "lost, doubled or out of order"
        );
    }
    crate::is_clean(&engine);
}

#[test]
fn another_engine_finds_them_and_what_they_remember() {
    let (dir, engine) = in_shm("engine-fifo");
    let queue = make(&engine, "q.fifo");
    queue.send("g", "1", b"one").expect("room");
    queue.send("g", "2", b"two").expect("room");
    drop((queue, engine));
    let engine = Engine::open(dir.path()).expect("an engine");
    let queue = engine.open_fifo_queue("q.fifo").expect("it is there");
    let twice = queue.send("g", "1", b"one").expect("accepted");
    assert!(twice.is_duplicate);
    assert_eq!(drain(&queue), ["g:one", "g:two"]);
    crate::is_clean(&engine);
}

#[test]
fn a_file_of_the_other_kind_is_found() {
    let (dir, engine) = in_shm("engine-kinds");
    make(&engine, "q.fifo");
    let path = |name: &str| dir.path().join(name);
    std::fs::copy(path("q.fifo.queue"), path("odd.queue")).expect("copied");
    std::fs::copy(path("q.fifo.meta"), path("odd.meta")).expect("copied");
    let error = engine.open_queue("odd").map(drop).expect_err("FIFO");
    assert!(matches!(error, Error::Kind { .. }), "{error}");
    let error = engine.open_fifo_queue("odd").map(drop).expect_err("odd");
    assert!(matches!(error, Error::Kind { .. }), "{error}");
    let report = engine.verify().expect("a report");
    let [finding] = &report.findings[..] else {
        panic!("{report}");
    };
    assert_eq!(finding.file, "odd.queue");
    let kind = matches!(finding.problem, Problem::Region(Error::Kind { .. }));
    assert!(kind, "{report}");
    engine
        .delete_queue("odd")
        .map(drop)
        .expect_err("not opened");
}

#[test]
fn they_may_be_sent_and_shared() {
    fn may<T: Send + Sync>() {}
    may::<EngineFifoQueue<Heap>>();
    may::<EngineFifoQueue<Mapped>>();
}
