//! Tests of hints that lie: bits that stand although their slot is somebody's, as a participant
//! leaves them that stopped while it repaired, and a stale look at a word. Placed by hand, since no
//! schedule can be asked for.

use super::{Queue, QueueOptions};
use crate::region::Heap;
use crate::region::word::Word;
use crate::ring::blocks;
use crate::sync::Ordering;
use crate::time::ManualClock;
use core::time::Duration;

const VISIBILITY: Duration = Duration::from_secs(1);

fn queue(clock: &ManualClock, bytes: usize) -> Queue<Heap, &ManualClock> {
    let options = QueueOptions::new().visibility(VISIBILITY);
    Queue::create_with(Heap::new(bytes).expect("memory"), options, clock).expect("a queue")
}

#[test]
fn a_stale_expirer_writes_into_no_body() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1900 + 256);
    for body in [b"a", b"b"] {
        queue.send(body).expect("sent");
    }
    let first = queue.receive().expect("received").expect("there");
    let second = queue.receive().expect("received").expect("there");
    clock.advance(2 * VISIBILITY);
    let index = second.hold.index as usize;
    // An expirer looks at the word, and stops.
    let seen = Word(queue.store().words()[index].load(Ordering::SeqCst));
    first.delete().expect("deleted");
    second.delete().expect("deleted");
    queue.send(&[0; 112 + 128]).expect("a run over both slots");
    assert!(
        !queue.store().expire(index, seen),
        "it goes on, and finds another word"
    );
    let run = queue.receive().expect("received").expect("there");
    assert!((run.hold.index as usize) < index, "the run covers the slot");
    assert!(run.body().iter().all(|&byte| byte == 0));
}

#[test]
fn a_stray_free_bit_hides_no_due_time() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1 << 16);
    queue.send(b"held").expect("sent");
    let held = queue.receive().expect("received").expect("there");
    blocks::put(&queue.store().blocks()[0].free, 1 << held.hold.index);
    drop(held);
    clock.advance(2 * VISIBILITY);
    let again = queue.receive().expect("received").expect("visible again");
    assert_eq!((again.body(), again.receive_count()), (&b"held"[..], 2));
    again.delete().expect("deleted");
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
}

#[cfg(feature = "mapped")]
#[test]
fn a_stopped_receiver_hides_no_due_time() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1 << 16);
    queue.send(b"held").expect("sent");
    let store = queue.store();
    // A receiver takes the bit, wins the word, and stops before it lowers the block's bound.
    assert_eq!(blocks::take(&store.blocks()[0].ready, u64::MAX, 1), 1);
    let held = store.hold(0, 1, true, 5000 + 1000).expect("held");
    clock.advance(2 * VISIBILITY);
    store.mend(2, 0);
    let again = queue.receive().expect("received").expect("visible again");
    assert_eq!((again.body(), again.receive_count()), (&b"held"[..], 2));
    again.delete().expect("deleted");
    store.lower_due(0, 5000 + 1000); // it goes on, and finds that it is late
    assert_eq!(store.delete(&held, 1, 1), Ok(None), "gone already");
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
}

#[test]
fn stray_bits_keep_no_repair_away() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1 << 16);
    queue.send(b"held").expect("sent");
    let held = queue.receive().expect("received").expect("there");
    blocks::put(&queue.store().blocks()[0].ready, 1 << held.hold.index);
    core::mem::forget(held); // its owner dies
    core::mem::forget(queue.claim(3).expect("room")); // and in the midst of a claim
    blocks::put(&queue.store().blocks()[0].free, 0b11);
    assert_eq!(queue.store().repair(&|owner| owner == 1, 2), 1, "returned");
    let back = queue.receive().expect("received").expect("there");
    assert_eq!(back.body(), b"held");
    back.delete().expect("deleted");
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots, "nothing leaked");
}

#[test]
fn a_pin_that_comes_during_a_repair_goes_with_it() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1 << 16);
    queue.send(b"held").expect("sent");
    let held = queue.receive().expect("received").expect("there");
    let index = held.hold.index as usize;
    clock.advance(2 * VISIBILITY);
    core::mem::forget(held); // its owner dies, reading in place
    let store = queue.store();
    let seen = Word(store.words()[index].load(Ordering::SeqCst));
    // Just as the repair has found the dead one's hold, somebody expires it, which pins the reader.
    let asked = core::cell::Cell::new(false);
    let dead = |owner| {
        if !asked.replace(true) {
            assert!(store.expire(index, seen), "its time is over");
            blocks::put(&store.blocks()[0].ready, 1 << index);
        }
        owner == 1
    };
    store.repair(&dead, 2);
    let back = queue.receive().expect("received").expect("there");
    assert_eq!(back.hold.word.pins(), 0, "the dead read nothing");
    back.delete().expect("deleted");
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots, "nothing leaked");
}

#[test]
fn bits_taken_beyond_the_extent_come_back() {
    let clock = ManualClock::new(5000);
    let queue = queue(&clock, 1 << 16);
    let capacity = queue.capacity();
    assert!(capacity > 3 * 64, "{capacity} slots");
    // A sender of more than 64 slots takes the bits of blocks that nobody has used, and dies.
    assert!(queue.store().take_blocks(1, 65), "they are free");
    queue.store().repair(&|owner| owner == 1, 2);
    for sent in 0..capacity {
        queue
            .send(b"x")
            .unwrap_or_else(|error| panic!("{sent} of {capacity}: {error}"));
    }
}

#[test]
fn an_old_message_that_a_death_returns_makes_room() {
    let clock = ManualClock::new(5000);
    let minute = core::time::Duration::from_secs(60);
    let options = QueueOptions::new()
        .retention(minute)
        .visibility(60 * minute);
    let region = Heap::new(1 << 14).expect("memory");
    let queue = Queue::create_with(region, options, &clock).expect("a queue");
    queue.send(b"old").expect("sent");
    core::mem::forget(queue.receive().expect("received").expect("there"));
    clock.advance(2 * minute);
    while queue.send(b"new").is_ok() {}
    // Its holder may finish it, so it is not dropped, and now nobody looks at it for an hour.
    assert_eq!(queue.send(b"new"), Err(crate::Error::Full));
    assert_eq!(queue.store().repair(&|owner| owner == 1, 2), 1, "returned");
    queue.send(b"new").expect("the room of the old one");
    assert_eq!(queue.stat().expect("figures").expired, 1);
}
