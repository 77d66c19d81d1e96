//! Damaged regions of FIFO queues: each field of the configuration is told by name, and whatever
//! else is damaged, at rest or in use, nothing panics or hangs, no body comes that nobody sent, and
//! the queue works on.

use crate::common::watched::watched;
use crate::common::{Dir, Numbers, body, seed_of};
use ringmain::{Error, FifoEntry, FifoOptions, FifoQueue, ManualClock, Mapped, Queue};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

const LEN: u64 = 128 << 10;
const SECTION: usize = 20_480;
const FLAGS: usize = 32;
const CHECK: usize = 56;
const WINDOW: usize = 64;
/// Ids that are remembered.
const IDS: u64 = 100;
/// Sets of receive attempts.
const SETS: u64 = 2;
/// What hangs for so long is told by name.
const HANG: Duration = Duration::from_secs(60);
const START_MS: u64 = 1000;

fn options() -> FifoOptions {
    FifoOptions::new()
        .visibility(Duration::from_secs(1))
        .dedup_ids(IDS)
        .content_dedup(true)
}

/// A region in which groups are waiting, locked, wide, delayed, read no more, and empty.
fn whole(dir: &Dir) -> Vec<u8> {
    let path = dir.file("whole");
    let clock = ManualClock::new(START_MS);
    let region = Mapped::create(&path, LEN).expect("a region");
    let queue = FifoQueue::create_with(region, options(), &clock).expect("a queue");
    for number in 0..24 {
        let group = format!("g{}", number % 6);
        let len = if number % 5 == 0 { 500 } else { 60 };
        let id = (number % 2 == 0).then(|| format!("id{number}"));
        let sent = queue.send(&group, id.as_deref(), &body(number, len));
        assert!(!sent.expect("room").is_duplicate);
    }
    let hour = Duration::from_secs(3600);
    for (max, keep) in [(1, true), (3, true), (4, false), (1, false)] {
        let batch = queue.receive_batch_for(max, hour).expect("a receive");
        assert!(!batch.is_empty());
        for (at, got) in batch.into_iter().enumerate() {
            match keep || at == 1 {
                true => drop(got.detach()),
                false => got.delete().expect("a delete"),
            }
        }
    }
    for max in [2, 1] {
        let batch = queue
            .receive_batch_attempt(max, "attempt")
            .expect("a receive");
        for got in batch {
            let _ = got.detach();
        }
    }
    let late = |options: FifoOptions| options.delay(Duration::from_secs(100));
    queue.reconfigure(late).expect("a delay");
    queue.send("late", "late", &body(99, 60)).expect("room");
    let soon = |options: FifoOptions| options.delay(Duration::ZERO);
    queue.reconfigure(soon).expect("no delay");
    drop(queue);
    fs::read(path).expect("a file")
}

#[test]
fn each_configured_field_is_told() {
    let dir = Dir::new("fifo-fields");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    let word = |offset: usize| {
        let bytes = &whole[SECTION + offset..][..8];
        u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
    };
    let window = |interval_ms: u64, ids: u64| interval_ms << 32 | ids;
    let flags = 0b11 | SETS << 16;
    assert_eq!((word(FLAGS), word(WINDOW)), (flags, window(300_000, IDS)));
    let (wide, late) = ((1 << 31) + 1, 86_400_001);
    let table: [(&str, usize, &[u64]); 11] = [
        ("deduplication window", WINDOW, &[0, u64::MAX]),
        (
            "deduplication window",
            WINDOW,
            &[window(999, IDS), window(late, IDS)],
        ),
        (
            "deduplication window",
            WINDOW,
            &[window(300_000, 0), window(300_000, wide)],
        ),
        (
            "queue size",
            WINDOW,
            &[window(300_000, 1 << 20), window(1000, 1 << 31)],
        ),
        (
            "checksum",
            WINDOW,
            &[window(300_001, IDS), window(300_000, IDS - 1)],
        ),
        ("flags", FLAGS, &[1 << 4, 1 << 32, 1 << 63]),
        ("queue size", FLAGS, &[flags | 0xffff << 16, u64::MAX]),
        ("checksum", FLAGS, &[0b11, 0b11 | (SETS - 1) << 16]),
        ("checksum", FLAGS, &[0b10, 0b01, 0b111, 0b1011]),
        ("checksum", CHECK, &[0, 1, u64::MAX]),
        ("number of slots", 8, &[0, (1 << 30) + 1]),
    ];
    for (field, offset, values) in table {
        for &value in values {
            let mut damaged = whole.clone();
            damaged[SECTION + offset..][..8].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, &damaged).expect("a file");
            let error = Mapped::open(&path).map(|_| ()).expect_err(field);
            assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
            let said = error.to_string();
            assert!(said.contains(field), "{field} = {value:#x}: {said}");
            assert!(fs::read(&path).expect("a file") == damaged, "as it was");
        }
    }
    // Kinds that are taken for one another are told by the window, which only one of them has.
    let mut damaged = whole.clone();
    damaged[128] = 1;
    fs::write(&path, &damaged).expect("a file");
    let field = "deduplication window";
    let opened = Mapped::open(&path).map(|_| ());
    assert_eq!(opened, Err(Error::Damaged { field }));
    fs::write(&path, &whole).expect("a file");
    let region = Mapped::open(&path).expect("a sound region");
    let (found, expected) = (2, 1);
    let opened = Queue::open(&region).map(|_| ());
    assert_eq!(opened, Err(Error::Kind { found, expected }));
    assert!(FifoQueue::open(&region).is_ok());
}

/// Does a bit of everything; errors are fine, and bodies that nobody sent are not.
fn use_it(queue: &FifoQueue<Mapped, &ManualClock>, clock: &ManualClock, seed: u64) {
    for round in 0..4 {
        let number = 1000 + 10 * seed + round;
        let id = format!("new{}", round % 3);
        let _ = queue.send(&format!("g{round}"), &*id, &body(number, 60));
        let long = body(number + 5, 700);
        let entries = [
            FifoEntry::new("g0", &long),
            FifoEntry::new("more", &long[..24]).id(&id),
        ];
        let _ = queue.send_batch(&entries);
        let _ = (queue.stat(), queue.peeks().flatten().count());
        for max in [1, 10] {
            let batch = match (round + max as u64) % 2 {
                0 => queue.receive_batch(max),
                _ => queue.receive_batch_attempt(max, ["attempt", "other"][round as usize / 2]),
            };
            let Ok(batch) = batch else {
                continue;
            };
            for (at, mut got) in batch.into_iter().enumerate() {
                assert!(seed_of(got.body()).is_some(), "nobody has sent this");
                let _ = (
                    got.group().map(str::len),
                    got.deduplication_id().map(str::len),
                );
                let _ = (got.attributes().iter().count(), got.sequence_number());
                let _ = match at % 4 {
                    0 => got.release(),
                    1 => got.extend(Duration::from_millis(300)),
                    _ => got.delete(),
                };
            }
        }
        clock.advance(Duration::from_millis(700));
        let _ = queue.tend();
    }
    let _ = queue.purge();
    clock.advance(Duration::from_secs(3700));
    let _ = queue.receive_batch(10).map(|batch| batch.delete());
}

/// What is sent to a new group after it comes, when what is damaged has been mended.
fn works_on(queue: &FifoQueue<Mapped, &ManualClock>, clock: &ManualClock) {
    let day = Duration::from_secs(86_400);
    clock.advance(5 * day); // no id is remembered, and no message is left
    for _ in 0..101 {
        let _ = queue.tend();
        let _ = queue.receive_batch(10).map(|batch| batch.delete());
    }
    let last = body(77_777, 60);
    match queue.send("last", "last", &last) {
        Ok(sent) => assert!(!sent.is_duplicate),
        Err(Error::Deleted) => return, // a damaged mark may say so
        Err(other) => panic!("no room: {other}"),
    }
    clock.advance(Duration::from_secs(901)); // what a damaged delay may say
    for _ in 0..queue.capacity() {
        let batch = queue.receive_batch(10).expect("a receive");
        let found = batch.iter().any(|got| got.body() == last);
        batch.delete();
        if found {
            return;
        }
    }
    panic!("the last message does not come");
}

/// The region as it is in a file; then some words of it are damaged, before it is opened or after.
fn damaged(path: &Path, whole: &[u8], seed: u64) {
    let mut numbers = Numbers(seed);
    let (in_use, count) = (seed.is_multiple_of(2), 1 + numbers.below(8));
    let words: Vec<(u64, u64)> = (0..count)
        .map(|_| {
            // The queue's lines and whatever follows: what is fixed is told, by the test above.
            let first = (SECTION + 128) as u64 / 8;
            let word = first + numbers.below(whole.len() as u64 / 8 - first);
            let at = 8 * word as usize;
            let found = u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight bytes"));
            let value = match numbers.below(5) {
                0 => found ^ (1 << numbers.below(64)),
                1 => found.wrapping_add(numbers.below(5)).wrapping_sub(2),
                2 => [0, 1, u64::MAX, 1 << 63, 1 << 62][numbers.below(5) as usize],
                3 => {
                    // Another word of the region, where it means something else.
                    let at = 8 * (first + numbers.below(2000)) as usize;
                    u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight bytes"))
                }
                _ => numbers.next(),
            };
            (8 * word, value)
        })
        .collect();
    fs::write(path, whole).expect("a file");
    let file = fs::File::options().write(true).open(path).expect("a file");
    let strike = || {
        for (at, value) in &words {
            file.write_all_at(&value.to_le_bytes(), *at)
                .expect("a write");
        }
    };
    if !in_use {
        strike();
    }
    let clock = ManualClock::new(START_MS + 500);
    let Ok(region) = Mapped::open(path) else {
        return; // told
    };
    let Ok(queue) = FifoQueue::open_with(region, &clock) else {
        return;
    };
    if in_use {
        let held = queue.receive();
        strike();
        drop(held);
    }
    use_it(&queue, &clock, seed);
    works_on(&queue, &clock);
}

#[test]
fn no_damage_panics_or_hangs() {
    let dir = Dir::shm("fifo-damage");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    let many = crate::common::number_of("RINGMAIN_FIFO_DAMAGES", 3000);
    watched(0..many, HANG, |seed| damaged(&path, &whole, seed));
}

/// A single word in each of the parts that only FIFO queues have, near and at each hostile value.
#[test]
fn no_word_of_a_group_panics_or_hangs() {
    let dir = Dir::shm("fifo-words");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    // Words that are not zero: those in use.
    let used: Vec<usize> = (SECTION / 8 + 144..whole.len() / 8)
        .filter(|word| whole[8 * word..8 * word + 8] != [0; 8])
        .collect();
    assert!(used.len() > 500, "{}", used.len());
    watched(0..used.len() as u64, HANG, |number| {
        let mut damaged = whole.clone();
        let at = 8 * used[number as usize];
        for value in [0, 1, u64::MAX, 1 << 63, 1 << 61] {
            damaged[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
            fs::write(&path, &damaged).expect("a file");
            let clock = ManualClock::new(START_MS + 500);
            let Ok(region) = Mapped::open(&path) else {
                continue; // told
            };
            let queue = FifoQueue::open_with(region, &clock).expect("a sound configuration");
            use_it(&queue, &clock, number);
            works_on(&queue, &clock);
        }
    });
}

/// Without damage the same calls find everything, so they mean something.
#[test]
fn the_same_calls_work_on_a_sound_region() {
    let dir = Dir::shm("fifo-sound");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    fs::write(&path, &whole).expect("a file");
    let clock = ManualClock::new(START_MS + 500);
    let region = Mapped::open(&path).expect("a region");
    let queue = FifoQueue::open_with(region, &clock).expect("a queue");
    let before = queue.stat().expect("figures");
    assert!(before.visible > 5 && before.in_flight > 3 && before.delayed == 1);
    use_it(&queue, &clock, 0);
    let after = queue.stat().expect("figures");
    assert!(
        after.received > before.received + 10 && after.damaged == 0,
        "{after:?}"
    );
    assert_eq!((after.visible, after.slots_free), (0, after.slots));
}
