//! Under load: eight threads on one queue, on the heap and over one mapping, and processes on one
//! mapped queue. Each message is processed exactly once while nobody dies and nobody is late; at
//! least once, with its bytes intact, when visibility is short or when workers and producers are
//! killed at any instruction. Nothing is lost, no slot is leaked, and what a dead worker held comes
//! back long before its visibility timeout.
//!
//! `RINGMAIN_STRESS_MESSAGES` sets how many messages each sender of the threads sends (default
//! 20 000; a fifth of it where messages come twice).
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

#[path = "stress/children.rs"]
mod children;
#[path = "stress/load.rs"]
mod load;

use children::{Crew, Role};
use common::{Dir, Numbers, child};
use load::{Pace, Tally, consume, produce};
use ringmain::{Heap, Mapped, Queue, QueueOptions, Region};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const LONG: QueueOptions = QueueOptions::new().visibility(Duration::from_secs(600));
const NONE: Duration = Duration::ZERO;
const SENDERS: u64 = 4;
const RECEIVERS: usize = 4;

/// How many messages each sender of the threads sends.
fn each() -> u64 {
    common::number_of("RINGMAIN_STRESS_MESSAGES", 20_000)
}

/// Eight threads on one queue, and a ninth that looks on where they are fickle; what the receivers
/// processed.
fn eight_threads<R: Region + Sync>(
    region: R,
    options: QueueOptions,
    each: u64,
    pace: Pace,
) -> Tally {
    let queue = Queue::create(region, options).expect("a queue");
    let senders_left = Mutex::new(SENDERS);
    let done = || *senders_left.lock().expect("no panic") == 0;
    let tally = std::thread::scope(|scope| {
        let (queue, senders_left, done) = (&queue, &senders_left, &done);
        for sender in 0..SENDERS {
            scope.spawn(move || {
                produce(queue, sender, each, |_| {});
                *senders_left.lock().expect("no panic") -= 1;
            });
        }
        let receivers: Vec<_> = (0..RECEIVERS)
            .map(|_| scope.spawn(move || consume(queue, pace, done, |_| {})))
            .collect();
        scope.spawn(move || {
            while pace == Pace::Fickle && !done() {
                let stat = queue.stat().expect("figures");
                assert_eq!(stat.damaged, 0);
                queue.tend().expect("a look at the others");
                std::thread::yield_now();
            }
        });
        let parts = receivers
            .into_iter()
            .map(|receiver| receiver.join().expect("no panic"));
        parts.fold(Tally::default(), Tally::with)
    });
    let stat = queue.stat().expect("figures");
    assert_eq!(
        (stat.slots_free, stat.damaged),
        (stat.slots, 0),
        "no slot is leaked"
    );
    tally
}

fn heap() -> Heap {
    Heap::new(1 << 18).expect("memory")
}

fn process_each_message_once<R: Region + Sync>(region: R) {
    let tally = eight_threads(region, LONG, each(), Pace::Fast);
    assert_eq!((tally.damaged, tally.stale), (0, 0));
    tally.is_each_once(SENDERS, each());
}

/// So short a visibility that a message comes again while it is still read.
fn lose_nothing<R: Region + Sync>(region: R, visibility: Duration, pace: Pace) {
    let each = (each() / 5).max(1);
    let tally = eight_threads(
        region,
        QueueOptions::new().visibility(visibility),
        each,
        pace,
    );
    assert_eq!(
        tally.damaged, 0,
        "bodies stay as they are while they are read"
    );
    tally.is_each_at_least_once(SENDERS, each);
    assert!(
        tally.seeds.len() as u64 > SENDERS * each,
        "some came twice, else nothing was shown"
    );
}

#[test]
fn eight_threads_process_each_message_once() {
    process_each_message_once(heap());
}

#[test]
fn eight_threads_over_one_mapping_process_each_message_once() {
    let dir = Dir::shm("threads");
    process_each_message_once(Mapped::create(dir.file("q.ring"), 1 << 19).expect("a region"));
}

#[test]
fn eight_threads_with_short_visibility_lose_nothing() {
    lose_nothing(heap(), NONE, Pace::Slow);
}

#[test]
fn eight_threads_over_one_mapping_with_short_visibility_lose_nothing() {
    let dir = Dir::shm("late");
    let region = Mapped::create(dir.file("q.ring"), 1 << 19).expect("a region");
    lose_nothing(region, NONE, Pace::Slow);
}

#[test]
fn eight_threads_that_settle_in_every_way_lose_nothing() {
    lose_nothing(heap(), Duration::from_millis(5), Pace::Fickle);
}

#[test]
fn four_processes_process_each_message_once() {
    const TEST: &str = "four_processes_process_each_message_once";
    const EACH: u64 = 20_000;
    if let Some(role) = child::role() {
        return children::run(&role);
    }
    let dir = Dir::shm("processes");
    let region = Mapped::create(dir.file("q.ring"), 1 << 19).expect("a region");
    let queue = Queue::create(&region, LONG).expect("a queue");
    let mut crew = Crew::new(&dir, TEST, EACH);
    for role in [Role::Producer, Role::Producer, Role::Worker, Role::Worker] {
        crew.start(role);
    }
    crew.wait_for(Role::Producer);
    crew.stop(Role::Worker);
    crew.wait_for(Role::Worker);
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.slots_free, stat.damaged), (stat.slots, 0));
    assert_eq!(crew.logged(Role::Producer).seeds.len() as u64, 2 * EACH);
    crew.logged(Role::Worker).is_each_once(2, EACH);
}

#[test]
fn killed_processes_lose_nothing() {
    const TEST: &str = "killed_processes_lose_nothing";
    if let Some(role) = child::role() {
        return children::run(&role);
    }
    let dir = Dir::new("killed");
    let region = Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region");
    let queue = Queue::create(&region, LONG).expect("a queue");
    let mut crew = Crew::new(&dir, TEST, u64::MAX >> 32);
    let mut numbers = Numbers(9);
    for role in [Role::Producer, Role::Producer, Role::Worker, Role::Worker] {
        crew.start(role);
    }
    for round in 0..24 {
        std::thread::sleep(Duration::from_millis(60 + numbers.below(120))); // the pace of deaths
        let role = if round % 3 == 0 {
            Role::Producer
        } else {
            Role::Worker
        };
        crew.kill(role);
        crew.start(role);
    }
    crew.stop(Role::Producer);
    crew.wait_for(Role::Producer);
    crew.stop(Role::Worker); // they end when the queue is empty, which needs each death repaired
    crew.wait_for(Role::Worker);
    queue.tend().expect("a look at the others");
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.visible, stat.in_flight, stat.damaged), (0, 0, 0));
    assert_eq!((stat.slots_free, stat.attachments), (stat.slots, 1));

    let sent = crew.logged(Role::Producer);
    let processed = crew.logged(Role::Worker);
    assert!(sent.seeds.len() > 1000, "{} sent", sent.seeds.len());
    processed.has_all_of(&sent);
}

#[test]
fn what_a_dead_worker_held_comes_back_at_once() {
    const TEST: &str = "what_a_dead_worker_held_comes_back_at_once";
    if let Some(role) = child::role() {
        return children::run(&role);
    }
    let dir = Dir::shm("holder");
    let region = Mapped::create(dir.file("q.ring"), 1 << 18).expect("a region");
    let queue = Queue::create(&region, LONG).expect("a queue");
    produce(&queue, 0, 10, |_| {});
    let mut crew = Crew::new(&dir, TEST, 10);
    crew.start(Role::Holder);
    let deadline = Instant::now() + Duration::from_secs(60);
    while queue.stat().expect("figures").in_flight < 10 {
        assert!(Instant::now() < deadline, "the child takes all ten");
        std::thread::yield_now();
    }
    assert!(
        queue.receive().expect("a receive").is_none(),
        "nothing is taken from the living"
    );
    crew.kill(Role::Holder);

    let died = Instant::now();
    let mut seeds = Vec::new();
    while seeds.len() < 10 && died.elapsed() < Duration::from_secs(60) {
        let batch = queue
            .receive_batch_timeout(10, Duration::from_secs(5))
            .expect("a wait");
        for received in batch {
            assert_eq!(received.receive_count(), 2);
            seeds.push(common::seed_of(received.body()).expect("its bytes"));
            received.delete().expect("a delete");
        }
    }
    let took = died.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "{took:?} of 600 s of visibility"
    );
    let tally = Tally {
        seeds,
        ..Tally::default()
    };
    tally.is_each_once(1, 10);
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
}
