//! The bound on messages in flight, and that messages in other states do not count against it.
#![cfg(all(feature = "std", not(ringmain_loom)))]

use ringmain::{Error, Heap, ManualClock, Queue, QueueOptions};
use std::time::Duration;

const BOUND: u32 = 20;

fn queue(clock: &ManualClock) -> Queue<Heap, &ManualClock> {
    let region = Heap::new(1 << 17).expect("memory");
    let options = QueueOptions::new().max_in_flight(BOUND);
    Queue::create_with(region, options, clock).expect("a queue")
}

#[test]
fn as_many_are_in_flight_as_may_be() {
    let clock = ManualClock::new(1000);
    let queue = queue(&clock);
    for _ in 0..100 {
        queue.send(&[7; 300]).expect("room"); // runs of slots count once
    }
    let full = Err(Error::InFlight { max: 20 });
    let mut held: Vec<_> = (0..BOUND)
        .map(|_| queue.receive().expect("allowed").expect("a message"))
        .collect();
    for _ in 0..3 {
        assert_eq!(queue.receive().map(|_| ()), full);
        assert_eq!(queue.receive_batch(10).map(|_| ()), full);
    }
    // One that is deleted, released or late makes room for one.
    held.pop().expect("held").delete().expect("deleted");
    held.push(queue.receive().expect("allowed").expect("a message"));
    assert_eq!(queue.receive().map(|_| ()), full);
    held.pop().expect("held").release().expect("released");
    held.push(queue.receive().expect("allowed").expect("a message"));
    assert_eq!(queue.receive().map(|_| ()), full);
    clock.advance(Duration::from_secs(30));
    let again = queue.receive_batch(10).expect("allowed");
    assert_eq!(again.len(), 10);
    drop(held);
}

#[test]
fn a_batch_takes_no_more_than_there_is_room_for() {
    let clock = ManualClock::new(1000);
    let queue = queue(&clock);
    for number in 0..100 {
        queue.send(&[number; 8]).expect("room");
    }
    let first = queue.receive_batch(7).expect("allowed");
    let second = queue.receive_batch(10).expect("allowed");
    let third = queue.receive_batch(10).expect("allowed");
    assert_eq!([first.len(), second.len(), third.len()], [7, 10, 3]);
    let full = Err(Error::InFlight { max: 20 });
    assert_eq!(queue.receive_batch(10).map(|_| ()), full);
    assert_eq!(queue.stat().expect("figures").in_flight, 20);
    assert!(third.delete().iter().all(|outcome| outcome.is_ok()));
    assert_eq!(queue.receive_batch(10).expect("allowed").len(), 3);
}

#[test]
fn delayed_and_waiting_messages_do_not_count() {
    let clock = ManualClock::new(1000);
    let queue = queue(&clock);
    queue
        .reconfigure(|options| options.delay(Duration::from_secs(60)))
        .expect("a delay");
    for _ in 0..3 * BOUND {
        queue.send(b"later").expect("room");
    }
    queue
        .reconfigure(|options| options.delay(Duration::ZERO))
        .expect("no delay");
    for _ in 0..2 * BOUND {
        queue.send(b"now").expect("room");
    }
    for _ in 0..1000 {
        let batch = queue.receive_batch(10).expect("allowed");
        assert!(!batch.is_empty());
        batch.release();
    }
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.in_flight, stat.delayed, stat.visible), (0, 60, 40));
}

#[test]
fn the_bound_can_be_changed_and_has_a_range() {
    let clock = ManualClock::new(1000);
    let queue = queue(&clock);
    for _ in 0..30 {
        queue.send(b"x").expect("room");
    }
    let options = queue.options();
    assert_eq!(options, options.max_in_flight(BOUND));
    let zero = queue.reconfigure(|options| options.max_in_flight(0));
    let told = zero.expect_err("0 is refused").to_string();
    assert!(
        told.contains("max_in_flight") && told.contains("2147483647"),
        "{told}"
    );
    queue
        .reconfigure(|options| options.max_in_flight(5))
        .expect("changed");
    let five: Vec<_> = std::iter::from_fn(|| queue.receive().ok().flatten()).collect();
    assert_eq!(five.len(), 5);
    let refused = queue.receive().expect_err("no more").to_string();
    assert!(refused.contains('5'), "{refused}");
    drop(five);
    // A queue that has no more slots than the bound looks at nothing.
    queue
        .reconfigure(|options| options.max_in_flight(u32::MAX >> 1))
        .expect("changed");
    let all: Vec<_> = std::iter::from_fn(|| queue.receive().ok().flatten()).collect();
    assert_eq!(all.len(), 25);
}
