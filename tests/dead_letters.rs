//! Dead letters: what moves when, what goes along, and what happens when it cannot.
#![cfg(all(feature = "std", not(ringmain_loom)))]

#[cfg(feature = "mapped")]
mod common;

use ringmain::{
    Error, Fixed, Heap, ManualClock, Message, Queue, QueueOptions, QueueStats, Region, Value,
};
use std::time::Duration;

type Clocked<'c, R> = Queue<R, &'c ManualClock>;

const START_MS: u64 = 1_000_000;
const OPTIONS: QueueOptions = QueueOptions::new();

fn heap<'c>(clock: &'c ManualClock, options: QueueOptions) -> Clocked<'c, Heap> {
    let region = Heap::new(1 << 18).expect("memory");
    Queue::create_with(region, options, clock).expect("a queue")
}

/// Receives and releases the next message so many times.
fn fail<R: Region>(queue: &Clocked<'_, R>, times: u32) {
    for _ in 0..times {
        let received = queue.receive().expect("received").expect("a message");
        received.release().expect("released");
    }
}

fn stat<R: Region>(queue: &Clocked<'_, R>) -> QueueStats {
    queue.stat().expect("figures")
}

/// Nothing is left in the queue, and no slot is missing.
fn assert_empty<R: Region>(queue: &Clocked<'_, R>) {
    let stat = stat(queue);
    assert_eq!((stat.visible, stat.in_flight, stat.delayed), (0, 0, 0));
    assert_eq!(stat.slots_free, stat.slots);
}

/// A message with all that may go along; it fails as often as it may, and is moved.
fn moves<R: Region, D: Region>(
    clock: &ManualClock,
    jobs: &Clocked<'_, R>,
    dead: &Clocked<'_, D>,
    body: &[u8],
) {
    let message = Message::new(body)
        .string("kind", "order")
        .and_then(|message| message.binary("key", b"\0\xff"))
        .expect("attributes");
    let id = jobs.send_message(&message).expect("sent");
    let sent_ms = clock.advance_ms(0);
    clock.advance(Duration::from_secs(5));
    let first_ms = clock.advance_ms(0);
    fail(jobs, 3);
    assert!(dead.receive().expect("looked").is_none(), "not yet");
    assert!(jobs.receive().expect("looked").is_none(), "moved instead");
    assert_empty(jobs);
    clock.advance(Duration::from_secs(7));
    let letter = dead.receive().expect("received").expect("a dead letter");
    assert_eq!(letter.body(), body);
    assert_eq!(letter.id(), id);
    assert_eq!(letter.receive_count(), 4);
    assert_eq!(letter.sent_ms(), sent_ms);
    assert_eq!(letter.first_received_ms(), first_ms);
    assert_eq!(letter.source(), Some(""));
    let attributes: Vec<_> = letter.attributes().iter().collect();
    let key = Value::Binary(b"\0\xff");
    assert_eq!(attributes, [("kind", Value::String("order")), ("key", key)]);
    // Settled by receipt too: that names the place where it is now.
    let receipt = letter.receipt();
    drop(letter);
    dead.delete(&receipt).expect("deleted");
    assert_empty(dead);
}

trait Now {
    fn advance_ms(&self, ms: u64) -> u64;
}

impl Now for ManualClock {
    fn advance_ms(&self, ms: u64) -> u64 {
        self.advance(Duration::from_millis(ms));
        ringmain::Clock::now_ms(self)
    }
}

#[test]
fn the_receive_after_the_last_allowed_one_moves_it() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(3));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    for len in [1, 80, 96, 97, 5000] {
        moves(&clock, &jobs, &dead, &vec![len as u8; len]);
    }
    let (here, there) = (stat(&jobs), stat(&dead));
    assert_eq!((here.sent, here.received, here.deleted), (5, 15, 0));
    assert_eq!((here.moved, there.moved), (5, 0));
    assert_eq!((there.sent, there.received, there.deleted), (5, 5, 5));
}

#[test]
fn queues_of_any_home_are_linked() {
    static DEAD: Queue<Fixed<8, 200>, &ManualClock> = {
        static CLOCK: ManualClock = ManualClock::new(START_MS);
        Queue::fixed(&CLOCK, QueueOptions::new())
    };
    let clock = ManualClock::new(START_MS);
    let jobs = heap(&clock, OPTIONS.max_receives(1).max_body(100));
    let jobs = jobs.with_dead_letters(DEAD.by_ref()).expect("linked");
    for round in 0..50u8 {
        jobs.send(&[round; 100]).expect("sent");
        fail(&jobs, 1);
        assert!(jobs.receive().expect("looked").is_none());
        let letter = DEAD.receive().expect("received").expect("a dead letter");
        assert_eq!(
            (letter.body(), letter.receive_count()),
            (&[round; 100][..], 2)
        );
        letter.delete().expect("deleted");
    }
    assert_empty(&jobs);
    assert_empty(&DEAD);
}

#[test]
fn others_are_received_instead() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(1));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    for body in 0..100u8 {
        jobs.send(&[body]).expect("sent");
    }
    for _ in 0..10 {
        let batch = jobs.receive_batch(10).expect("received");
        for received in batch {
            match received.body()[0] % 3 {
                0 => received.delete().expect("deleted"),
                _ => received.release().expect("released"),
            }
        }
        if dead.stat().expect("figures").visible != 0 {
            break;
        }
    }
    while !jobs.receive_batch(10).expect("received").is_empty() {}
    let mut letters: Vec<u8> = Vec::new();
    while let Some(letter) = dead.receive().expect("received") {
        letters.push(letter.body()[0]);
        letter.delete().expect("deleted");
    }
    letters.sort_unstable();
    let expected: Vec<u8> = (0..100).filter(|body| body % 3 != 0).collect();
    assert_eq!(letters, expected);
    assert_empty(&dead);
}

#[test]
fn a_dead_letter_that_cannot_move_is_held_back_and_not_lost() {
    let clock = ManualClock::new(START_MS);
    let region = Heap::new(1 << 13).expect("memory");
    let dead = Queue::create_with(region, OPTIONS.max_body(1000), &clock).expect("a queue");
    let jobs = heap(&clock, OPTIONS.max_receives(1).max_body(1000));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    let mut filled = 0;
    while dead.send(&[9; 80]).is_ok() {
        filled += 1;
    }
    jobs.send(b"stays").expect("sent");
    fail(&jobs, 1);
    for _ in 0..3 {
        assert!(jobs.receive().expect("looked").is_none());
        assert_eq!(stat(&jobs).in_flight, 1, "held back, by nobody");
        clock.advance(Duration::from_millis(999));
        assert!(jobs.receive().expect("looked").is_none());
        assert_eq!(stat(&jobs).in_flight, 1);
        clock.advance(Duration::from_millis(1));
    }
    assert_eq!((stat(&dead).sent, stat(&jobs).moved), (filled, 0));
    for received in dead.receive_batch(10).expect("received") {
        received.delete().expect("deleted");
    }
    assert!(jobs.receive().expect("looked").is_none());
    assert_empty(&jobs);
    assert_eq!(stat(&jobs).moved, 1);
}

#[test]
fn without_a_way_to_it_a_dead_letter_is_held_back() {
    let clock = ManualClock::new(START_MS);
    let (dead, other) = (heap(&clock, OPTIONS), heap(&clock, OPTIONS));
    let region = Heap::new(1 << 16).expect("memory");
    let plain = Queue::create_with(&region, OPTIONS.max_receives(1), &clock).expect("a queue");
    plain.send(b"x").expect("sent");
    fail(&plain, 1);
    assert!(
        plain.receive().expect("looked").is_none(),
        "no more than one"
    );
    assert_eq!(stat(&plain).in_flight, 1);
    // Linked elsewhere, and then here: who cannot reach the queue of dead letters leaves it alone.
    let again = || Queue::open_with(&region, &clock).expect("the queue");
    let elsewhere = again().with_dead_letters(other.by_ref()).expect("linked");
    let here = again().with_dead_letters(dead.by_ref()).expect("linked");
    clock.advance(Duration::from_secs(1));
    assert!(elsewhere.receive().expect("looked").is_none());
    assert_eq!((stat(&other).sent, stat(&plain).in_flight), (0, 1));
    clock.advance(Duration::from_secs(1));
    assert!(here.receive().expect("looked").is_none());
    assert_eq!((stat(&dead).sent, stat(&plain).moved), (1, 1));
    assert_empty(&plain);
}

#[test]
fn the_number_of_receives_has_bounds_and_may_change() {
    for receives in [0, 1001, u32::MAX] {
        let region = Heap::new(1 << 16).expect("memory");
        let refused = Queue::create(region, OPTIONS.max_receives(receives)).map(|_| ());
        let error = Error::OutOfRange {
            what: "max_receives",
            value: receives.into(),
            min: 1,
            max: 1000,
        };
        assert_eq!(refused, Err(error.clone()));
        assert!(error.to_string().contains("1 to 1000"), "{error}");
    }
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(1000));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    jobs.send(b"x").expect("sent");
    fail(&jobs, 1000);
    assert!(jobs.receive().expect("looked").is_none());
    let letter = dead.receive().expect("received").expect("a dead letter");
    assert_eq!(letter.receive_count(), 1001);
    letter.delete().expect("deleted");
}

#[test]
fn a_queue_of_dead_letters_has_to_take_what_comes() {
    let clock = ManualClock::new(START_MS);
    let small = heap(&clock, OPTIONS.max_body(99));
    let jobs = heap(&clock, OPTIONS.max_receives(1).max_body(100));
    let error = jobs
        .with_dead_letters(small.by_ref())
        .map(|_| ())
        .expect_err("too small");
    let said = error.to_string();
    assert!(said.contains("is 99") && said.contains("100 to"), "{said}");
    let region = Heap::new(1 << 16).expect("memory");
    let one = Queue::create_with(&region, OPTIONS, &clock).expect("a queue");
    let same = Queue::open_with(&region, &clock).expect("the queue");
    let error = one
        .with_dead_letters(same.by_ref())
        .map(|_| ())
        .expect_err("itself");
    assert!(
        error.to_string().contains("other than the queue itself"),
        "{error}"
    );
}

#[test]
fn dead_letters_of_dead_letters_keep_their_first_id() {
    let clock = ManualClock::new(START_MS);
    let last = heap(&clock, OPTIONS);
    let middle = heap(&clock, OPTIONS.max_receives(4));
    let middle = middle.with_dead_letters(last.by_ref()).expect("linked");
    let jobs = heap(&clock, OPTIONS.max_receives(2));
    let jobs = jobs.with_dead_letters(middle.by_ref()).expect("linked");
    let id = jobs.send(b"x").expect("sent");
    fail(&jobs, 2);
    assert!(jobs.receive().expect("looked").is_none());
    fail(&middle, 2); // receives of both queues count
    assert!(middle.receive().expect("looked").is_none());
    let letter = last.receive().expect("received").expect("a dead letter");
    assert_eq!((letter.id(), letter.receive_count()), (id, 5));
    letter.delete().expect("deleted");
    assert_empty(&middle);
}

#[test]
fn retention_counts_from_the_first_send() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS.retention(Duration::from_secs(100)));
    let jobs = heap(&clock, OPTIONS.max_receives(1));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    jobs.send(b"x").expect("sent");
    clock.advance(Duration::from_secs(60));
    fail(&jobs, 1);
    assert!(jobs.receive().expect("looked").is_none());
    assert_eq!(stat(&dead).oldest_age, Some(Duration::from_secs(60)));
    clock.advance(Duration::from_millis(40_001));
    assert!(dead.receive().expect("looked").is_none());
    assert_eq!((stat(&dead).expired, stat(&dead).received), (1, 0));
    assert_empty(&dead);
}

#[test]
fn a_former_holder_reads_on_while_its_message_moves() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(1));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    jobs.send(b"read on").expect("sent");
    let late = jobs.receive().expect("received").expect("a message");
    clock.advance(Duration::from_secs(30));
    assert!(jobs.receive().expect("looked").is_none(), "moved");
    for _ in 0..2000 {
        if jobs.send(b"overwrites").is_err() {
            break;
        }
    }
    assert_eq!(late.body(), b"read on");
    assert_eq!(late.delete(), Ok(()), "gone already");
    let letter = dead.receive().expect("received").expect("a dead letter");
    assert_eq!(letter.body(), b"read on");
    letter.delete().expect("deleted");
    assert_eq!(jobs.purge(), Ok(stat(&jobs).sent - 1));
    assert_empty(&jobs);
}

#[test]
fn redriven_messages_are_new_ones() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(1));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    let body = |n: u64| vec![n as u8; 40 + 30 * n as usize];
    let mut ids = Vec::new();
    for n in 0..20 {
        let body = body(n);
        let message = Message::new(&body)
            .integer("n", n as i64)
            .expect("a number");
        ids.push(jobs.send_message(&message).expect("sent"));
    }
    for _ in 0..20 {
        fail(&jobs, 1);
    }
    assert!(jobs.receive().expect("looked").is_none());
    assert_eq!((stat(&dead).visible, stat(&jobs).moved), (20, 20));
    clock.advance(Duration::from_secs(100));
    assert_eq!(dead.redrive(&jobs, 7), Ok(7));
    assert_eq!((stat(&dead).visible, stat(&jobs).visible), (13, 7));
    assert_eq!(dead.redrive(&jobs, u64::MAX), Ok(13));
    assert_eq!(dead.redrive(&jobs, u64::MAX), Ok(0));
    assert_empty(&dead);
    assert_eq!((stat(&dead).moved, stat(&dead).received), (20, 0));
    let mut seen = Vec::new();
    while let Some(job) = jobs.receive().expect("received") {
        let Some(Value::Number(n)) = job.attribute("n") else {
            panic!("its attribute is gone: {job:?}");
        };
        let n: u64 = n.parse().expect("a number");
        assert_eq!(job.body(), body(n));
        assert_eq!((job.receive_count(), job.source()), (1, None));
        assert_eq!(job.sent_ms(), job.received_ms());
        assert!(!ids.contains(&job.id()), "an id of its own");
        seen.push(n);
        job.delete().expect("deleted");
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    assert_empty(&jobs);
}

#[test]
fn redrive_stops_at_a_full_queue_and_refuses_itself() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let region = Heap::new(1 << 13).expect("memory");
    let jobs = Queue::create_with(&region, OPTIONS, &clock).expect("a queue");
    let room = jobs.capacity() as u64;
    for n in 0..room + 5 {
        dead.send(&n.to_le_bytes()).expect("sent");
    }
    assert_eq!(dead.redrive(&jobs, u64::MAX), Ok(room));
    assert_eq!((stat(&dead).visible, stat(&dead).in_flight), (5, 0));
    assert_eq!(jobs.purge(), Ok(room));
    assert_eq!(dead.redrive(&jobs, u64::MAX), Ok(5));
    let again = Queue::open_with(&region, &clock).expect("the queue");
    let error = jobs.redrive(&again, 1).expect_err("itself");
    assert!(
        error.to_string().contains("other than the queue itself"),
        "{error}"
    );
}

#[test]
fn what_is_held_back_was_received_by_nobody() {
    let clock = ManualClock::new(START_MS);
    let region = Heap::new(1 << 13).expect("memory");
    let dead = Queue::create_with(region, OPTIONS.max_body(1000), &clock).expect("a queue");
    let jobs = heap(&clock, OPTIONS.max_receives(1).max_body(1000));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    while dead.send(&[9; 80]).is_ok() {}
    jobs.send(b"stays").expect("sent");
    fail(&jobs, 1);
    // Also with a timeout of 0 s, after which the others are visible at once.
    let nothing = jobs.receive_batch_for(10, Duration::ZERO);
    assert!(nothing.expect("received").is_empty());
    assert_eq!((stat(&jobs).in_flight, stat(&jobs).received), (1, 1));
    assert_eq!(jobs.latency().expect("latencies").count(), 1);
    clock.advance(Duration::from_millis(999));
    assert_eq!(stat(&jobs).in_flight, 1);
    clock.advance(Duration::from_millis(1));
    assert_eq!(stat(&jobs).visible, 1);
}

#[test]
fn a_redrive_receives_nothing() {
    let clock = ManualClock::new(START_MS);
    let (dead, jobs) = (heap(&clock, OPTIONS), heap(&clock, OPTIONS));
    dead.send(b"x").expect("sent");
    clock.advance(Duration::from_secs(1));
    assert_eq!(dead.redrive(&jobs, 1), Ok(1));
    let latency = dead.latency().expect("latencies");
    assert_eq!((latency.count(), latency.sum()), (0, Duration::ZERO));
}

/// It would be visible again at once, and a redrive that took it again would never end.
#[test]
fn a_redrive_ends_though_a_message_does_not_fit() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS.visibility(Duration::ZERO));
    let jobs = heap(&clock, OPTIONS.max_body(10));
    dead.send(&[1; 11]).expect("sent");
    dead.send(&[2; 10]).expect("sent");
    assert_eq!(dead.redrive(&jobs, u64::MAX), Ok(1));
    let left = stat(&dead);
    assert_eq!((left.visible, left.in_flight, left.received), (0, 1, 0));
    clock.advance(Duration::from_secs(1));
    let stays = dead.receive().expect("received").expect("a message");
    assert_eq!(stays.body(), [1; 11]);
}

#[test]
fn a_look_at_a_dead_letter_shows_what_a_receive_shows() {
    let clock = ManualClock::new(START_MS);
    let dead = heap(&clock, OPTIONS);
    let jobs = heap(&clock, OPTIONS.max_receives(1));
    let jobs = jobs.with_dead_letters(dead.by_ref()).expect("linked");
    let message = Message::new(b"x").string("kind", "order");
    let id = jobs.send_message(&message.expect("an attribute"));
    fail(&jobs, 1);
    assert!(jobs.receive().expect("looked").is_none());
    let letter = dead.peek().expect("looked").expect("a dead letter");
    assert_eq!((Ok(letter.id()), letter.source()), (id, Some("")));
    let attributes: Vec<_> = letter.attributes().iter().collect();
    assert_eq!(attributes, [("kind", Value::String("order"))]);
    dead.send(b"y").expect("sent");
    let mut sources = dead
        .peeks()
        .map(|found| found.expect("looked").source().is_some());
    assert!(
        sources.any(|is_letter| !is_letter),
        "one that was sent here"
    );
}
