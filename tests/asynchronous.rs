//! `receive_async` on an executor of a few lines: futures are woken by a sender of this process, by
//! one that went another way (a second attachment), by a visibility timeout and by a death's proof;
//! a dropped future passes its wake-up on; too many futures are refused; under load no wake-up is
//! lost. `RINGMAIN_STRESS_MESSAGES` sets how many messages each sender of that load sends (default
//! 20 000).
#![cfg(all(feature = "async", feature = "mapped"))]
#![allow(clippy::disallowed_types)] // a test counts wake-ups; the rule is for the library

mod common;

use ringmain::{Error, Heap, Mapped, Queue, QueueOptions, Region};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes a thread, and counts.
struct Unpark(Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

fn waker() -> (Waker, Arc<Unpark>) {
    let unpark = Arc::new(Unpark(thread::current(), AtomicUsize::new(0)));
    (Waker::from(Arc::clone(&unpark)), unpark)
}

/// Nothing here waits this long, unless a wake-up was lost.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let (waker, _) = waker();
    let start = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(PATIENCE),
        }
        assert!(start.elapsed() < PATIENCE, "nobody woke this future");
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> (Poll<F::Output>, Arc<Unpark>) {
    let (waker, unpark) = waker();
    (future.poll(&mut Context::from_waker(&waker)), unpark)
}

fn region(name: &str) -> (std::path::PathBuf, Mapped) {
    let name = format!("ringmain-async-{name}-{}.ring", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    let region = Mapped::create(&path, 1 << 20).expect("region");
    (path, region)
}

#[test]
fn a_sender_of_this_process_wakes() {
    let queue = Queue::create(Heap::new(1 << 20).expect("heap"), QueueOptions::new()).expect("new");
    thread::scope(|scope| {
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let received = block_on(queue.receive_async()).expect("received");
                    let value = received.body()[0] as u32;
                    received.delete().expect("deleted");
                    value
                })
            })
            .collect();
        for value in 1..=4u8 {
            queue.send(&[value]).expect("sent");
        }
        let sum: u32 = receivers.into_iter().map(|r| r.join().expect("ends")).sum();
        assert_eq!(sum, 10);
    });
}

/// Waits until `done`, and gives up when nothing comes to its end any more.
fn until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "the receivers have stopped");
        thread::yield_now();
    }
}

/// As many senders as receivers, each of which waits as a future for every single message. A sender
/// lets the queue run empty, so that the receivers do wait: now and then where there are several,
/// who would make good for one another, and each time where there is one. A wake-up that is lost
/// leaves a receiver parked to the end.
fn no_wake_up_is_lost<R: Region + Send + Sync>(region: R, sides: u64) {
    let each = common::number_of("RINGMAIN_STRESS_MESSAGES", 20_000);
    let queue = Queue::create(region, QueueOptions::new()).expect("queue");
    let (sent, taken) = (AtomicU64::new(0), AtomicU64::new(0));
    let all_taken = |of: u64| taken.load(Ordering::Relaxed) >= of;
    let send = |body: u64| until(|| queue.send(&body.to_le_bytes()).is_ok());
    let produce = || {
        for value in 0..each {
            send(value);
            let sent = sent.fetch_add(1, Ordering::Relaxed) + 1;
            if sides == 1 || value % 8 == 0 {
                until(|| all_taken(sent));
            }
        }
    };
    let consume = || {
        let mut sum = 0;
        loop {
            let received = block_on(queue.receive_async()).expect("received");
            let body = received.body().try_into().map(u64::from_le_bytes);
            received.delete().expect("deleted");
            match body.expect("eight bytes") {
                u64::MAX => return sum,
                value => sum += value,
            }
            taken.fetch_add(1, Ordering::Relaxed);
        }
    };
    let sum: u64 = thread::scope(|scope| {
        let receivers: Vec<_> = (0..sides).map(|_| scope.spawn(consume)).collect();
        let senders: Vec<_> = (0..sides).map(|_| scope.spawn(produce)).collect();
        senders.into_iter().for_each(|s| s.join().expect("ends"));
        // The order is close to that of sending, not exact: so the ends come when nothing is left.
        until(|| all_taken(sides * each));
        (0..sides).for_each(|_| send(u64::MAX));
        receivers.into_iter().map(|r| r.join().expect("ends")).sum()
    });
    assert_eq!(sum, sides * (each * (each - 1) / 2));
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
}

#[test]
fn no_wake_up_is_lost_on_the_heap() {
    no_wake_up_is_lost(Heap::new(1 << 16).expect("heap"), 1);
    no_wake_up_is_lost(Heap::new(1 << 16).expect("heap"), 4);
}

#[test]
fn no_wake_up_is_lost_over_one_mapping() {
    let (path, region) = region("load");
    std::fs::remove_file(&path).expect("unlinked");
    no_wake_up_is_lost(region, 4);
}

#[test]
fn another_attachment_wakes() {
    let (path, region) = region("other");
    let queue = Queue::create(&region, QueueOptions::new()).expect("queue");
    let other = Mapped::open(&path).expect("opened");
    std::fs::remove_file(&path).expect("unlinked");
    let sender = Queue::open(&other).expect("queue");
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let received = block_on(queue.receive_async()).expect("received");
            assert_eq!(received.body(), b"from elsewhere");
            received.delete().expect("deleted");
        });
        sender.send(b"from elsewhere").expect("sent");
        receiver.join().expect("ends");
    });
}

#[test]
fn a_visibility_timeout_wakes() {
    let (path, region) = region("visibility");
    std::fs::remove_file(&path).expect("unlinked");
    let options = QueueOptions::new().visibility(Duration::from_millis(100));
    let queue = Queue::create(&region, options).expect("queue");
    queue.send(b"again").expect("sent");
    drop(queue.receive().expect("received").expect("there"));
    let start = Instant::now();
    let received = block_on(queue.receive_async()).expect("received");
    assert_eq!(received.receive_count(), 2);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "woken by its time, not by the park"
    );
    received.delete().expect("deleted");
}

#[test]
fn what_a_gone_attachment_held_wakes() {
    let (path, region) = region("gone");
    let queue = Queue::create(&region, QueueOptions::new()).expect("queue");
    queue.send(b"held").expect("sent");
    let other = Mapped::open(&path).expect("opened");
    std::fs::remove_file(&path).expect("unlinked");
    let holder = Queue::open(&other).expect("queue");
    let held = holder.receive().expect("received").expect("there");
    let mut future = pin!(queue.receive_async());
    assert!(poll_once(future.as_mut()).0.is_pending());
    drop(held);
    drop(other); // long before the 30 s of the visibility timeout
    let start = Instant::now();
    let received = block_on(future).expect("received");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(
        (received.body(), received.receive_count()),
        (&b"held"[..], 2)
    );
}

#[test]
fn a_dropped_future_passes_its_wake_up_on() {
    let queue = Queue::create(Heap::new(1 << 20).expect("heap"), QueueOptions::new()).expect("new");
    let mut first = Box::pin(queue.receive_async());
    let mut second = Box::pin(queue.receive_async());
    let (poll, first_woken) = poll_once(first.as_mut());
    assert!(poll.is_pending());
    let (poll, second_woken) = poll_once(second.as_mut());
    assert!(poll.is_pending());
    queue.send(b"one").expect("sent");
    let woken = |unpark: &Unpark| unpark.1.load(Ordering::SeqCst);
    assert_eq!(
        (woken(&first_woken), woken(&second_woken)),
        (1, 0),
        "one message, one wake-up"
    );
    drop(first);
    assert_eq!(woken(&second_woken), 1);
    assert!(poll_once(second.as_mut()).0.is_ready());
}

#[test]
fn too_many_futures_are_refused() {
    let queue = Queue::create(Heap::new(1 << 20).expect("heap"), QueueOptions::new()).expect("new");
    let mut futures: Vec<_> = (0..64).map(|_| Box::pin(queue.receive_async())).collect();
    assert!(
        futures
            .iter_mut()
            .all(|future| poll_once(future.as_mut()).0.is_pending())
    );
    let mut more = Box::pin(queue.receive_async());
    assert!(matches!(
        poll_once(more.as_mut()).0,
        Poll::Ready(Err(Error::Waiters { max: 64 }))
    ));
    futures.pop();
    assert!(poll_once(more.as_mut()).0.is_pending(), "a slot came back");
    let mut none = Box::pin(queue.receive_batch_async(11));
    assert!(matches!(
        poll_once(none.as_mut()).0,
        Poll::Ready(Err(Error::BatchSize { len: 11 }))
    ));
}

/// A FIFO queue's futures are woken when a group comes free, by whatever frees it.
#[cfg(feature = "fifo")]
mod groups {
    use super::*;
    use ringmain::{FifoOptions, FifoQueue};

    fn fifo<R: Region>(region: R) -> FifoQueue<R> {
        FifoQueue::open_or_create(region, FifoOptions::new()).expect("queue")
    }

    /// Waits as a future while `free` is done beside it.
    fn woken<R: Region + Sync>(queue: &FifoQueue<R>, free: impl FnOnce()) -> Vec<u8> {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let received = block_on(queue.receive_async()).expect("received");
                let body = received.body().to_vec();
                received.delete().expect("deleted");
                body
            });
            thread::sleep(Duration::from_millis(20)); // it waits by then
            free();
            waiter.join().expect("ends")
        })
    }

    fn each_change_wakes<R: Region + Sync>(queue: &FifoQueue<R>, other: &FifoQueue<R>) {
        let send = |id: &str| assert!(other.send("g", id, id.as_bytes()).is_ok());
        let held = || other.receive().expect("received").expect("there");
        assert_eq!(woken(queue, || send("1")), b"1");
        send("2");
        send("3");
        let got = held();
        assert_eq!(woken(queue, || got.delete().expect("deleted")), b"3");
        send("4");
        let got = held();
        assert_eq!(woken(queue, || got.release().expect("released")), b"4");
        send("5");
        send("6");
        let batch = block_on(queue.receive_batch_async(10)).expect("received");
        assert_eq!(batch.len(), 2);
        assert!(batch.delete().iter().all(|one| one.is_ok()));
    }

    #[test]
    fn each_change_wakes_in_the_heap() {
        let queue = fifo(Heap::new(1 << 20).expect("heap"));
        each_change_wakes(&queue, &queue);
    }

    #[test]
    fn each_change_wakes_over_files() {
        let (path, region) = region("groups");
        let (queue, other) = (fifo(region), fifo(Mapped::open(&path).expect("opened")));
        std::fs::remove_file(&path).expect("unlinked");
        each_change_wakes(&queue, &other);
    }

    #[test]
    fn a_timeout_and_an_end_wake() {
        let (path, region) = region("groups-ends");
        let (queue, other) = (fifo(region), fifo(Mapped::open(&path).expect("opened")));
        std::fs::remove_file(&path).expect("unlinked");
        assert!(queue.send("g", "1", b"1").is_ok() && queue.send("g", "2", b"2").is_ok());
        let short = Duration::from_millis(100);
        drop(other.receive_batch_for(1, short).expect("received"));
        assert_eq!(woken(&queue, || {}), b"1");
        std::mem::forget(other.receive().expect("received").expect("there"));
        assert_eq!(woken(&queue, || drop(other)), b"2");
    }

    #[test]
    fn a_dropped_future_passes_its_group_on() {
        let queue = fifo(Heap::new(1 << 20).expect("heap"));
        let mut first = Box::pin(queue.receive_async());
        let mut second = Box::pin(queue.receive_async());
        let (polled, woken_first) = poll_once(first.as_mut());
        assert!(polled.is_pending());
        let (polled, woken_second) = poll_once(second.as_mut());
        assert!(polled.is_pending());
        queue.send("g", "1", b"1").expect("sent");
        let wakes = || [&woken_first, &woken_second].map(|w| w.1.load(Ordering::SeqCst));
        assert_eq!(wakes().iter().sum::<usize>(), 1, "one group wakes one");
        match wakes() {
            [1, _] => drop(first),
            _ => drop(second),
        }
        assert_eq!(wakes(), [1, 1], "and then the other one");
    }

    #[test]
    fn a_wait_is_one_call_of_the_quota() {
        let options = FifoOptions::new().quota(true);
        let region = Heap::new(1 << 20).expect("heap");
        let clock = ringmain::ManualClock::new(1000);
        let queue = FifoQueue::create_with(region, options, &clock).expect("queue");
        for _ in 0..299 {
            assert!(queue.receive().expect("within the quota").is_none());
        }
        let mut waits = Box::pin(queue.receive_async());
        for _ in 0..3 {
            assert!(poll_once(waits.as_mut()).0.is_pending());
        }
        let refused = poll_once(pin!(queue.receive_async())).0;
        assert!(matches!(
            refused,
            Poll::Ready(Err(Error::Throttled { max: 300, .. }))
        ));
        queue.send("g", "1", b"1").expect("sent");
        assert!(matches!(poll_once(waits.as_mut()).0, Poll::Ready(Ok(_))));
    }
}
