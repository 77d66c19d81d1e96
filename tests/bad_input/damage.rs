//! Damaged regions: each word of the header, of the queue's head, of blocks, states and slots is
//! set to hostile values. Opening gives a typed error, or the queue works on: no panic, no hang.

use crate::common::{Dir, SLOT_HEAD_BYTES, body};
use ringmain::{Error, ManualClock, Mapped, Queue, QueueOptions};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

const LEN: u64 = 64 << 10;
/// More than eight blocks of slots of 128 bytes: a queue with maps.
const WIDE_LEN: u64 = 160 << 10;
const SECTION: usize = 20_480;
const HEAD: usize = 1152;
const HOSTILE: [u64; 8] = [
    0,
    1,
    2,
    u64::MAX,
    1 << 63,
    (1 << 63) - 1,
    0x5555_5555_5555_5555,
    1 << 44,
];

/// A region in which something is waiting, in flight, read no more, freed, and long.
fn whole(dir: &Dir, len: u64) -> Vec<u8> {
    let path = dir.file("whole");
    let clock = ManualClock::new(1000);
    let region = Mapped::create(&path, len).expect("a region");
    let options = QueueOptions::new().visibility(Duration::from_secs(1));
    let queue = Queue::create_with(&region, options, &clock).expect("a queue");
    for number in 0..6 {
        queue.send(&body(number, 80)).expect("room");
    }
    queue.send(&body(7, 500)).expect("room");
    queue
        .receive()
        .expect("a receive")
        .expect("a message")
        .detach();
    queue
        .receive()
        .expect("a receive")
        .expect("a message")
        .delete()
        .expect("a delete");
    let taken = queue
        .receive_batch_for(2, Duration::from_secs(3600))
        .expect("a receive");
    for received in taken {
        received.detach();
    }
    drop(region);
    fs::read(path).expect("a file")
}

/// Does a bit of everything; errors are fine.
fn use_it(path: &Path) -> Result<(), Error> {
    let clock = ManualClock::new(5000);
    let region = Mapped::open(path)?;
    let queue = Queue::open_with(&region, &clock)?;
    let mut buffer = [0; 1000];
    for round in 0..3 {
        let _ = queue.send(&body(round, 80));
        let _ = queue.send_batch(&[body(round, 8), body(round, 700)]);
        let _ = queue.claim(20).map(|claim| claim.commit());
        let _ = queue.stat();
        if let Ok(Some(mut received)) = queue.receive() {
            let sum: u64 = received.body().iter().map(|&byte| byte as u64).sum();
            let _ = (
                sum,
                received.receive_count(),
                received.sent_ms(),
                received.id(),
            );
            let _ = received.extend(Duration::from_secs(2));
            let receipt = received.detach();
            let _ = queue.extend(&receipt, Duration::ZERO);
            let _ = queue.release(&receipt);
            let _ = queue.delete(&receipt);
        }
        if let Ok(mut batch) = queue.receive_batch(10) {
            let _ = batch.extend(Duration::ZERO);
            let _ = if round == 1 {
                batch.release()
            } else {
                batch.delete()
            };
        }
        let _ = queue.receive_into(&mut buffer);
        let _ = queue.receive_timeout(Duration::from_millis(1)).map(drop);
        clock.advance(Duration::from_secs(4000));
        let _ = queue.tend();
    }
    let _ = queue.purge();
    let _ = queue.stat();
    Ok(())
}

/// Each place that matters, as an offset in the file.
fn places(whole: &[u8]) -> Vec<usize> {
    let number = |at: usize| {
        let bytes: [u8; 8] = whole[at..at + 8].try_into().expect("8 bytes");
        u64::from_le_bytes(bytes) as usize
    };
    let (slot_bytes, slots) = (number(SECTION), number(SECTION + 8));
    assert_eq!(
        slot_bytes, 128,
        "the first word of the head, as docs/file-format.md has it"
    );
    let align = |n: usize| n.next_multiple_of(128);
    let blocks = slots.div_ceil(64);
    let groups = if blocks > 8 { blocks.div_ceil(64) } else { 0 };
    let maps = align(HEAD + blocks * 64);
    let words = align(align(align(maps + groups * 8) + groups * 8) + groups * 8);
    let notes = align(words + slots * 8);
    let bodies = align(notes + slots * 32);
    let header = 0..144;
    let registry = 4096..4096 + 64;
    let head = SECTION..SECTION + HEAD + 64;
    let states = SECTION + words..SECTION + words + 14 * 8;
    let noted = SECTION + notes..SECTION + notes + 14 * 32;
    let mapped = SECTION + maps..SECTION + words;
    let spaces = [header, registry, head, states, noted, mapped];
    let slot_heads = (0..12).flat_map(|slot| {
        let at = SECTION + bodies + slot * slot_bytes;
        (at..at + SLOT_HEAD_BYTES + 8).step_by(8)
    });
    spaces
        .into_iter()
        .flat_map(|space| space.step_by(8))
        .chain(slot_heads)
        .collect()
}

#[test]
fn damage_gives_errors_and_no_panic() {
    tried(LEN);
}

#[test]
fn damage_of_a_queue_with_maps_gives_errors_and_no_panic() {
    tried(WIDE_LEN);
}

fn tried(len: u64) {
    let dir = Dir::shm("damage");
    let whole = whole(&dir, len);
    let path = dir.file("damaged");
    // What hangs is told as well.
    let (alive, watched) = mpsc::channel::<(usize, u64)>();
    let watchdog = std::thread::spawn(move || {
        let mut last = (0, 0);
        loop {
            match watched.recv_timeout(Duration::from_secs(60)) {
                Ok(place) => last = place,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("hangs with {:#x} at offset {}", last.1, last.0);
                    std::process::exit(101);
                }
            }
        }
    });
    let (mut panics, mut refused, mut used) = (Vec::new(), 0, 0);
    for at in places(&whole) {
        for value in HOSTILE {
            alive.send((at, value)).expect("the watchdog lives");
            let mut damaged = whole.clone();
            damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, &damaged).expect("a file");
            match catch_unwind(AssertUnwindSafe(|| use_it(&path))) {
                Ok(Ok(())) => used += 1,
                Ok(Err(error)) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
                Err(_) => panics.push((at, value)),
            }
        }
    }
    drop(alive);
    watchdog.join().expect("no panic");
    assert!(panics.is_empty(), "panics at (offset, value): {panics:?}");
    assert!(refused > 50 && used > 50, "{refused} refused, {used} used");
}

/// The numbers that fix the layout, and those that decide over messages, are checked.
#[test]
fn damaged_configuration_is_refused_by_name() {
    let dir = Dir::shm("config");
    let whole = whole(&dir, LEN);
    let path = dir.file("damaged");
    let fields: [(&str, usize, &[u64]); 8] = [
        ("slot bytes", 0, &[0, 1, 32, 127, u64::MAX]),
        ("slots", 8, &[0, 1 << 31, 1 << 40, u64::MAX, 100_000]),
        ("blocks", 16, &[0, 1, 1000, u64::MAX]),
        ("longest body", 24, &[0, u64::MAX, 1 << 40]),
        ("flags", 32, &[2, u64::MAX]),
        // Right values without their check are refused as well.
        ("visibility timeout", 640, &[u64::MAX, 43_200_001, 1000]),
        ("retention", 648, &[0, 59_999, 60_000, u64::MAX]),
        ("delay", 656, &[0, 900_001, 1000, u64::MAX]),
    ];
    for (field, offset, values) in fields {
        for value in values {
            let mut damaged = whole.clone();
            damaged[SECTION + offset..SECTION + offset + 8].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, &damaged).expect("a file");
            let error = Mapped::open(&path).map(|_| ()).expect_err(field);
            assert!(
                matches!(error, Error::Damaged { .. }),
                "{field} = {value}: {error:?}"
            );
            assert!(error.to_string().contains("damaged"), "{error}");
            if offset >= 640 {
                assert!(error.to_string().contains(field), "{error}");
            }
            assert!(
                fs::read(&path).expect("a file") == damaged,
                "the file is as it was"
            );
        }
    }
}

/// A body whose bytes were altered is set aside and counted, not delivered.
#[test]
fn damaged_bodies_are_not_delivered() {
    let dir = Dir::new("body");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    let sent = body(99, 80);
    queue.send(&sent).expect("room");
    queue.send(b"sound").expect("room");
    region.sync().expect("on the disk");
    let bytes = fs::read(&path).expect("a file");
    let at = bytes
        .windows(80)
        .position(|window| window == sent)
        .expect("the body in the file");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, &[!sent[3]], at as u64 + 3).expect("a write");
    let received = queue.receive().expect("a receive").expect("the sound one");
    assert_eq!(received.body(), b"sound");
    received.delete().expect("a delete");
    let stat = queue.stat().expect("figures");
    assert_eq!((stat.damaged, stat.slots_free), (1, stat.slots));
}
