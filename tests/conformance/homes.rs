//! The homes: each gives a check a queue of the same options.

use super::common::Dir;
use super::ground::{Ground, VISIBILITY};
use ringmain::{Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions, Region};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// 100 messages of at most 96 bytes: two blocks, the second not whole.
pub type Small = Fixed<100, 96, 2>;

const OPTIONS: QueueOptions = QueueOptions::new().visibility(VISIBILITY).typical_body(88);
const START_MS: u64 = 1_000_000;

static CLOCK: ManualClock = ManualClock::new(START_MS);
static QUEUE: Queue<Small, &ManualClock> = Queue::fixed(&CLOCK, OPTIONS);
static IN_USE: Mutex<()> = Mutex::new(());

fn checked<R: Region>(
    queue: &Queue<R, &ManualClock>,
    clock: &ManualClock,
    check: fn(&Ground<'_, R>),
) {
    check(&Ground { queue, clock });
    Ground { queue, clock }.settled();
}

/// One queue for all checks, one after the other.
pub fn in_a_static(check: fn(&Ground<'_, Small>)) {
    let _guard = IN_USE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    // A minute before, since the check before may have purged, and one after, since this one may.
    CLOCK.advance(Duration::from_secs(60));
    QUEUE.purge().expect("an empty queue to begin with");
    CLOCK.advance(Duration::from_secs(60));
    QUEUE.reconfigure(|_| OPTIONS).expect("the same settings");
    check(&Ground {
        queue: &QUEUE,
        clock: &CLOCK,
    });
    Ground {
        queue: &QUEUE,
        clock: &CLOCK,
    }
    .settled();
}

pub fn on_the_stack(check: fn(&Ground<'_, Small>)) {
    let clock = ManualClock::new(START_MS);
    checked(&Queue::fixed(&clock, OPTIONS), &clock, check);
}

pub fn in_the_heap(check: fn(&Ground<'_, Heap>)) {
    let clock = ManualClock::new(START_MS);
    let region = Heap::new(256 << 10).expect("memory");
    checked(
        &Queue::create_with(region, OPTIONS, &clock).expect("a queue"),
        &clock,
        check,
    );
}

fn mapped(path: PathBuf, check: fn(&Ground<'_, Mapped>)) {
    let clock = ManualClock::new(START_MS);
    let region = Mapped::create(path, 256 << 10).expect("a region");
    checked(
        &Queue::create_with(region, OPTIONS, &clock).expect("a queue"),
        &clock,
        check,
    );
}

pub fn in_a_file(check: fn(&Ground<'_, Mapped>)) {
    let dir = Dir::new("conformance");
    mapped(dir.file("q.ring"), check);
}

pub fn in_shared_memory(check: fn(&Ground<'_, Mapped>)) {
    let dir = Dir::shm("conformance");
    mapped(dir.file("q.ring"), check);
}
