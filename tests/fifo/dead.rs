//! Dead letters and redrive: the order of a group goes along, and nothing overtakes.

use super::homes::{bodies_of, delete};
use ringmain::{Error, FifoOptions, FifoQueue, Heap, ManualClock};
use std::time::Duration;

const BYTES: usize = 256 << 10;

fn heap() -> Heap {
    Heap::new(BYTES).expect("memory")
}

/// Receives a batch from `orders` and releases it, so that each of its messages was received once
/// more.
fn fail<R: ringmain::Region>(orders: &FifoQueue<R, &ManualClock>) -> usize {
    let batch = orders.receive_batch(10).expect("a receive");
    let len = batch.len();
    for outcome in batch.release() {
        outcome.expect("a release");
    }
    len
}

#[test]
fn dead_letters_keep_the_order_of_their_group() {
    let clock = ManualClock::new(1_000_000);
    let dead = FifoQueue::create_with(heap(), FifoOptions::new(), &clock).expect("a queue");
    let options = FifoOptions::new().max_receives(2);
    let orders = FifoQueue::create_with(heap(), options, &clock).expect("a queue");
    let orders = orders.with_dead_letters(dead.by_ref()).expect("linked");
    for number in 0..8 {
        let (group, id) = (format!("g{}", number % 2), number.to_string());
        orders.send(&group, &*id, id.as_bytes()).expect("room");
    }
    clock.advance(Duration::from_millis(50));
    assert_eq!((fail(&orders), fail(&orders)), (8, 8));
    assert_eq!(fail(&orders), 0, "all are dead letters");
    let stat = orders.stat().expect("figures");
    assert_eq!((stat.moved, stat.slots_free), (8, stat.slots));
    let letters: Vec<_> = dead
        .receive_batch(10)
        .expect("a receive")
        .into_iter()
        .collect();
    assert_eq!(
        bodies_of(&letters),
        ["0", "2", "4", "6", "1", "3", "5", "7"]
    );
    for letter in &letters {
        assert_eq!((letter.receive_count(), letter.source()), (3, Some("")));
        assert_eq!(letter.sent_ms(), 1_000_050, "the retention begins anew");
        assert_eq!(letter.attributes().iter().count(), 0);
        assert!(letter.deduplication_id().is_some());
    }
    delete(letters);
}

#[test]
fn redrive_keeps_the_order_of_each_group() {
    let clock = ManualClock::new(1_000_000);
    let dead = FifoQueue::create_with(heap(), FifoOptions::new(), &clock).expect("a queue");
    let orders = FifoQueue::create_with(heap(), FifoOptions::new(), &clock).expect("a queue");
    for number in 0..30 {
        let (group, id) = (format!("g{}", number % 3), number.to_string());
        dead.send(&group, &*id, id.as_bytes()).expect("room");
    }
    assert_eq!(dead.redrive(&orders, 7), Ok(7));
    assert_eq!(dead.redrive(&orders, u64::MAX), Ok(23));
    assert!(matches!(
        dead.redrive(&dead, 1),
        Err(Error::OutOfRange { .. })
    ));
    for group in 0..3 {
        let received: Vec<_> = orders
            .receive_batch(10)
            .expect("works")
            .into_iter()
            .collect();
        let wanted: Vec<String> = (0..10).map(|at| (group + 3 * at).to_string()).collect();
        assert_eq!(bodies_of(&received), wanted);
        delete(received);
    }
    for queue in [&dead, &orders] {
        let stat = queue.stat().expect("figures");
        assert_eq!(stat.slots_free, stat.slots);
    }
}

#[test]
fn what_cannot_be_moved_locks_its_group() {
    let clock = ManualClock::new(1_000_000);
    let options = FifoOptions::new().typical_body(16).max_body(200);
    let small = Heap::new(24 << 10).expect("memory");
    let dead = FifoQueue::create_with(small, options, &clock).expect("a queue");
    let orders = FifoQueue::create_with(heap(), options.max_receives(1), &clock).expect("a queue");
    let orders = orders.with_dead_letters(dead.by_ref()).expect("linked");
    let mut filled = 0;
    while dead.send("full", &*format!("f{filled}"), b"full").is_ok() {
        filled += 1;
    }
    for id in ["1", "2"] {
        orders.send("g", id, id.as_bytes()).expect("room");
    }
    orders
        .receive()
        .expect("works")
        .expect("1")
        .release()
        .expect("works");
    assert!(
        orders.receive_batch(10).expect("works").is_empty(),
        "1 is held back, 2 is behind it"
    );
    let full = dead.receive().expect("works").expect("full");
    full.delete().expect("works");
    clock.advance(Duration::from_secs(1));
    let next: Vec<_> = orders
        .receive_batch(10)
        .expect("works")
        .into_iter()
        .collect();
    assert_eq!(bodies_of(&next), ["2"]);
    assert_eq!(orders.stat().expect("figures").moved, 1);
    delete(next);
}
