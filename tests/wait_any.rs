//! Waiting for several queues, of different homes and clocks: threads and futures are woken by
//! messages of their own process and of others, by deaths and by timeouts; no wake-up is kept by
//! one who does not use it; also where the kernel lets a thread sleep on one word only.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

use common::filter::{self, Answer};
use common::{Dir, child};
use ringmain::{Error, Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions, Waitable, wait_any};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
/// Nothing is woken by the end of a wait.
const SOON: Duration = Duration::from_secs(10);

static CLOCK: ManualClock = ManualClock::new(1000);
static FIXED: Queue<Fixed<70, 100, 2>, &ManualClock> = Queue::fixed(&CLOCK, QueueOptions::new());

fn heap() -> Queue<Heap> {
    Queue::create(Heap::new(1 << 16).expect("memory"), QueueOptions::new()).expect("a queue")
}

fn mapped(path: &Path) -> Queue<Mapped> {
    let region = Mapped::open_or_create(path, 1 << 18).expect("a region");
    Queue::open_or_create(region, QueueOptions::new()).expect("a queue")
}

/// Something to receive from: [`Waitable`] only waits.
trait Empty: Waitable {
    fn take(&self) -> Option<Vec<u8>>;
}

impl<R: ringmain::Region + Sync, C: ringmain::Clock + Sync> Empty for Queue<R, C> {
    fn take(&self) -> Option<Vec<u8>> {
        let received = self.receive().expect("received")?;
        let body = received.body().to_vec();
        received.delete().expect("deleted");
        Some(body)
    }
}

#[test]
fn each_home_wakes() {
    let dir = Dir::shm("any");
    let (heap, mapped) = (heap(), mapped(&dir.file("q.ring")));
    let queues: [&dyn Waitable; 3] = [&heap, &mapped, &FIXED];
    let send = |index| match index {
        0 => heap.send(b"heap").map(drop),
        1 => mapped.send(b"mapped").map(drop),
        _ => FIXED.send(b"fixed").map(drop),
    };
    let take = |index| match index {
        0 => heap.take(),
        1 => mapped.take(),
        _ => FIXED.take(),
    };
    assert_eq!(wait_any(&queues, Duration::ZERO), Ok(None));
    assert_eq!(wait_any(&queues, Duration::from_millis(30)), Ok(None));
    for round in 0..30 {
        let index = round % 3;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| (wait_any(&queues, LONG), Instant::now()));
            if round < 9 {
                thread::sleep(Duration::from_millis(20)); // asleep by then
            }
            let begun = Instant::now();
            send(index).expect("sent");
            let (found, woken) = waiter.join().expect("ends");
            assert_eq!(found, Ok(Some(index)));
            assert!(woken.saturating_duration_since(begun) < SOON);
        });
        assert!(take(index).is_some());
    }
}

#[test]
fn it_is_fair_and_takes_nothing() {
    let (one, two, three) = (heap(), heap(), heap());
    one.send(b"1").expect("sent");
    three.send(b"3").expect("sent");
    let queues: [&dyn Waitable; 3] = [&one, &two, &three];
    let mut found = [0; 3];
    for _ in 0..60 {
        let index = wait_any(&queues, LONG).expect("found").expect("something");
        found[index] += 1;
    }
    assert!(found[0] > 0 && found[2] > 0 && found[1] == 0, "{found:?}");
    assert_eq!(one.take().as_deref(), Some(&b"1"[..]));
}

#[test]
fn what_is_out_of_range_is_refused() {
    let queue = heap();
    let out_of_range = |found| matches!(found, Err(Error::OutOfRange { .. }));
    assert!(out_of_range(wait_any(&[], LONG)));
    assert!(out_of_range(wait_any(
        &[&queue],
        LONG + Duration::from_millis(1)
    )));
    let many: Vec<&dyn Waitable> = vec![&queue; 129];
    assert!(out_of_range(wait_any(&many, LONG)));
    assert_eq!(wait_any(&many[..128], Duration::from_millis(10)), Ok(None));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&many[..128], LONG));
        thread::sleep(Duration::from_millis(20));
        queue.send(b"to all of them").expect("sent");
        assert!(waiter.join().expect("ends").expect("found").is_some());
    });
}

#[test]
fn a_timeout_of_another_clock_wakes() {
    let clock = ManualClock::new(5);
    let region = Heap::new(1 << 16).expect("memory");
    let options = QueueOptions::new().visibility(Duration::from_secs(30));
    let slow = Queue::create_with(region, options, &clock).expect("a queue");
    slow.send(b"again").expect("sent");
    drop(slow.receive().expect("received").expect("there"));
    let other = heap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_any(&[&other, &slow], LONG));
        thread::sleep(Duration::from_millis(20));
        let begun = Instant::now();
        clock.advance(Duration::from_secs(31));
        assert_eq!(waiter.join().expect("ends"), Ok(Some(1)));
        assert!(begun.elapsed() < SOON);
    });
}

/// One waits for two queues and takes one message; another waits at the second queue. Both queues
/// get a message at once: the one who is woken by both must not keep the other's wake-up.
#[test]
fn no_wake_up_is_kept() {
    let dir = Dir::shm("any-kept");
    let (one, two) = (mapped(&dir.file("1.ring")), mapped(&dir.file("2.ring")));
    let start = Barrier::new(3);
    for round in 0..common::number_of("RINGMAIN_ANY_ROUNDS", 300) {
        thread::scope(|scope| {
            scope.spawn(|| {
                let found = wait_any(&[&one, &two], LONG).expect("found");
                let queue = [&one, &two][found.expect("woken")];
                queue.take(); // or somebody was faster
            });
            let other = scope.spawn(|| {
                let received = two.receive_timeout(LONG).expect("received");
                received.expect("woken").delete().expect("deleted");
            });
            if round % 2 == 0 {
                thread::sleep(Duration::from_millis(2)); // both asleep
            }
            let begun = Instant::now();
            for queue in [&one, &two] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    queue.send(b"x").expect("sent");
                });
            }
            start.wait();
            // If the first has taken the second queue's message, the other needs one more.
            while !other.is_finished() {
                assert!(
                    begun.elapsed() < Duration::from_secs(2),
                    "round {round}: asleep"
                );
                let nothing = two.stat().expect("figures").visible == 0;
                if nothing && begun.elapsed() > Duration::from_millis(10) {
                    two.send(b"one more").expect("sent");
                }
                thread::yield_now();
            }
        });
        while one.take().is_some() || two.take().is_some() {}
    }
}

// ---- processes

fn as_child(role: &str) {
    let dir = child::argument();
    let file = |name| Path::new(&dir).join(name);
    let (one, two) = (mapped(&file("1.ring")), mapped(&file("2.ring")));
    match role {
        "sender" => two.send(b"from a child").map(drop).expect("sent"),
        "holder" => {
            let _held = two.receive().expect("received").expect("there");
            thread::sleep(Duration::from_millis(200)); // the others are asleep by then
            std::process::abort();
        }
        "without futex_waitv" => {
            filter::set(libc::SYS_futex_waitv, Answer::Error(libc::ENOSYS));
            thread::scope(|scope| {
                let waiter = scope.spawn(|| wait_any(&[&one, &two], LONG));
                thread::sleep(Duration::from_millis(50));
                let begun = Instant::now();
                two.send(b"to the second").expect("sent");
                assert_eq!(waiter.join().expect("ends"), Ok(Some(1)));
                assert!(begun.elapsed() < SOON);
            });
        }
        other => panic!("no role {other}"),
    }
}

fn with_child(test: &str, role: &str, before: fn(&Queue<Mapped>), after: fn(&Queue<Mapped>)) {
    if let Some(role) = child::role() {
        return as_child(&role);
    }
    let dir = Dir::shm("any-child");
    let (one, two) = (mapped(&dir.file("1.ring")), mapped(&dir.file("2.ring")));
    before(&two);
    let argument = dir.path().to_str().expect("a path in UTF-8");
    let mut child = child::command(test, role, argument)
        .spawn()
        .expect("a child");
    let begun = Instant::now();
    if role == "holder" {
        while two.stat().expect("figures").in_flight == 0 {
            thread::yield_now();
        }
    }
    if role != "without futex_waitv" {
        assert_eq!(wait_any(&[&one, &heap(), &two], LONG), Ok(Some(2)));
        assert!(begun.elapsed() < SOON);
    }
    let status = child.wait().expect("an end");
    assert!(role == "holder" || status.success(), "{status}");
    after(&two);
}

#[test]
fn a_sender_of_another_process_wakes() {
    let test = "a_sender_of_another_process_wakes";
    let after = |two: &Queue<Mapped>| assert!(two.take().is_some());
    with_child(test, "sender", |_| (), after);
}

#[test]
fn a_death_wakes() {
    let before = |two: &Queue<Mapped>| two.send(b"held").map(drop).expect("sent");
    let after = |two: &Queue<Mapped>| assert!(two.take().is_some());
    with_child("a_death_wakes", "holder", before, after);
}

#[test]
fn naps_where_the_kernel_cannot() {
    let test = "naps_where_the_kernel_cannot";
    with_child(test, "without futex_waitv", |_| (), |_| ());
}

// ---- futures

#[cfg(feature = "async")]
mod futures {
    use super::*;
    use common::executor::{self, Woken, poll};
    use ringmain::wait_any_async;
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    fn block_on<F: Future>(future: F) -> F::Output {
        executor::block_on(future, SOON)
    }

    #[test]
    fn each_home_wakes_a_future() {
        let dir = Dir::shm("any-async");
        let (heap, here) = (heap(), mapped(&dir.file("q.ring")));
        let elsewhere = mapped(&dir.file("q.ring"));
        let queues: [&dyn Waitable; 2] = [&heap, &here];
        for round in 0..20 {
            thread::scope(|scope| {
                let waiter = scope.spawn(|| block_on(wait_any_async(&queues)));
                thread::sleep(Duration::from_millis(5 * (round % 4)));
                let sent = match round % 3 {
                    0 => heap.send(b"x"),
                    1 => here.send(b"x"),
                    _ => elsewhere.send(b"x"),
                };
                sent.expect("sent");
                let found = waiter.join().expect("ends").expect("found");
                assert_eq!(found, usize::from(round % 3 != 0));
            });
            assert!(heap.take().or_else(|| here.take()).is_some());
        }
    }

    #[test]
    fn what_it_took_comes_back() {
        let (one, two) = (heap(), heap());
        let queues: [&dyn Waitable; 2] = [&one, &two];
        let woken = Woken::new();
        for _ in 0..3 {
            let mut all: Vec<_> = (0..64).map(|_| Box::pin(wait_any_async(&queues))).collect();
            for future in &mut all {
                assert!(poll(future.as_mut(), &woken).is_pending());
            }
            let mut more = Box::pin(wait_any_async(&queues));
            let refused = poll(more.as_mut(), &woken);
            assert!(matches!(
                refused,
                Poll::Ready(Err(Error::Waiters { max: 64 }))
            ));
        }
        let none: [&dyn Waitable; 0] = [];
        let refused = poll(pin!(wait_any_async(&none)), &woken);
        assert!(matches!(
            refused,
            Poll::Ready(Err(Error::OutOfRange { .. }))
        ));
    }

    #[test]
    fn a_wake_up_that_is_not_used_is_passed_on() {
        let (one, two) = (heap(), heap());
        let queues: [&dyn Waitable; 2] = [&one, &two];
        let (first, second) = (Woken::new(), Woken::new());
        let mut both = Box::pin(wait_any_async(&queues));
        let mut other = Box::pin(two.receive_async());
        assert!(poll(both.as_mut(), &first).is_pending());
        assert!(poll(other.as_mut(), &second).is_pending());
        two.send(b"for one of them").expect("sent");
        assert_eq!((first.count(), second.count()), (1, 0));
        drop(both);
        assert_eq!(second.count(), 1, "the dropped one's goes to the next");
        assert!(poll(other.as_mut(), &second).is_ready());

        // Woken by both queues, it goes on with one.
        let mut both = Box::pin(wait_any_async(&queues));
        let (mut at_one, mut at_two) =
            (Box::pin(one.receive_async()), Box::pin(two.receive_async()));
        assert!(poll(both.as_mut(), &first).is_pending());
        assert!(poll(at_one.as_mut(), &second).is_pending());
        assert!(poll(at_two.as_mut(), &second).is_pending());
        let before = second.count();
        one.send(b"x").expect("sent");
        two.send(b"x").expect("sent");
        let Poll::Ready(Ok(found)) = poll(both.as_mut(), &first) else {
            panic!("both are there");
        };
        assert_eq!(second.count() - before, 1, "the other queue's waiter");
        let left = if found == 0 {
            poll(at_two.as_mut(), &second).is_ready()
        } else {
            poll(at_one.as_mut(), &second).is_ready()
        };
        assert!(left);
    }
}
