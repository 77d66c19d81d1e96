//! Processes that register, remove and subscribe consumers, and are killed at any moment: names
//! stay whole and are there once, a subscription has one holder, and nothing is left in the end.
//! `RINGMAIN_STREAM_SECONDS` sets for how long (default 6), `RINGMAIN_STREAM_SEED` who and when.

use crate::common::{Dir, Numbers, child, number_of};
use ringmain::{
    Error, Heap, Mapped, Queue, QueueOptions, ShardId, Start, Stream, StreamOptions, wait_any,
};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const TEST: &str = "consumer_lives::who_is_killed_leaves_nothing";
const NAMES: [&str; 4] = [
    "red",
    "green",
    "blue",
    "a-name-that-takes-more-words-than-one",
];
const SEATS: u32 = 3;
const LIVES: usize = 3;
const ZERO: ShardId = ShardId::from_number(0);

fn opened(path: &str) -> Stream<Arc<Mapped>> {
    let region = Mapped::open(path).expect("the region");
    Stream::open(Arc::new(region)).expect("the stream")
}

/// Works until it is killed.
fn live(argument: &str) {
    let (path, seed) = argument.split_once('|').expect("two arguments");
    let mut numbers = Numbers(seed.parse().expect("a number"));
    let stream = opened(path);
    loop {
        let name = NAMES[numbers.below(4) as usize];
        let done = match numbers.below(4) {
            0 | 1 => stream.register_consumer(name).map(drop),
            2 => stream.deregister_consumer(name),
            _ => stream.consumer(name).and_then(|consumer| {
                let mut subscription = consumer.subscribe(ZERO, Start::Oldest)?;
                subscription.renew()?;
                if wait_any(&[&subscription], Duration::ZERO)? == Some(0) {
                    subscription.next_records().map(drop)?;
                }
                Ok(())
            }),
        };
        match done {
            Ok(())
            | Err(
                Error::ConsumerExists
                | Error::ConsumerLimit { .. }
                | Error::NoConsumer
                | Error::Subscribed { .. },
            ) => {}
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1);
            }
        }
    }
}

/// Kills one, which has not ended by itself.
fn killed(mut life: Child) {
    life.kill().expect("a kill");
    let end = life.wait().expect("its end");
    assert_eq!(end.signal(), Some(9), "it ended by itself");
}

/// What holds at any moment.
fn is_sound(stream: &Stream<Arc<Mapped>>) {
    let told: Vec<_> = stream.consumers().expect("a roster").collect();
    for consumer in told {
        let name = consumer.expect("a whole name").name;
        assert!(NAMES.contains(&&*name), "{name}");
    }
}

#[test]
fn who_is_killed_leaves_nothing() {
    if let Some(role) = child::role() {
        assert_eq!(role, "live");
        return live(&child::argument());
    }
    let dir = Dir::shm("stream-consumer-lives");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let options = StreamOptions::new().consumers(SEATS);
    let stream = Stream::create(Arc::new(region), options).expect("a stream");
    stream.put("a", b"data").expect("room");
    let path = path.to_str().expect("text");
    let mut numbers = Numbers(number_of("RINGMAIN_STREAM_SEED", 1));
    let mut begin = || {
        let argument = format!("{path}|{}", numbers.next());
        let mut command = child::command(TEST, "live", &argument);
        (command.spawn().expect("a child"), numbers.below(40))
    };
    let mut lives: Vec<(Child, u64)> = (0..LIVES).map(|_| begin()).collect();
    let seconds = number_of("RINGMAIN_STREAM_SECONDS", 6);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut kills, mut turn) = (0, 0);
    while Instant::now() < until {
        is_sound(&stream);
        let (life, wait_ms) = lives.remove(0);
        thread::sleep(Duration::from_millis(20 + wait_ms));
        killed(life);
        kills += 1;
        // The survivor goes on at once.
        let name = NAMES[turn % 4];
        turn += 1;
        match stream.deregister_consumer(name) {
            Ok(()) | Err(Error::NoConsumer) => {}
            Err(error) => panic!("{error}"),
        }
        lives.push(begin());
    }
    lives.into_iter().for_each(|(life, _)| killed(life));
    assert!(kills > 10 * seconds / 6, "{kills} kills");
    // Nobody is there any more: who asks for a subscription or a seat has it at once.
    is_sound(&stream);
    let told: Vec<_> = stream.consumers().expect("a roster").collect();
    for consumer in told {
        let name = consumer.expect("a whole name").name;
        let consumer = stream.consumer(&name).expect("registered");
        consumer.subscribe(ZERO, Start::Oldest).expect("free");
        stream.deregister_consumer(&name).expect("removed");
    }
    for name in &NAMES[..SEATS as usize] {
        stream.register_consumer(name).expect("a seat");
    }
}

/// In one process two subscriptions, a queue and a cursor are waited for together, and the death of
/// none of them is needed to end.
#[test]
fn a_subscription_is_waited_for_beside_others() {
    let stream = Stream::create(Heap::new(1 << 20).expect("memory"), StreamOptions::new());
    let stream = stream.expect("a stream");
    let queue = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
    let queue = queue.expect("a queue");
    let consumer = stream.register_consumer("red").expect("a seat");
    let mut subscription = consumer.subscribe(ZERO, Start::Latest).expect("free");
    let cursor = stream.cursor(ZERO, Start::Latest).expect("a cursor");
    queue.send(b"message").expect("room");
    let found = wait_any(&[&subscription, &cursor, &queue], Duration::from_secs(20));
    assert_eq!(found, Ok(Some(2)));
    stream.put("a", b"data").expect("room");
    let found = wait_any(&[&subscription], Duration::from_secs(20));
    assert_eq!(found, Ok(Some(0)));
    assert!(subscription.next_records().expect("a read").is_some());
}
