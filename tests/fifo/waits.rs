//! Who waits for a group is woken by whatever frees one: a send, a delete, a release, a timeout, a
//! death; alone, among other queues, and as a future.

use super::common::{Dir, child};
use super::homes::OPTIONS;
use ringmain::{FifoOptions, FifoQueue, Heap, Mapped, Queue, QueueOptions, Region, wait_any};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
/// Nothing here is woken by the end of a wait, nor by a visibility timeout of 30 s.
const SOON: Duration = Duration::from_secs(10);
/// What a child says.
const HELD: &str = "it is held";

fn heap(options: FifoOptions) -> FifoQueue<Heap> {
    FifoQueue::create(Heap::new(1 << 20).expect("memory"), options).expect("a queue")
}

fn mapped(path: &Path) -> FifoQueue<Mapped> {
    let region = Mapped::open_or_create(path, 1 << 20).expect("a region");
    FifoQueue::open_or_create(region, OPTIONS).expect("a queue")
}

/// What a waiter gets while `free` is done beside it.
#[track_caller]
fn woken<R: Region + Sync>(queue: &FifoQueue<R>, free: impl FnOnce()) -> Vec<u8> {
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let received = queue.receive_timeout(LONG).expect("a receive");
            let received = received.expect("woken in time");
            let body = received.body().to_vec();
            received.delete().expect("a delete");
            body
        });
        thread::sleep(Duration::from_millis(30)); // asleep by then
        let begun = Instant::now();
        free();
        let body = waiter.join().expect("ends");
        assert!(begun.elapsed() < SOON, "not woken");
        body
    })
}

fn each_change_wakes<R: Region + Sync>(queue: &FifoQueue<R>, other: &FifoQueue<R>) {
    let send = |id: &str| {
        let sent = other.send("g", id, id.as_bytes()).expect("room");
        assert!(!sent.is_duplicate);
    };
    let held = || other.receive().expect("a receive").expect("a message");
    assert_eq!(woken(queue, || send("1")), b"1");
    // A delete frees what is behind; and so does one by receipt.
    send("2");
    send("3");
    let got = held();
    assert_eq!(woken(queue, || got.delete().expect("a delete")), b"3");
    send("4");
    send("5");
    let receipt = held().detach();
    let delete = || other.delete(&receipt).expect("a delete");
    assert_eq!(woken(queue, delete), b"5");
    // A release, of one and of the last of several.
    send("6");
    let got = held();
    assert_eq!(woken(queue, || got.release().expect("a release")), b"6");
    send("7");
    send("8");
    let batch = other.receive_batch(10).expect("a receive");
    let release = || assert!(batch.release().iter().all(|one| one.is_ok()));
    assert_eq!(woken(queue, release), b"7");
    let mut got = held();
    let extend = || got.extend(Duration::ZERO).expect("in flight");
    assert_eq!(woken(queue, extend), b"8");
    // The end of a visibility timeout, also of one that is made shorter meanwhile.
    send("9");
    let short = Duration::from_millis(100);
    let batch = other.receive_batch_for(1, short).expect("a receive");
    assert_eq!(woken(queue, || drop(batch)), b"9");
    send("10");
    let mut got = held();
    let extend = || got.extend(short).expect("in flight");
    assert_eq!(woken(queue, extend), b"10");
    let batch = queue.receive_batch_timeout(10, short).expect("a receive");
    assert!(batch.is_empty(), "nothing is left");
}

#[test]
fn each_change_wakes_in_the_heap() {
    let queue = heap(OPTIONS);
    each_change_wakes(&queue, &queue);
}

#[test]
fn each_change_wakes_over_files() {
    let dir = Dir::shm("fifo-waits");
    let path = dir.file("q.ring");
    each_change_wakes(&mapped(&path), &mapped(&path));
}

#[test]
fn a_delay_that_is_over_wakes() {
    let queue = heap(OPTIONS.delay(Duration::from_millis(150)));
    let send = || assert!(queue.send("g", "1", b"late").is_ok());
    assert_eq!(woken(&queue, send), b"late");
}

#[test]
fn waits_have_a_range() {
    let queue = heap(OPTIONS);
    let refused = queue.receive_timeout(LONG + Duration::from_millis(1));
    let said = refused.map(|_| ()).expect_err("too long").to_string();
    assert!(said.contains("0 to 20000"), "{said}");
    let begun = Instant::now();
    let nap = Duration::from_millis(60);
    assert!(queue.receive_timeout(nap).expect("a receive").is_none());
    assert!(begun.elapsed() >= nap);
}

/// A child of the test below: receives a message, says so, and waits to be killed.
#[test]
fn the_one_who_dies() {
    if child::role().as_deref() != Some("dies") {
        return;
    }
    let queue = mapped(Path::new(&child::argument()));
    let _held = queue.receive().expect("a receive").expect("one");
    println!("\n{HELD}");
    loop {
        thread::park();
    }
}

#[test]
fn a_death_wakes() {
    let dir = Dir::shm("fifo-death");
    let path = dir.file("q.ring");
    let queue = mapped(&path);
    queue.send("g", "1", b"1").expect("room");
    queue.send("g", "2", b"2").expect("room");
    let name = path.to_str().expect("a path of this test");
    let mut child = child::command("waits::the_one_who_dies", "dies", name)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let said = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut said = said.map_while(Result::ok);
    assert!(said.any(|line| line == HELD));
    assert!(queue.receive().expect("a receive").is_none());
    assert_eq!(woken(&queue, || child.kill().expect("a kill")), b"1");
    child.wait().expect("it has ended");
}

#[test]
fn an_attachment_that_ends_wakes() {
    let dir = Dir::shm("fifo-ends");
    let path = dir.file("q.ring");
    let (queue, other) = (mapped(&path), mapped(&path));
    queue.send("g", "1", b"1").expect("room");
    queue.send("g", "2", b"2").expect("room");
    std::mem::forget(other.receive().expect("a receive").expect("a message"));
    assert_eq!(woken(&queue, || drop(other)), b"1");
    assert_eq!(woken(&queue, || {}), b"2");
}

/// Each group is free for one at a time, and nobody sleeps while one is.
#[test]
fn many_wait_for_groups_that_come_free() {
    const EACH: usize = 300;
    const GROUPS: usize = 5;
    let queue = heap(OPTIONS.dedup_ids(4096));
    let (done, seen) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (done, queue) = (done.clone(), &queue);
            scope.spawn(move || {
                loop {
                    let batch = queue.receive_batch_timeout(3, LONG).expect("a receive");
                    if batch.is_empty() || batch[0].body() == b"stop" {
                        batch.release(); // for the next one
                        return;
                    }
                    let all: Vec<_> = batch.iter().map(|got| got.body().to_vec()).collect();
                    let _ = done.send(all); // before the next one may have the group
                    assert!(batch.delete().iter().all(|one| one.is_ok()));
                }
            });
        }
        for number in 0..EACH * GROUPS {
            let (group, body) = (format!("g{}", number % GROUPS), format!("{number}"));
            while queue.send(&group, &*body, body.as_bytes()).is_err() {
                thread::yield_now();
            }
        }
        let mut next: Vec<usize> = (0..GROUPS).collect();
        let mut left = EACH * GROUPS;
        while left != 0 {
            for body in seen.recv_timeout(SOON).expect("nobody sleeps for good") {
                let number: usize = std::str::from_utf8(&body)
                    .expect("text")
                    .parse()
                    .expect("a number");
                assert_eq!(number, next[number % GROUPS], "in order");
                next[number % GROUPS] += GROUPS;
                left -= 1;
            }
        }
        queue.send("stop", "stop", b"stop").expect("room");
    });
}

#[test]
fn a_fifo_queue_is_one_of_several() {
    let fifo = heap(OPTIONS);
    let plain = Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new());
    let plain = plain.expect("a queue");
    let queues: [&dyn ringmain::Waitable; 2] = [&plain, &fifo];
    let nap = Duration::from_millis(30);
    assert_eq!(wait_any(&queues, Duration::ZERO), Ok(None));
    fifo.send("g", "1", b"1").expect("room");
    fifo.send("g", "2", b"2").expect("room");
    assert_eq!(wait_any(&queues, LONG), Ok(Some(1)));
    let held = fifo.receive().expect("a receive").expect("a message");
    assert_eq!(wait_any(&queues, nap), Ok(None), "the group is locked");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| (wait_any(&queues, LONG), Instant::now()));
        thread::sleep(nap);
        let begun = Instant::now();
        held.delete().expect("a delete");
        let (found, woken) = waiter.join().expect("ends");
        assert_eq!(found, Ok(Some(1)));
        assert!(woken.saturating_duration_since(begun) < SOON);
    });
    let short = Duration::from_millis(100);
    drop(fifo.receive_batch_for(1, short).expect("a receive"));
    let begun = Instant::now();
    assert_eq!(wait_any(&queues, LONG), Ok(Some(1)), "its time is over");
    assert!(begun.elapsed() < SOON);
    plain.send(b"3").expect("room");
    let mut found = [0; 2];
    for _ in 0..20 {
        found[wait_any(&queues, LONG).expect("a wait").expect("two wait")] += 1;
    }
    assert!(found[0] > 0 && found[1] > 0, "{found:?}");
}
