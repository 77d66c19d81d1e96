//! Numbers that are read once and then kept, and hints that hide messages when they are wrong: what
//! stays right, and what is put right, while the region is in use.

use crate::ground::layout::{BLOCKS, CONFIG, ENTRIES_HIGH, SECTION_DIRTY, SECTION_KIND, SELDOM};
use crate::ground::{DEAD, Ground, START_MS, Template, VISIBILITY};
use ringmain::{Error, ManualClock, Mapped, Queue, QueueOptions};
use std::time::Duration;

/// A day, past any timeout that the template's holders gave.
const DAY: Duration = Duration::from_secs(86_400);
/// So many calls of `tend` have mended once.
const TENDS: usize = 100;

fn ground() -> Ground {
    Ground::with(Template::of_today())
}

fn empty(queue: &Queue<&Mapped, &ManualClock>) {
    loop {
        let batch = queue.receive_batch(10).expect("a receive");
        if batch.is_empty() {
            return;
        }
        batch.delete();
    }
}

/// A death is repaired by the layout that was verified, whatever the file says by then.
#[test]
fn a_layout_that_changes_keeps_no_death_from_repair() {
    for (at, value) in [
        (CONFIG + 8, 1),
        (CONFIG, 0),
        (CONFIG + 64, 0),
        (SECTION_KIND, 0),
    ] {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        ground.set_word(at, value);
        let tended = queue.tend().expect("it goes on");
        assert_eq!(tended.dead, 1, "{at}: participant {DEAD} has died");
        assert!(
            tended.returned >= 3,
            "{at}: what it held comes back: {tended:?}"
        );
    }
}

/// Timeouts are those that were verified.
#[test]
fn a_timeout_that_changes_does_not_count() {
    for (at, value) in [(CONFIG + 32, 0), (CONFIG + 32, u64::MAX), (CONFIG + 40, 0)] {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        queue.tend().expect("in order");
        clock.advance(DAY);
        empty(&queue);
        ground.set_word(at, value);
        let id = queue.send(b"for a second").expect("room");
        drop(queue.receive().expect("a receive").expect("the message"));
        clock.advance(VISIBILITY - Duration::from_millis(1));
        assert!(
            queue.receive().expect("a receive").is_none(),
            "{at}: still in flight"
        );
        clock.advance(Duration::from_millis(1));
        let again = queue
            .receive()
            .expect("a receive")
            .expect("its time is over");
        assert_eq!((again.id(), again.receive_count()), (id, 2), "{at}");
        assert_eq!(queue.stat().expect("figures").visibility, VISIBILITY);
    }
}

/// A bound that is too late hides what is held until the block has its turn.
#[test]
fn a_bound_that_is_too_late_is_put_right() {
    for bound in [(1 << 44) - 1, 1 << 43, (1 << 63) | ((1 << 44) - 1)] {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        queue.tend().expect("in order");
        clock.advance(DAY);
        empty(&queue);
        queue.send(b"held").expect("room");
        drop(queue.receive().expect("a receive").expect("the message"));
        clock.advance(VISIBILITY);
        for block in 0..ground.template.layout.blocks {
            ground.set_word(BLOCKS + 64 * block + 16, bound);
        }
        assert!(
            queue.receive().expect("a receive").is_none(),
            "{bound:#x} hides it"
        );
        for _ in 0..TENDS {
            queue.tend().expect("in order");
        }
        let again = queue
            .receive()
            .expect("a receive")
            .expect("it is found again");
        assert_eq!(again.body(), b"held", "{bound:#x}");
    }
}

/// So does an extent that is too small.
#[test]
fn an_extent_that_is_too_small_is_put_right() {
    let ground = ground();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    let before = queue.stat().expect("figures");
    ground.set_word(SELDOM, 1);
    assert!(
        queue.stat().expect("figures").visible < before.visible,
        "some are hidden"
    );
    for _ in 0..TENDS {
        queue.tend().expect("in order");
    }
    let after = queue.stat().expect("figures");
    assert!(after.visible >= before.visible, "{after:?}");
}

/// A mark of used entries that is too low hides no death of a lower index than the own one.
#[test]
fn a_low_mark_of_entries_hides_no_lower_death() {
    let ground = ground();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    ground.set_word(ENTRIES_HIGH, 0);
    assert_eq!(queue.tend().expect("in order").dead, 1);
}

/// A latest time far ahead makes no message old.
#[test]
fn a_latest_time_far_ahead_drops_nothing() {
    let ground = ground();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    ground.set_word(SELDOM + 8, (1 << 44) - 2);
    assert!(queue.receive().expect("a receive").is_some());
    assert_eq!(queue.stat().expect("figures").expired, 0);
}

/// A region whose section calls itself vacant is not laid out anew over messages.
#[test]
fn a_queue_with_messages_is_not_laid_out_anew() {
    let ground = ground();
    ground.set_word(SECTION_KIND, 0);
    let region = ground.open().expect("a region");
    let opened = Queue::open(&region).map(drop);
    assert_eq!(opened, Err(Error::Vacant));
    for made in [
        Queue::create(&region, QueueOptions::new()).map(drop),
        Queue::open_or_create(&region, QueueOptions::new()).map(drop),
    ] {
        assert_eq!(
            made,
            Err(Error::Damaged {
                field: "section kind"
            })
        );
    }
    ground.set_word(SECTION_KIND, 1);
    let queue = Queue::open(&region).expect("nothing was touched");
    assert!(queue.stat().expect("figures").visible > 10);
    // What a death left half-made is.
    drop(region);
    let bytes = &ground.template.bytes;
    ground.write(CONFIG, &vec![0; bytes.len() - CONFIG]);
    ground.set_word(SECTION_KIND, 0);
    ground.set_word(SECTION_DIRTY, 1);
    let region = ground.open().expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("it is laid out anew");
    queue.send(b"works").expect("room");
}
