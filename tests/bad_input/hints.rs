//! Numbers that are read once and then kept, and hints that hide messages when they are wrong: what
//! stays right, and what is put right, while the region is in use.

use crate::ground::layout::{
    CONFIG, ENTRIES_HIGH, POLICY, ROOT_DUE, SECTION_DIRTY, SECTION_KIND, SELDOM,
};
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
        (CONFIG + 48, 0),
        (POLICY, 0),
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

/// A setting that is damaged in use is brought into its range.
#[test]
fn a_setting_that_is_damaged_stays_in_its_range() {
    let hours = Duration::from_secs(12 * 3600);
    let minutes = Duration::from_secs(15 * 60);
    for (value, visibility, delay) in [
        (0, Duration::ZERO, Duration::ZERO),
        (1 << 43, hours, minutes),
    ] {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        queue.tend().expect("in order");
        clock.advance(DAY);
        empty(&queue);
        ground.set_word(POLICY, value);
        ground.set_word(POLICY + 16, value);
        let id = queue.send(b"for a while").expect("room");
        let stat = queue.stat().expect("figures");
        assert_eq!((stat.visibility, stat.delay), (visibility, delay));
        assert_eq!(
            (stat.visible, stat.delayed),
            (delay.is_zero().into(), (!delay.is_zero()).into())
        );
        clock.advance(delay);
        drop(queue.receive().expect("a receive").expect("the message"));
        if !visibility.is_zero() {
            clock.advance(visibility - Duration::from_millis(1));
            assert!(queue.receive().expect("a receive").is_none(), "in flight");
            clock.advance(Duration::from_millis(1));
        }
        let again = queue
            .receive()
            .expect("a receive")
            .expect("its time is over");
        assert_eq!((again.id(), again.receive_count()), (id, 2));
        // A change of the settings puts them right.
        let options = QueueOptions::new().visibility(VISIBILITY).typical_body(32);
        queue.reconfigure(|_| options).expect("settings");
        assert_eq!(queue.stat().expect("figures").visibility, VISIBILITY);
        Mapped::open(region.path())
            .and_then(|region| Queue::open(&region).map(drop))
            .expect("it can be opened again");
    }
}

/// A retention that is damaged in use drops no message, on whatever way it would go.
#[test]
fn a_retention_that_is_damaged_drops_nothing() {
    for value in [0, 1, 60_000, 1 << 43, u64::MAX] {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        queue.tend().expect("in order");
        clock.advance(DAY);
        let before = queue.stat().expect("figures");
        assert!(before.visible > 30, "{before:?}");
        ground.set_word(POLICY + 8, value);
        for _ in 0..TENDS {
            queue.tend().expect("in order");
        }
        let mut came = 0;
        loop {
            let batch = queue.receive_batch(10).expect("a receive");
            if batch.is_empty() {
                break;
            }
            came += batch.len() as u64;
            batch.delete();
        }
        let after = queue.stat().expect("figures");
        assert_eq!((came, after.expired), (before.visible, 0), "{value:#x}");
    }
}

/// Bounds that are too late hide what is held until the block has its turn: those of the blocks, of
/// their groups, of all, and all of them.
#[test]
fn a_bound_that_is_too_late_is_put_right() {
    for bound in [
        ((1 << 44) - 1) << 19,
        1 << 62,
        (1 << 63) | (((1 << 44) - 1) << 19),
    ] {
        for which in 1..8 {
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
            let layout = &ground.template.layout;
            let blocks = (0..layout.blocks).map(|block| layout.block(block, 2));
            let groups = (0..layout.groups).map(|group| layout.map(2, group));
            let bounds = blocks.map(|at| (1, at)).chain(groups.map(|at| (2, at)));
            for (level, at) in bounds.chain([(4, ROOT_DUE)]) {
                if which & level != 0 {
                    ground.set_word(at, bound);
                }
            }
            assert!(
                queue.receive().expect("a receive").is_none(),
                "{bound:#x} at levels {which:#b} hides it"
            );
            for _ in 0..TENDS {
                queue.tend().expect("in order");
            }
            let again = queue
                .receive()
                .expect("a receive")
                .expect("it is found again");
            assert_eq!(again.body(), b"held", "{bound:#x} at levels {which:#b}");
        }
    }
}

/// Bounds that are too early cost one look, also those of blocks that nobody has used.
#[test]
fn a_bound_that_is_too_early_is_raised() {
    let ground = ground();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    queue.tend().expect("in order");
    clock.advance(DAY);
    empty(&queue);
    ground.set_word(SELDOM, 1); // the extent: but the first block, nobody has used any
    let layout = &ground.template.layout;
    let blocks = (0..layout.blocks).map(|block| layout.block(block, 2));
    let groups = (0..layout.groups).map(|group| layout.map(2, group));
    for at in blocks.chain(groups).chain([ROOT_DUE]) {
        ground.set_word(at, 0);
    }
    assert!(queue.receive().expect("a receive").is_none());
    let now_ms = ground.word(SELDOM + 8);
    assert!(
        (ground.word(ROOT_DUE) & !(1 << 63)) >> 19 > now_ms,
        "each receive looks at all again"
    );
}

/// A map that leaves blocks out hides what they have until somebody mends.
#[test]
fn a_map_that_leaves_blocks_out_is_put_right() {
    for (map, what) in ["free slots", "messages"].into_iter().enumerate() {
        let ground = ground();
        let clock = ManualClock::new(START_MS);
        let region = ground.open().expect("a region");
        let queue = Queue::open_with(&region, &clock).expect("a queue");
        queue.tend().expect("in order");
        let layout = &ground.template.layout;
        let all = || {
            if map == 0 {
                return (0..layout.slots)
                    .take_while(|_| queue.send(b"x").is_ok())
                    .count();
            }
            let mut came = 0;
            loop {
                let batch = queue.receive_batch(10).expect("a receive");
                if batch.is_empty() {
                    return came;
                }
                came += batch.len();
                batch.delete();
            }
        };
        let stat = queue.stat().expect("figures");
        let there = if map == 0 {
            stat.slots_free
        } else {
            stat.visible
        };
        for group in 0..layout.groups {
            ground.set_word(layout.map(map, group), 0);
        }
        let found = all();
        assert!((found as u64) < there, "some {what} are hidden");
        for _ in 0..TENDS {
            queue.tend().expect("in order");
        }
        assert_eq!((found + all()) as u64, there, "all {what}");
    }
}

/// One that names blocks which have nothing, or which there are not, costs a look.
#[test]
fn a_map_that_says_too_much_does_no_harm() {
    let ground = ground();
    let clock = ManualClock::new(START_MS);
    let region = ground.open().expect("a region");
    let queue = Queue::open_with(&region, &clock).expect("a queue");
    queue.tend().expect("in order");
    clock.advance(DAY);
    let layout = &ground.template.layout;
    let set = || {
        for at in (0..layout.groups).flat_map(|group| [0, 1].map(|map| layout.map(map, group))) {
            ground.set_word(at, u64::MAX);
        }
    };
    set();
    empty(&queue);
    let free = queue.stat().expect("figures").slots_free;
    set();
    let sent = (0..).take_while(|_| queue.send(b"x").is_ok()).count() as u64;
    assert_eq!(sent, free);
    set();
    let mut came = 0;
    while let Some(received) = queue.receive().expect("a receive") {
        received.delete().expect("a delete");
        came += 1;
    }
    assert_eq!(came, sent);
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
