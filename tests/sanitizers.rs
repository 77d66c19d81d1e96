//! Faults on purpose, which `.ci/sanitize address` must see reported: nothing here is built but for
//! it.
#![cfg(ringmain_twin = "address")]

use ringmain::ring::spsc;
use ringmain::{Heap, Queue, QueueOptions};

#[test]
fn bytes_are_read_after_their_region() {
    let queue = Queue::create(Heap::new(1 << 14).expect("memory"), QueueOptions::new());
    let queue = queue.expect("a queue");
    queue.send(b"gone").expect("room");
    let received = queue.receive().expect("a receive").expect("a message");
    let byte = received.body().as_ptr();
    drop(received);
    drop(queue);
    // SAFETY: none; the memory was given back with its region.
    let byte = unsafe { byte.read_volatile() };
    panic!("{byte} was read without a report");
}

#[test]
fn a_ring_is_forgotten() {
    std::mem::forget(spsc::<u64>(100).expect("a small ring"));
}
