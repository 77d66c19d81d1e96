//! Hostile mirrors: bytes of a stream's mirror are changed at random, and words of its ledgers and
//! blocks are set to hostile values with their checksums put right. After a restart of the machine
//! opening gives a typed error, or the stream works on: no panic, no hang.

use crate::common::{Dir, Numbers, body};
use ringmain::{Durability, Error, FullPolicy, Mapped, ShardId, Start, Stream, StreamOptions};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const LEN: u64 = 192 << 10;
const PAGE: usize = 4096;
const BOOT: usize = 48;
const SEED: usize = 112;
const PLACES: usize = 4;
const SEATS: usize = 3;
/// Head, places, seats, days.
const LEDGER: usize = 64 + PLACES * 128 + SEATS * 144 + 31 * 8;
const HOSTILE: [u64; 9] = [
    0,
    1,
    3,
    u64::MAX,
    1 << 63,
    (1 << 30) - 1,
    (1 << 30) | 64,
    (u64::MAX >> 1) & !63,
    0x5555_5555_5555_5555,
];

/// A stream that has gone round, was split, and has consumers; both files, as after a restart.
fn whole(dir: &Dir) -> (Vec<u8>, Vec<u8>) {
    let path = dir.file("s.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    let options = StreamOptions::new()
        .shards(1)
        .max_shards(PLACES as u32)
        .segment(4096)
        .readers(4)
        .consumers(SEATS as u32)
        .full(FullPolicy::Evict)
        .durability(Durability::BeforeOk);
    let stream = Stream::create(&region, options).expect("a stream");
    let process = stream.at(Durability::Process).expect("a level");
    for n in 0..900 {
        process
            .put("a", &body(n, 20 + (n % 90) as usize))
            .expect("room");
        if n % 40 == 0 {
            stream.sync().expect("the disk");
        }
    }
    stream.register_consumer("audit").expect("a seat");
    let children = stream
        .split(ShardId::from_number(0), 1 << 127)
        .expect("a place");
    for n in 0..60 {
        stream
            .put(&format!("{n}"), &body(n, 150))
            .expect("the disk");
    }
    let after = stream.shard_of(0).expect("a shard");
    assert!(children.contains(&after));
    drop(region);
    let mut region = fs::read(&path).expect("the region");
    region[BOOT..BOOT + 16].fill(7);
    (
        region,
        fs::read(dir.file("s.ring.mirror")).expect("the mirror"),
    )
}

/// Does a bit of everything; errors are fine.
fn use_it(path: &Path) -> Result<u64, Error> {
    let region = Mapped::open(path)?;
    let stream = Stream::open(&region)?;
    let mut records = 0;
    let shards: Vec<ShardId> = stream.shards().collect();
    for shard in &shards {
        let _ = (stream.stat(*shard), stream.shard_info(*shard));
        let Ok(mut cursor) = stream.cursor(*shard, Start::Oldest) else {
            continue;
        };
        let _ = cursor.lag();
        for _ in 0..2000 {
            match cursor.read(100) {
                Ok(read) if read.is_empty() => break,
                Ok(read) => records += read.iter().map(|r| r.data().len() as u64 & 1).sum::<u64>(),
                Err(Error::RecordDamaged { .. } | Error::Lost { .. }) => {}
                Err(_) => break,
            }
        }
    }
    for n in 0..40 {
        let _ = stream.put(&format!("{n}"), &body(n, 200));
    }
    let _ = stream.consumers().map(Iterator::count);
    let _ = stream.register_consumer("more");
    let _ = stream.deregister_consumer("audit");
    if let Some(shard) = shards.first() {
        let _ = stream.split(*shard, 1 << 126);
    }
    let _ = stream.tend();
    let _ = stream.sync();
    let _ = (stream.position(), stream.durable_position());
    Ok(records)
}

/// Uses files with these bytes, in a thread of its own; what came of it.
fn outcome(dir: &Dir, region: &[u8], mirror: &[u8]) -> Result<u64, Error> {
    let path = dir.file("t.ring");
    fs::write(&path, region).expect("room");
    fs::write(dir.file("t.ring.mirror"), mirror).expect("room");
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || {
        let used = catch_unwind(AssertUnwindSafe(|| use_it(&path)));
        let _ = told.send(used);
    });
    let used = tells.recv_timeout(Duration::from_secs(60));
    used.expect("no hang").expect("no panic")
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Makes the checksum right of what begins at `at`, of a ledger or a block.
fn seal(mirror: &mut [u8], at: usize) {
    let seed = word(mirror, SEED);
    let len = match at < PAGE * 3 {
        true => LEDGER,
        false => 64 + 64 * (word(mirror, at + 48) as u32 as usize).min(63),
    };
    let check = xxh3_64_with_seed(&mirror[at + 8..at + len], seed);
    mirror[at..at + 8].copy_from_slice(&check.to_le_bytes());
}

#[test]
fn damaged_mirrors_give_errors_and_no_panic() {
    let dir = Dir::shm("mirrors-damaged");
    let (region, mirror) = whole(&dir);
    let records = outcome(&dir, &region, &mirror).expect("a whole one opens");
    assert!(records > 100);
    let mut numbers = Numbers(3);
    let mut fewer = 0;
    for _ in 0..300 {
        let mut damaged = mirror.clone();
        for _ in 0..=numbers.below(6) {
            let at = numbers.below(damaged.len() as u64 / 8) as usize * 8;
            let len = (8 << numbers.below(8)).min(damaged.len() - at);
            let filler = numbers.next() as u8;
            damaged[at..at + len].fill(filler);
        }
        if let Ok(found) = outcome(&dir, &region, &damaged) {
            assert!(found <= records, "more than there was");
            fewer += u64::from(found < records);
        }
    }
    assert!(fewer > 10, "damage was never met");
}

#[test]
fn hostile_mirrors_give_errors_and_no_panic() {
    let dir = Dir::shm("mirrors-hostile");
    let (region, mirror) = whole(&dir);
    // The later ledger, and some blocks: those that are whole.
    let ledger = PAGE
        * match word(&mirror, PAGE + 8) > word(&mirror, 2 * PAGE + 8) {
            true => 1,
            false => 2,
        };
    let blocks = (3 * PAGE..mirror.len()).step_by(PAGE);
    let blocks: Vec<usize> = blocks.filter(|at| word(&mirror, at + 8) != 0).collect();
    assert!(blocks.len() > 20);
    let mut changed = 0;
    let mut set = |at: usize, word: usize, value: u64| {
        let mut hostile = mirror.clone();
        hostile[at + word..at + word + 8].copy_from_slice(&value.to_le_bytes());
        seal(&mut hostile, at);
        let whole = hostile == mirror;
        let found = outcome(&dir, &region, &hostile);
        changed += u64::from(!whole && found.is_ok());
    };
    for offset in (8..64 + 2 * 128)
        .chain(64 + PLACES * 128..64 + PLACES * 128 + 32)
        .step_by(8)
    {
        for value in HOSTILE {
            set(ledger, offset, value);
        }
    }
    for at in blocks.iter().step_by(blocks.len() / 7) {
        for offset in (8..64).step_by(8) {
            for value in HOSTILE {
                set(*at, offset, value);
            }
        }
    }
    assert!(
        changed > 100,
        "hostile words were never believed as far as that"
    );
}
