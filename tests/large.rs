//! Large messages: bounds, streams, faults of the side store, lives of bodies, and deaths.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]
#![allow(clippy::disallowed_types)] // tests count with them; the rule is for the library

mod common;

#[path = "large/bounds.rs"]
mod bounds;
#[path = "large/calls.rs"]
mod calls;
#[path = "large/deaths.rs"]
mod deaths;
#[path = "large/faults.rs"]
mod faults;
#[path = "large/lives.rs"]
mod lives;
#[path = "large/streams.rs"]
mod streams;

use common::Dir;
use ringmain::{Clock, Heap, LargeOptions, LargeQueue, ManualClock, Queue, QueueOptions, Region};

/// Bodies in a directory.
fn bodies(dir: &Dir) -> std::path::PathBuf {
    dir.file("bodies")
}

/// How many bodies are in the side store.
fn files(dir: &Dir) -> usize {
    let entries = std::fs::read_dir(bodies(dir)).expect("the side store is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let names = entries.map(name);
    names
        .filter(|name| name.to_string_lossy().ends_with(".body"))
        .count()
}

/// A queue in memory that takes bodies of up to 1000 bytes.
fn heap(clock: &ManualClock) -> Queue<Heap, &ManualClock> {
    let options = QueueOptions::new().max_body(1000);
    Queue::create_with(Heap::new(1 << 16).expect("memory"), options, clock).expect("a queue")
}

/// A queue with the side store of `dir`.
fn large<'q, R: Region, C: Clock>(queue: &'q Queue<R, C>, dir: &Dir) -> LargeQueue<'q, R, C> {
    LargeQueue::new(queue, bodies(dir)).expect("a side store")
}

/// The same with options.
fn large_with<'q, R: Region, C: Clock>(
    queue: &'q Queue<R, C>,
    dir: &Dir,
    options: LargeOptions,
) -> LargeQueue<'q, R, C> {
    LargeQueue::with_options(queue, bodies(dir), options).expect("a side store")
}

/// Nothing is left of what was sent: no slot is taken, and no body is there.
fn is_empty<R: Region, C: Clock>(queue: &Queue<R, C>, dir: &Dir) {
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
    assert_eq!(files(dir), 0);
}
