//! Damaged regions of streams: each field of the configuration is told by name. Whatever else is
//! damaged, at rest or in use, nothing panics or hangs, and no data come that nobody has put.
//! `RINGMAIN_STREAM_DAMAGES` sets how many are tried at random (default 400).

use crate::common::watched::watched;
use crate::common::{Dir, Numbers, body, number_of, seed_of};
use crate::homes::SECTION;
use ringmain::{
    Capacity, Cursor, Error, FullPolicy, ManualClock, Mapped, Start, Stream, StreamEntry,
    StreamOptions, StreamSequence,
};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

const LEN: u64 = 96 << 10;
/// What hangs for so long is told by name.
const HANG: Duration = Duration::from_secs(30);
const START_MS: u64 = 1000;

type Tested<'c> = Stream<Mapped, &'c ManualClock>;

fn options(policy: FullPolicy) -> StreamOptions {
    StreamOptions::new()
        .capacity(Capacity::OnDemand) // so that who tends measures
        .shards(2)
        .max_shards(4)
        .readers(4)
        .segment(4096)
        .retention(Duration::from_secs(100))
        .full(policy)
}

/// A region that has wrapped, with a claim and a reader in it that nobody ends.
fn whole(dir: &Dir, policy: FullPolicy) -> Vec<u8> {
    let path = dir.file("whole");
    let clock = ManualClock::new(START_MS);
    let region = Mapped::create(&path, LEN).expect("a region");
    let stream = Stream::create_with(region, options(policy), &clock).expect("a stream");
    for number in 0..300 {
        let len = if number % 9 == 0 {
            900
        } else {
            8 + number as usize % 200
        };
        let key = format!("key{}", number % 6);
        if stream.put(&key, &body(number, len)).is_err() {
            clock.advance(Duration::from_secs(60));
        }
    }
    clock.advance(Duration::from_secs(200));
    for number in 0..20 {
        let _ = stream.put(&format!("key{}", number % 6), &body(number, 50));
    }
    let shard = stream.shard_of(0).expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    let _records = cursor.read(2).expect("a read");
    stream.split(shard, 1 << 126).expect("a split");
    let _claim = stream.claim("key1", 100).expect("room");
    let bytes = fs::read(&path).expect("a file");
    assert_eq!(bytes.len() as u64, LEN);
    bytes
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn each_configured_field_is_told() {
    let dir = Dir::new("stream-fields");
    let whole = whole(&dir, FullPolicy::Evict);
    let path = dir.file("q.ring");
    let (shards, segment) = (word(&whole, SECTION), word(&whole, SECTION + 16));
    assert_eq!((shards, segment), (2, 64));
    let table: [(&str, usize, &[u64]); 12] = [
        ("number of shards", 0, &[0, 1025, u64::MAX]),
        ("places for shards", 8, &[0, 1, 1025, u64::MAX]),
        ("stream size", 8, &[7, 1024]),
        ("segment size", 16, &[0, 63, 65, 1 << 19, u64::MAX]),
        ("shard size", 24, &[0, 64, (1 << 30) + 1, u64::MAX]),
        ("number of readers", 32, &[0, 4097, u64::MAX]),
        ("longest data", 40, &[0, 2993, u64::MAX]),
        ("flags", 48, &[64, 255]),
        ("durability", 48, &[1 << 63, 3 << 8, 2 << 8]),
        ("retention", 56, &[365 * 86_400_000 + 1, u64::MAX]),
        ("number of consumers", 72, &[65, u64::MAX]),
        ("checksum", 80, &[0, 1, u64::MAX]),
    ];
    let quiet: [(usize, u64); 7] = [
        (0, 1),
        (32, 3),
        (40, 8),
        (48, 0),
        (56, 5000),
        (64, 7),
        (72, 19),
    ];
    let quiet = quiet.map(|(offset, value)| ("checksum", offset, vec![value]));
    let table = table.map(|(field, offset, values)| (field, offset, values.to_vec()));
    for (field, offset, values) in table.into_iter().chain(quiet) {
        for value in values {
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
    fs::write(&path, &whole).expect("a file");
    assert!(Mapped::open(&path).is_ok());
}

/// Reads for a while: how many records came whole.
fn read(cursor: &mut Cursor<'_, Mapped, &ManualClock>) -> u64 {
    let mut count = 0;
    for round in 0..30 {
        let _ = (round == 3).then(|| cursor.lag());
        let Ok(records) = cursor.read(1 + 7 * round) else {
            continue;
        };
        for record in &records {
            assert!(
                record.data().is_empty() || seed_of(record.data()).is_some(),
                "nobody has put this"
            );
            let _ = (record.key(), record.key_bytes(), record.arrived_ms());
            let _ = record.parts().count();
            count += 1;
        }
        if records.is_empty() {
            break;
        }
    }
    count
}

/// Does a bit of everything; errors are fine, and data that nobody has put are not.
fn use_it(stream: &Tested<'_>, clock: &ManualClock, seed: u64) -> u64 {
    let mut count = 0;
    for round in 0..4 {
        for shard in stream.shards() {
            let _ = (stream.stat(shard), stream.shard_info(shard));
            let tail = stream
                .stat(shard)
                .map_or(1 << 30, |stat| stat.tail.as_u64());
            let number = StreamSequence::from_u64(tail.saturating_sub(seed % 90));
            let starts = [
                Start::Oldest,
                Start::Latest,
                Start::At(number),
                Start::After(number),
                Start::Time(START_MS + 1),
            ];
            for start in starts {
                if let Ok(mut cursor) = stream.cursor(shard, start) {
                    count += read(&mut cursor);
                }
            }
        }
        for number in 0..12 {
            let seed = 10_000 + number;
            let _ = stream.put("key1", &body(seed, 8 + 40 * number as usize));
            let (one, two) = (body(seed, 60), body(seed, 500));
            let batch = [
                StreamEntry::new("key2", &one),
                StreamEntry::new("key3", &two).hash(u128::MAX),
            ];
            let _ = stream.put_batch(&batch, |_, _| ());
            if let Ok(mut claim) = stream.claim("key4", 100) {
                claim.copy_from_slice(&body(seed, 100));
                match number % 2 {
                    0 => drop(claim),
                    _ => drop(claim.commit()),
                }
            }
        }
        clock.advance(Duration::from_secs([1, 50, 120, 1][round]));
        let _ = (stream.tend(), stream.shrink());
        for consumer in stream.consumers().into_iter().flatten().flatten() {
            let consumer = stream.consumer(&consumer.name);
            for shard in stream.shards().take(9) {
                let _ = consumer.as_ref().map(|consumer| consumer.stat(shard));
            }
        }
        let shards: Vec<_> = stream.shards().take(4).collect();
        let both = shards.first().zip(shards.last());
        if let (Some((one, other)), true) = (both, round % 2 == 1) {
            let _ = stream.merge(*one, *other);
            let _ = stream.split(*other, u128::MAX / 16 * (3 + u128::from(seed) % 12));
        }
    }
    count
}

/// Some words of a file: where, and what is written there.
fn wounds(whole: &[u8], numbers: &mut Numbers) -> Vec<(u64, u64)> {
    let (head, all) = ((SECTION + 128) as u64 / 8, whole.len() as u64 / 8);
    let mut wound = || {
        let word_of = match numbers.below(3) {
            // Heads of shards and pins; the index and headers; anything.
            0 => head + numbers.below(130),
            1 => head + numbers.below(700),
            _ => head + numbers.below(all - head),
        };
        let at = 8 * word_of as usize;
        let found = word(whole, at);
        let value = match numbers.below(6) {
            0 => found ^ (1 << numbers.below(64)),
            1 => found.wrapping_add(numbers.below(5)).wrapping_sub(2),
            2 => [0, 1, u64::MAX, 1 << 63, 1 << 62][numbers.below(5) as usize],
            3 => word(whole, 8 * (head + numbers.below(700)) as usize),
            4 => found.wrapping_add(64 << numbers.below(40)),
            _ => numbers.next(),
        };
        (at as u64, value)
    };
    (0..1 + wound().1 % 6).map(|_| wound()).collect()
}

/// Opens what is damaged, or damages what is open, and uses it.
fn tried(path: &Path, whole: &[u8], wounds: &[(u64, u64)], in_use: bool, seed: u64) {
    fs::write(path, whole).expect("a file");
    let file = fs::File::options().write(true).open(path).expect("a file");
    let strike = || {
        for (at, value) in wounds {
            let bytes = value.to_le_bytes();
            file.write_all_at(&bytes, *at).expect("a write");
        }
    };
    if !in_use {
        strike();
    }
    let clock = ManualClock::new(START_MS + 500);
    let opened = match seed % 3 {
        0 => Mapped::open_for_reading(path),
        _ => Mapped::open(path),
    };
    let Ok(region) = opened else {
        return; // told
    };
    let Ok(stream) = Stream::open_with(region, &clock) else {
        return;
    };
    if in_use {
        let cursor = stream.cursor(stream.shard_of(0).expect("a shard"), Start::Oldest);
        let claim = stream.claim("key5", 64);
        strike();
        if let Ok(mut cursor) = cursor {
            read(&mut cursor);
        }
        drop(claim);
    }
    use_it(&stream, &clock, seed);
}

#[test]
fn no_damage_panics_or_hangs() {
    let dir = Dir::shm("stream-damage");
    let images =
        [FullPolicy::Evict, FullPolicy::Reject].map(|policy| whole(&dir_of(&dir, policy), policy));
    let path = dir.file("q.ring");
    let many = number_of("RINGMAIN_STREAM_DAMAGES", 400);
    watched(0..many, HANG, |seed| {
        let whole = &images[seed as usize / 2 % 2];
        let wounds = wounds(whole, &mut Numbers(seed));
        tried(&path, whole, &wounds, seed.is_multiple_of(2), seed);
    });
}

fn dir_of(dir: &Dir, policy: FullPolicy) -> Dir {
    Dir::under(dir.path(), &format!("{policy:?}"))
}

/// Each word of the heads of shards and of pins, near and at each hostile value.
#[test]
fn no_word_of_a_shard_panics_or_hangs() {
    let dir = Dir::shm("stream-words");
    let whole = whole(&dir, FullPolicy::Evict);
    let path = dir.file("q.ring");
    // Event, times, change; four heads; pins.
    let (first, last) = (SECTION / 8 + 16, SECTION / 8 + 48 + 4 * 48 + 16);
    watched(first as u64..last as u64, HANG, |number| {
        let at = 8 * number;
        let found = word(&whole, at as usize);
        let near = [
            found.wrapping_add(1),
            found ^ 32,
            found.wrapping_add(1 << 30),
            found / 2,
        ];
        for value in [0, 1, u64::MAX, 1 << 63, 1 << 61, (1 << 30) - 1]
            .into_iter()
            .chain(near)
        {
            let in_use = (number ^ u64::from(value.count_ones())).is_multiple_of(2);
            tried(&path, &whole, &[(at, value)], in_use, number);
        }
    });
}

/// Without damage the same calls find records, so they mean something.
#[test]
fn the_same_calls_work_on_a_sound_region() {
    let dir = Dir::shm("stream-sound");
    let whole = whole(&dir, FullPolicy::Evict);
    let path = dir.file("q.ring");
    fs::write(&path, &whole).expect("a file");
    let clock = ManualClock::new(START_MS + 500);
    let region = Mapped::open(&path).expect("a region");
    let stream = Stream::open_with(region, &clock).expect("a stream");
    assert!(use_it(&stream, &clock, 0) > 100);
}

/// A record whose bytes were altered is told and passed over; the others come.
#[test]
fn a_damaged_record_is_passed_over() {
    let dir = Dir::new("stream-record");
    let path = dir.file("q.ring");
    let clock = ManualClock::new(START_MS);
    let region = Mapped::create(&path, LEN).expect("a region");
    let stream = Stream::create_with(region, StreamOptions::new(), &clock).expect("a stream");
    let put: Vec<_> = (0..3)
        .map(|n| stream.put("a", &body(n, 80)).expect("room").sequence)
        .collect();
    stream.region().sync().expect("on the disk");
    let bytes = fs::read(&path).expect("a file");
    let data = body(1, 80);
    let found = bytes.windows(80).position(|window| window == data);
    let at = found.expect("the data in the file");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    // Its data, its key, its time, its checksum, its length; unchecked, only the last is damage.
    for (offset, value, unchecked) in [
        (at + 40, !data[40], 3),
        (at - 1, b'b', 3),
        (at - 8, 9, 3),
        (at - 13, !bytes[at - 13], 3),
        (at - 16, 0xff, 1),
    ] {
        file.write_all_at(&[value], offset as u64).expect("a write");
        let shard = stream.shard_of(0).expect("a shard");
        let mut cursor = stream.cursor(shard, Start::At(put[0])).expect("a cursor");
        assert_eq!(cursor.read(10).expect("a read").len(), 1);
        let sequence = put[1].as_u64();
        let told = cursor.read(10).map(|_| ());
        assert_eq!(told, Err(Error::RecordDamaged { sequence }));
        let records = cursor.read(10).expect("a read");
        assert_eq!(records.iter().next().map(|r| r.sequence()), Some(put[2]));
        drop(records);
        cursor.verify_checksums(false);
        cursor.seek(Start::At(put[0])).expect("sought");
        assert_eq!(cursor.read(10).expect("a read").len(), unchecked);
        cursor.verify_checksums(true);
        cursor.seek(Start::At(put[0])).expect("sought");
        assert_eq!(cursor.read(10).expect("a read").len(), 1);
        let sound = [bytes[offset]];
        file.write_all_at(&sound, offset as u64).expect("a write");
    }
}
