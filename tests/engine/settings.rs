//! Tags, receives, options and policies of dead letters that change while queues live.

use crate::{over_both, small, with};
use ringmain::{Engine, Error, Home, QueueOptions};
use std::time::Duration;

over_both! {
    tags_have_bounds
    receives_have_bounds
    options_change_at_once
    two_who_change_options_lose_nothing
    who_reads_what_it_changes_loses_nothing
    targets_that_would_lose_messages_are_refused
    dead_letters_can_be_set_and_taken_away
}

fn tags_have_bounds<H: Home>(engine: &Engine<H>) {
    engine.create_queue("q", &small()).expect("a queue");
    let (key, value) = ("\u{e4}".repeat(128), "\u{20ac}".repeat(256));
    engine.tag("q", &key, &value).expect("the longest");
    engine.tag("q", "k", "").expect("the shortest");
    assert_eq!(engine.describe("q").expect("it").tags[&key], value);
    let key_length = "a key has 1 to 128 characters";
    let bad = [
        ("", "v", key_length, 0),
        (&"k".repeat(129), "v", key_length, 128),
        (
            "k",
            &"v".repeat(257),
            "a value has at most 256 characters",
            256,
        ),
        ("k\n", "v", "a key has no control characters", 1),
        ("k\t", "v", "a key has no control characters", 1),
        ("k", "v\u{85}", "a value has no control characters", 1),
        ("k", "\0", "a value has no control characters", 0),
    ];
    for (key, value, rule, at) in bad {
        let refused = Err(Error::Tag { rule, at });
        assert_eq!(engine.tag("q", key, value), refused, "{key:?} {value:?}");
        let spec = small().tag(key, value);
        assert_eq!(engine.create_queue("new", &spec).map(|_| ()), refused);
    }
    assert!(matches!(engine.untag("q", ""), Err(Error::Tag { .. })));

    for number in 2..50 {
        engine.tag("q", &format!("k{number}"), "v").expect("room");
    }
    let full = Err(Error::TagCount { count: 51, max: 50 });
    assert_eq!(engine.tag("q", "one more", "v"), full);
    engine.tag("q", "k7", "another value").expect("no new key");
    engine.untag("q", "not there").expect("no error");
    engine.untag("q", "k8").expect("gone");
    engine.tag("q", "one more", "v").expect("room again");
    let tags = engine.describe("q").expect("it").tags;
    assert_eq!((tags.len(), tags["k7"].as_str()), (50, "another value"));
    assert!(!tags.contains_key("k8"));

    let mut spec = small();
    for number in 0..51 {
        spec = spec.tag(format!("k{number}"), "v");
    }
    assert_eq!(engine.create_queue("new", &spec).map(|_| ()), full);
    let error = Error::TagCount { count: 51, max: 50 }.to_string();
    assert!(error.contains("51") && error.contains("50"), "{error}");
}

fn receives_have_bounds<H: Home>(engine: &Engine<H>) {
    engine.create_queue("dead", &small()).expect("a queue");
    engine.create_queue("q", &small()).expect("a queue");
    for receives in [1, 1000] {
        engine
            .set_dead_letters("q", Some(("dead", receives)))
            .expect("in range");
        let name = format!("new-{receives}");
        engine
            .create_queue(&name, &small().dead_letters("dead", receives))
            .expect("in range");
    }
    for receives in [0, 1001, u32::MAX] {
        let refused = Err(Error::OutOfRange {
            what: "max_receives",
            value: receives.into(),
            min: 1,
            max: 1000,
        });
        assert_eq!(
            engine.set_dead_letters("q", Some(("dead", receives))),
            refused
        );
        let spec = small().dead_letters("dead", receives);
        assert_eq!(engine.create_queue("new", &spec).map(|_| ()), refused);
    }
    let policy = engine
        .describe("q")
        .expect("it")
        .dead_letters
        .expect("a policy");
    assert_eq!(policy.max_receives, 1000);
}

fn options_change_at_once<H: Home>(engine: &Engine<H>) {
    let queue = engine.create_queue("q", &small()).expect("a queue");
    engine
        .reconfigure("q", |options| options.visibility(Duration::ZERO))
        .expect("changed");
    queue.send(b"one").expect("room");
    drop(queue.receive().expect("received").expect("a message"));
    assert!(
        queue.receive().expect("received").is_some(),
        "visible again at once"
    );
    let bytes = engine.reconfigure("q", |options| options.max_body(17));
    assert!(
        matches!(bytes, Err(Error::OptionsDiffer { .. })),
        "{bytes:?}"
    );
    let range = engine.reconfigure("q", |options| options.delay(Duration::from_secs(901)));
    assert!(matches!(range, Err(Error::OutOfRange { .. })), "{range:?}");
    assert_eq!(engine.describe("q").expect("it").options, queue.options());
}

fn who_reads_what_it_changes_loses_nothing<H: Home>(engine: &Engine<H>) {
    engine.create_queue("q", &small()).expect("a queue");
    let seconds = |options: &QueueOptions| options.get_delay().as_secs(); // each adds one
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let more = |options: QueueOptions| {
                        std::thread::sleep(Duration::from_micros(200)); // others come between
                        options.delay(Duration::from_secs(seconds(&options) + 1))
                    };
                    engine.reconfigure("q", more).expect("changed");
                }
            });
        }
    });
    assert_eq!(seconds(&engine.describe("q").expect("it").options), 40);
}

fn two_who_change_options_lose_nothing<H: Home>(engine: &Engine<H>) {
    engine.create_queue("q", &small()).expect("a queue");
    // Four settings, one a thread: whatever comes between, none undoes another's.
    let changes: [fn(QueueOptions, u32) -> QueueOptions; 4] = [
        |options, n| options.delay(Duration::from_secs(n.into())),
        |options, n| options.visibility(Duration::from_secs(n.into())),
        |options, n| options.retention(Duration::from_secs(60 + u64::from(n))),
        |options, n| options.max_in_flight(n),
    ];
    std::thread::scope(|scope| {
        for change in changes {
            scope.spawn(move || {
                for n in 1..=40 {
                    let more = |options: QueueOptions| change(options, n);
                    engine.reconfigure("q", more).expect("changed");
                }
            });
        }
    });
    let options = engine.describe("q").expect("it").options;
    let wanted = changes
        .iter()
        .fold(options, |options, change| change(options, 40));
    assert_eq!(options, wanted);
}

#[track_caller]
fn refused<H: Home>(engine: &Engine<H>, source: &str, target: &str, why: &str) {
    let outcome = engine.set_dead_letters(source, Some((target, 5)));
    let Err(Error::DeadLetters { problem }) = outcome else {
        panic!("{source} to {target}: {outcome:?}");
    };
    assert!(problem.contains(why), "{problem}");
}

fn targets_that_would_lose_messages_are_refused<H: Home>(engine: &Engine<H>) {
    let body = |bytes| with(QueueOptions::new().max_body(bytes));
    for (name, bytes) in [
        ("a", 1000),
        ("b", 1000),
        ("c", 1000),
        ("d", 1001),
        ("e", 999),
    ] {
        engine.create_queue(name, &body(bytes)).expect("a queue");
    }
    refused(engine, "a", "a", "not its own");
    refused(engine, "a", "nowhere", "no queue of that name");
    refused(engine, "a", "e", "shorter");
    engine
        .set_dead_letters("a", Some(("d", 5)))
        .expect("longer will do");
    engine
        .set_dead_letters("a", Some(("b", 5)))
        .expect("as long");
    refused(engine, "b", "a", "come back");
    engine
        .set_dead_letters("b", Some(("c", 5)))
        .expect("a chain");
    refused(engine, "c", "a", "come back");
    refused(engine, "c", "b", "come back");
    let spec = body(1000).dead_letters("e", 5);
    let short = engine.create_queue("f", &spec).map(|_| ());
    assert!(matches!(short, Err(Error::DeadLetters { .. })), "{short:?}");
    // One that was deleted leaves its name in others' metadata: a new one of that name may not
    // close the circle either.
    engine.delete_queue("a").expect("deleted");
    engine.create_queue("z", &body(1000)).expect("a queue");
    engine
        .set_dead_letters("c", Some(("z", 5)))
        .expect("it leads nowhere");
    engine.delete_queue("z").expect("deleted");
    let circle = engine
        .create_queue("z", &body(1000).dead_letters("b", 5))
        .map(|_| ());
    assert!(
        matches!(circle, Err(Error::DeadLetters { .. })),
        "{circle:?}"
    );
    engine.set_dead_letters("c", None).expect("nowhere");
    engine
        .create_queue("z", &body(1000).dead_letters("b", 5))
        .expect("no circle");
}

fn dead_letters_can_be_set_and_taken_away<H: Home>(engine: &Engine<H>) {
    let queue = engine.create_queue("q", &small()).expect("a queue");
    engine.create_queue("dead", &small()).expect("a queue");
    engine
        .set_dead_letters("q", Some(("dead", 2)))
        .expect("set");
    assert_eq!(
        queue.options(),
        queue.options().max_receives(2),
        "every handle sees it"
    );
    assert_eq!(engine.describe("dead").expect("it").sources, ["q"]);
    engine.set_dead_letters("q", None).expect("taken away");
    assert_ne!(queue.options(), queue.options().max_receives(2));
    assert_eq!(engine.describe("q").expect("it").dead_letters, None);
    assert_eq!(engine.describe("dead").expect("it").sources, [""; 0]);
}
