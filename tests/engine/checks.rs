//! Names, creation, listing, description: the same in both homes.

use crate::{over_both, small, with};
use ringmain::{Engine, Error, Heap, Home, QueueOptions, QueueSpec};
use std::time::Duration;

over_both! {
    names_have_bounds
    creation_is_idempotent
    each_differing_option_is_named
    what_is_refused_leaves_nothing
    queues_are_listed_by_prefix
    a_queue_is_described
    a_queue_is_attached_once
    what_is_not_there_is_not_found
    tending_goes_over_all
}

/// What each operation says to a name.
fn told<H: Home>(engine: &Engine<H>, name: &str) -> Vec<Result<(), Error>> {
    let spec = small().dead_letters(name, 5);
    vec![
        engine.create_queue(name, &small()).map(|_| ()),
        engine.create_queue("source", &spec).map(|_| ()),
        engine.open_queue(name).map(|_| ()),
        engine.describe(name).map(|_| ()),
        engine.reconfigure(name, |options| options),
        engine.set_dead_letters(name, None),
        engine.set_dead_letters("there", Some((name, 5))),
        engine.delete_queue(name),
    ]
}

/// What the operations say that serve streams as well, whose names have dots and 128 characters.
fn told_of_either<H: Home>(engine: &Engine<H>, name: &str) -> [Result<(), Error>; 2] {
    [engine.tag(name, "key", "value"), engine.untag(name, "key")]
}

fn names_have_bounds<H: Home>(engine: &Engine<H>) {
    engine.create_queue("there", &small()).expect("a queue");
    let all = "ABCXYZabcxyz0189_-";
    for name in ["a", "-", "_", "0", all, &"n".repeat(80)] {
        engine.create_queue(name, &small()).expect("a good name");
        engine.open_queue(name).expect("it is there");
    }
    let length = "a name has 1 to 80 characters";
    let letters = "a name consists of letters, digits, '-' and '_'";
    let bad = [
        ("", length, 0),
        (&"n".repeat(81), length, 80),
        (&"n".repeat(4000), length, 80),
        ("a b", letters, 1),
        ("abc.fif", letters, 3),
        ("a.b.fifo", letters, 1),
        (".fifo", length, 0),
        ("../up", letters, 0),
        ("a/b", letters, 1),
        ("nul\0", letters, 3),
        ("\u{e4}", letters, 0),
        ("line\n", letters, 4),
    ];
    for (name, rule, at) in bad {
        for outcome in told(engine, name) {
            assert_eq!(outcome, Err(Error::Name { rule, at }), "{name:?}");
        }
        let is_streams = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let said = match (1..=128).contains(&name.len()) && name.chars().all(is_streams) {
            true => Error::NoStream,
            false => Error::Name { rule, at },
        };
        assert_eq!(told_of_either(engine, name), [Err(said.clone()), Err(said)]);
    }
    let error = engine.open_queue("").map(|_| ()).expect_err("no name");
    assert!(error.to_string().contains("1 to 80"), "{error}");
    assert_eq!(engine.queues("").expect("names").len(), 7);
}

fn creation_is_idempotent<H: Home>(engine: &Engine<H>) {
    engine.create_queue("dead", &small()).expect("a queue");
    let options = QueueOptions::new().visibility(Duration::from_secs(7));
    let spec = with(options).dead_letters("dead", 3).tag("team", "blue");
    let first = engine.create_queue("orders", &spec).expect("a queue");
    first.send(b"one").expect("room");
    let again = engine.create_queue("orders", &spec).expect("the same");
    assert_eq!(again.stat().expect("figures").visible, 1);
    // Tags are a new queue's only.
    let other = spec.clone().tag("team", "red").tag("more", "");
    engine.create_queue("orders", &other).expect("the same");
    let tags = engine.describe("orders").expect("a queue").tags;
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        [("team".into(), "blue".into())]
    );
    assert_eq!(again.region().name(), "orders");
}

fn each_differing_option_is_named<H: Home>(engine: &Engine<H>) {
    engine.create_queue("dead", &small()).expect("a queue");
    engine.create_queue("other", &small()).expect("a queue");
    let options = QueueOptions::new().max_receives(9).max_body(1000);
    let spec = with(options).dead_letters("dead", 5);
    engine.create_queue("orders", &spec).expect("a queue");
    let checksum = engine.open_queue("orders").expect("it").region().bytes() == 0; // false
    let seconds = Duration::from_secs;
    let differing: [(&str, QueueSpec); 11] = [
        (
            "visibility timeout (ms)",
            spec.clone().options(options.visibility(seconds(1))),
        ),
        (
            "retention (ms)",
            spec.clone().options(options.retention(seconds(60))),
        ),
        (
            "delay (ms)",
            spec.clone().options(options.delay(seconds(1))),
        ),
        (
            "max_in_flight",
            spec.clone().options(options.max_in_flight(7)),
        ),
        ("max_receives", spec.clone().dead_letters("dead", 6)),
        (
            "typical_body",
            spec.clone().options(options.typical_body(500)),
        ),
        (
            "max_body (bytes)",
            spec.clone().options(options.max_body(1001)),
        ),
        ("bytes", spec.clone().bytes(128 << 10)),
        ("dead_letters", spec.clone().dead_letters("other", 5)),
        ("dead_letters", spec.clone().dead_letters("nowhere", 5)),
        ("dead_letters", with(options)),
    ];
    for (named, differing) in differing {
        let error = engine.create_queue("orders", &differing).map(|_| ());
        let Err(Error::OptionsDiffer {
            option,
            found,
            given,
        }) = error
        else {
            panic!("{named}: {error:?}");
        };
        assert!(option.starts_with(named), "{named}: {option}");
        assert_ne!(found, given);
    }
    let on = engine.create_queue("orders", &spec.clone().options(options.checksum(true)));
    let off = engine.create_queue("orders", &spec.clone().options(options.checksum(false)));
    let refused = [on.err(), off.err()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    assert!(
        matches!(
            refused[..],
            [Error::OptionsDiffer {
                option: "checksum",
                ..
            }]
        ),
        "one of the two is what it has: {refused:?}"
    );
    assert!(!checksum);
    engine.create_queue("orders", &spec).expect("as it was");
}

fn what_is_refused_leaves_nothing<H: Home>(engine: &Engine<H>) {
    let long = QueueOptions::new().visibility(Duration::from_secs(43_201));
    let refused = [
        with(long),
        with(QueueOptions::new().retention(Duration::from_secs(59))),
        small().bytes(0),
        small().bytes(100),
        small().bytes(u64::MAX),
        with(QueueOptions::new().max_body(1 << 20)),
        small().dead_letters("nowhere", 5),
        small().dead_letters("orders", 5),
        small().tag("", "value"),
    ];
    for spec in refused {
        let outcome = engine.create_queue("orders", &spec).map(|_| ());
        assert!(outcome.is_err(), "{spec:?}");
        assert_eq!(engine.queues("").expect("names"), [""; 0], "{spec:?}");
        crate::is_clean(engine);
    }
}

fn queues_are_listed_by_prefix<H: Home>(engine: &Engine<H>) {
    let names = ["b", "a-b", "a", "a_", "a0", "A", "ab-c"];
    for name in names {
        engine.create_queue(name, &small()).expect("a queue");
    }
    let all = engine.queues("").expect("names");
    assert_eq!(all, ["A", "a", "a-b", "a0", "a_", "ab-c", "b"]);
    assert_eq!(engine.queues("a").expect("names").len(), 5);
    assert_eq!(engine.queues("a-b").expect("names"), ["a-b"]);
    assert_eq!(engine.queues("c").expect("names"), [""; 0]);
    assert_eq!(engine.queues("a/").expect("names"), [""; 0]);
    engine.delete_queue("a-b").expect("deleted");
    assert_eq!(engine.queues("a-").expect("names"), [""; 0]);
}

fn a_queue_is_described<H: Home>(engine: &Engine<H>) {
    engine.create_queue("dead", &small()).expect("a queue");
    let options = QueueOptions::new().delay(Duration::from_secs(9));
    let spec = with(options)
        .dead_letters("dead", 4)
        .tag("a", "1")
        .tag("b", "");
    let orders = engine.create_queue("orders", &spec).expect("a queue");
    engine
        .create_queue("sooner", &small().dead_letters("dead", 1))
        .expect("a queue");
    orders.send(b"one").expect("room");
    let told = engine.describe("orders").expect("a description");
    assert_eq!((told.name.as_str(), told.bytes), ("orders", 64 << 10));
    assert_eq!(told.options, orders.options());
    assert_eq!(told.stats.delayed, 1);
    let policy = told.dead_letters.clone().expect("a policy");
    assert_eq!((policy.target.as_str(), policy.max_receives), ("dead", 4));
    assert_eq!(told.sources, [""; 0]);
    assert_eq!(told.tags.len(), 2);
    assert!(told.created_ms > 1_700_000_000_000, "{}", told.created_ms);
    let copy = format!("{:?}", told.clone());
    assert!(copy.contains("orders"), "{copy}");
    let dead = engine.describe("dead").expect("a description");
    assert_eq!(dead.sources, ["orders", "sooner"]);
    assert_eq!(dead.dead_letters, None);
}

fn a_queue_is_attached_once<H: Home>(engine: &Engine<H>) {
    let first = engine.create_queue("orders", &small()).expect("a queue");
    let second = engine.open_queue("orders").expect("it");
    let third = engine.clone().create_queue("orders", &small()).expect("it");
    assert!(std::sync::Arc::ptr_eq(first.region(), second.region()));
    assert!(std::sync::Arc::ptr_eq(first.region(), third.region()));
    assert_eq!(engine.describe("orders").expect("it").stats.attachments, 1);
    first.send(b"one").expect("room");
    drop((first, second, third));
    let again = engine.open_queue("orders").expect("it is there");
    let second = engine.open_queue("orders").expect("it is there");
    assert!(std::sync::Arc::ptr_eq(again.region(), second.region()));
    let received = again.receive().expect("received").expect("a message");
    assert_eq!(received.body(), b"one");
}

fn what_is_not_there_is_not_found<H: Home>(engine: &Engine<H>) {
    engine.create_queue("there", &small()).expect("a queue");
    let outcomes = told(engine, "gone"); // the first makes it, the second takes it for a target
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    engine.set_dead_letters("there", None).expect("nowhere");
    engine.delete_queue("source").expect("deleted");
    let calls = [
        engine.open_queue("gone").map(|_| ()),
        engine.describe("gone").map(|_| ()),
        engine.reconfigure("gone", |options| options),
        engine.set_dead_letters("gone", None),
        engine.set_dead_letters("gone", Some(("there", 5))),
        engine.tag("gone", "key", "value"),
        engine.untag("gone", "key"),
        engine.delete_queue("gone"),
    ];
    for outcome in calls {
        assert_eq!(outcome, Err(Error::NoQueue));
    }
    assert_eq!(engine.queues("").expect("names"), ["there"]);
}

fn tending_goes_over_all<H: Home>(engine: &Engine<H>) {
    let queues = ["a", "b"].map(|name| engine.create_queue(name, &small()).expect("a queue"));
    let tended = engine.tend().expect("tended");
    assert_eq!((tended.dead, tended.returned), (0, 0));
    engine.delete_queue("a").expect("deleted");
    engine
        .tend()
        .expect("one is deleted, and its handle is told");
    assert_eq!(queues[0].tend().map(|_| ()), Err(Error::Deleted));
    assert_eq!(queues[1].tend().map(|_| ()), Ok(()));
}

#[test]
fn a_queue_in_memory_outlives_the_engine_that_made_it() {
    let engine = Engine::<Heap>::in_memory();
    let orders = engine.create_queue("orders", &small()).expect("a queue");
    drop(engine);
    orders.send(b"one").expect("room");
    assert!(orders.receive().expect("received").is_some());
}
