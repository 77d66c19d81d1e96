//! The static home: what its type says, and what it is for.

use super::common::body;
use ringmain::{Error, FifoOptions, FifoQueue, FixedFifo, ManualClock, Message, Region, Value};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

const OPTIONS: FifoOptions = FifoOptions::new().visibility(Duration::from_secs(3600));

/// Receives one message at a time until there is none, and deletes it: the bodies.
fn drained<R: Region>(queue: &FifoQueue<R, &ManualClock>) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(got) = queue.receive().expect("a receive") {
        bodies.push(got.body().to_vec());
        got.delete().expect("a delete");
    }
    bodies
}

/// Two senders with two groups each, and three receivers, over one `static`: each group in order.
#[test]
fn threads_share_a_static() {
    const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
    const EACH: usize = 1000;
    static CLOCK: ManualClock = ManualClock::new(1_000_000);
    static QUEUE: FifoQueue<FixedFifo<16, 8, 64>, &ManualClock> =
        FifoQueue::fixed(&CLOCK, OPTIONS.dedup_interval(Duration::from_secs(1)));
    let seen: Mutex<Vec<(String, usize)>> = Mutex::default();
    let send = |groups: &[&str]| {
        for number in 0..EACH {
            for group in groups {
                let (id, body) = (format!("{group}{number}"), number.to_le_bytes());
                while let Err(error) = QUEUE.send(group, &*id, &body) {
                    match error {
                        Error::Full => thread::yield_now(),
                        // Each id is that of one message, so it may be forgotten.
                        Error::DeduplicationFull { max: 64 } => {
                            CLOCK.advance(Duration::from_secs(1));
                        }
                        error => panic!("{error}"),
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| send(&GROUPS[..2]));
        scope.spawn(|| send(&GROUPS[2..]));
        for _ in 0..3 {
            scope.spawn(|| {
                while seen.lock().expect("no panic").len() < GROUPS.len() * EACH {
                    for got in QUEUE.receive_batch(10).expect("a receive") {
                        let number = got.body().try_into().expect("eight bytes");
                        let number = usize::from_le_bytes(number);
                        let group = got.group().expect("a group").to_owned();
                        seen.lock().expect("no panic").push((group, number));
                        got.delete().expect("within the hour");
                    }
                }
            });
        }
    });
    let seen = seen.into_inner().expect("no panic");
    for group in GROUPS {
        let of_group = seen.iter().filter(|(of, _)| of == group);
        assert!(of_group.map(|(_, number)| *number).eq(0..EACH), "{group}");
    }
    assert_eq!(QUEUE.stat().expect("figures").slots_free, 16);
}

/// There are as many groups as messages, and ever other ones.
#[test]
fn each_message_may_be_of_its_own_group() {
    static CLOCK: ManualClock = ManualClock::new(1_000_000);
    static QUEUE: FifoQueue<FixedFifo<70, 8, 4096, 2>, &ManualClock> =
        FifoQueue::fixed(&CLOCK, OPTIONS);
    let queue = &QUEUE;
    for round in 0..50 {
        let names: Vec<_> = (0..70).map(|number| format!("{round}-{number}")).collect();
        for name in &names {
            queue.send(name, &**name, b"x").expect("room");
        }
        assert_eq!(queue.send("other", "other", b"x"), Err(Error::Full));
        assert_eq!(queue.groups().expect("figures").ready, 70);
        for _ in 0..7 {
            let batch = queue.receive_batch(10).expect("a receive");
            assert_eq!(batch.len(), 10);
            assert!(batch.delete().iter().all(Result::is_ok));
        }
    }
    assert_eq!(queue.groups().expect("figures").remembered_ids, 3500);
}

/// The type says how many and how long; what the options say of that does not apply.
#[test]
fn the_type_says_how_much_there_is() {
    let clock = ManualClock::new(1_000_000);
    let options = OPTIONS
        .max_body(1)
        .typical_body(1000)
        .dedup_ids(9)
        .attempts(8);
    let queue: FifoQueue<FixedFifo<4, 24, 5>, _> = FifoQueue::fixed(&clock, options.quota(true));
    let found = queue.options();
    assert_eq!(found.get_dedup_ids(), Some(5));
    assert_eq!(found.get_attempts(), Some(0));
    assert!(found.get_quota());
    assert_eq!((queue.capacity(), queue.max_body()), (4, 24));
    assert_eq!(found.get_queue().get_typical_body(), 24);
    let attempt = queue.receive_batch_attempt(1, "id").map(|_| ());
    assert!(matches!(attempt, Err(Error::Unsupported { .. })));
    let too_long = Error::BodyTooLong { len: 25, max: 24 };
    assert_eq!(queue.send("g", "1", &body(1, 25)), Err(too_long));

    for id in ["1", "2", "3", "4"] {
        queue.send("g", id, &body(1, 24)).expect("a slot each");
    }
    assert_eq!(queue.send("g", "5", b"x"), Err(Error::Full));
    assert_eq!(drained(&queue).len(), 4);
    queue.send("g", "5", b"x").expect("room for the fifth id");
    let full = Err(Error::DeduplicationFull { max: 5 });
    assert_eq!(queue.send("g", "6", b"x"), full);
    assert!(queue.send("g", "1", b"x").expect("known").is_duplicate);
    clock.advance(Duration::from_secs(300));
    queue.send("g", "6", b"x").expect("five are forgotten");
    assert_eq!(drained(&queue).len(), 2);
}

#[test]
fn attempts_are_as_many_as_the_type_says() {
    let clock = ManualClock::new(1_000_000);
    let queue: FifoQueue<FixedFifo<16, 8, 16, 1, 1>, _> = FifoQueue::fixed(&clock, OPTIONS);
    assert_eq!(queue.options().get_attempts(), Some(8));
    for number in 0..9 {
        let name = number.to_string();
        queue.send(&name, &*name, name.as_bytes()).expect("room");
    }
    for number in 0..8 {
        let name = number.to_string();
        for _ in 0..2 {
            let got = queue
                .receive_batch_attempt(1, &name)
                .expect("a receive")
                .pop();
            assert_eq!(got.expect("its own").body(), name.as_bytes());
        }
    }
    let full = queue.receive_batch_attempt(1, "8").map(|_| ());
    assert_eq!(full, Err(Error::AttemptsFull { max: 8 }));
}

/// Names of more than 46 bytes, and attributes, take more slots.
#[test]
fn long_names_take_several_slots() {
    let clock = ManualClock::new(1_000_000);
    let queue: FifoQueue<FixedFifo<16, 24, 16>, _> = FifoQueue::fixed(&clock, OPTIONS);
    let (short, long) = ("g".repeat(23), "l".repeat(128));
    queue.send(&short, &*short, &body(1, 24)).expect("room");
    assert_eq!(queue.stat().expect("figures").slots_free, 15);
    queue.send(&long, &*long, &body(2, 24)).expect("room");
    assert_eq!(queue.stat().expect("figures").slots_free, 11);
    let message = Message::new(b"x").group("g").deduplication_id("1");
    let message = message.attribute("unit", Value::String("C"));
    queue.send_message(&message.expect("sound")).expect("room");
    let batch = queue.receive_batch(10).expect("a receive");
    assert_eq!(batch.get(1).and_then(|got| got.group()), Some(&*long));
    assert_eq!(batch.get(1).map(|got| got.body()), Some(&*body(2, 24)));
    assert!(batch.delete().iter().all(Result::is_ok));
    assert_eq!(queue.stat().expect("figures").slots_free, 16);
}

/// What the documentation tells: bare metal differs in what is kept on lines of its own.
#[test]
fn sizes_are_as_told() {
    const ONE: usize = size_of::<FixedFifo<16, 16, 32>>();
    assert_eq!(size_of::<FixedFifo<32, 16, 32>>() - ONE, 16 * (280 + 16));
    assert_eq!(size_of::<FixedFifo<16, 24, 32>>() - ONE, 16 * 8);
    assert_eq!(size_of::<FixedFifo<16, 16, 64>>() - ONE, 32 * 144);
    const QUEUE: usize = size_of::<FifoQueue<FixedFifo<16, 16, 32>, &ManualClock>>();
    const { assert!(QUEUE > 10_696 && QUEUE < 10_696 + (4 << 10)) }
}
