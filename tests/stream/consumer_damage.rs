//! Hostile bytes in the roster of consumers and in their feeds: a typed error, or the truth of what
//! the bytes say; nothing panics or hangs.

use crate::common::{Dir, Numbers, number_of};
use crate::homes::SECTION;
use ringmain::{Error, ManualClock, Mapped, ShardId, Start, Stream, StreamOptions};
use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

const LEN: u64 = 128 << 10;
const START_MS: u64 = 1000;
const NAMES: [&str; 3] = ["audit", "index", "a-name-that-is-longer-than-others"];
/// The roster's word, and where seats and feeds are: behind two heads of places and their pins.
const ROSTER: usize = SECTION + 144;
const SEATS: usize = SECTION + 384 + 2 * 384 + 2 * 4 * 16;
const SEAT: usize = 144;
const FEEDS: usize = SEATS + 4 * SEAT + 64; // the next multiple of 128
const FEEDS_END: usize = FEEDS + 2 * 4 * 16;

fn options() -> StreamOptions {
    StreamOptions::new().max_shards(2).readers(4).consumers(4)
}

/// A region with three consumers, a subscription that nobody ends, and one claim of a seat.
fn whole(dir: &Dir) -> Vec<u8> {
    let path = dir.file("whole");
    let clock = ManualClock::new(START_MS);
    let region = Mapped::create(&path, LEN).expect("a region");
    let stream = Stream::create_with(region, options(), &clock).expect("a stream");
    for n in 0..20u8 {
        stream.put("a", &[n; 100]).expect("room");
    }
    let consumers = NAMES.map(|name| stream.register_consumer(name).expect("a seat"));
    let subscription = consumers[1].subscribe(ShardId::from_number(0), Start::Oldest);
    let bytes = fs::read(&path).expect("a file");
    drop(subscription);
    bytes
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The offsets above are those of the file.
#[test]
fn seats_and_feeds_are_there() {
    let dir = Dir::new("stream-seats");
    let whole = whole(&dir);
    assert_eq!(SEATS % 128, SECTION % 128);
    assert_eq!(FEEDS % 128, SECTION % 128);
    for (n, name) in NAMES.iter().enumerate() {
        let seat = SEATS + n * SEAT;
        assert_eq!(word(&whole, seat) & 3, 2, "registered");
        assert_eq!(word(&whole, seat + 8) >> 44, name.len() as u64);
        assert_eq!(&whole[seat + 16..][..name.len()], name.as_bytes());
    }
    assert_eq!(word(&whole, ROSTER) >> 10, 3, "three changes");
    // The second consumer's subscription to the first of two places.
    assert_ne!(word(&whole, FEEDS + 2 * 16 + 8), 0);
    let others = (FEEDS..FEEDS_END).step_by(8);
    assert_eq!(others.filter(|at| word(&whole, *at) != 0).count(), 1);
}

/// All that one does with consumers: how many of the calls succeed.
fn use_it(stream: &Stream<Mapped, &ManualClock>, clock: &ManualClock) -> usize {
    let mut done = 0;
    let mut note = |error: Option<Error>| done += usize::from(error.is_none());
    if let Ok(consumers) = stream.consumers() {
        for consumer in consumers.take(100) {
            note(consumer.clone().err());
            if let Ok(told) = consumer {
                let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                assert!((1..=128).contains(&told.name.len()) && told.name.chars().all(is_name));
            }
        }
    }
    for name in NAMES.into_iter().chain(["new", "newer", "newest"]) {
        let found = stream.consumer(name);
        note(found.as_ref().map(drop).err().cloned());
        if let Ok(consumer) = found {
            note(consumer.describe().err());
            for shard in [0, 1].map(ShardId::from_number) {
                if let Ok(mut cursor) = consumer.cursor(shard, Start::Oldest) {
                    note(cursor.read(3).map(drop).err());
                }
                if let Ok(mut subscription) = consumer.subscribe(shard, Start::Oldest) {
                    note(subscription.renew().err());
                    note(subscription.next_records().map(drop).err());
                    clock.advance(std::time::Duration::from_secs(400));
                    note(subscription.next_records().map(drop).err());
                }
            }
        }
        note(stream.register_consumer(name).map(drop).err());
        note(stream.tend().map(drop).err());
    }
    for name in NAMES {
        note(stream.deregister_consumer(name).err());
        note(stream.register_consumer(name).map(drop).err());
    }
    done
}

/// Opens what is damaged, or damages what is open, and uses it.
fn tried(path: &Path, whole: &[u8], wounds: &[(usize, u64)], in_use: bool) -> usize {
    fs::write(path, whole).expect("a file");
    let file = fs::File::options().write(true).open(path).expect("a file");
    let strike = || {
        for (at, value) in wounds {
            let bytes = value.to_le_bytes();
            file.write_all_at(&bytes, *at as u64).expect("a write");
        }
    };
    if !in_use {
        strike();
    }
    let clock = ManualClock::new(START_MS + 500);
    let region = Mapped::open(path).expect("nothing of this is looked at before it is used");
    let stream = Stream::open_with(region, &clock).expect("a stream");
    if in_use {
        let consumer = stream.consumer(NAMES[0]).expect("registered");
        let subscribed = consumer.subscribe(ShardId::from_number(0), Start::Oldest);
        let mut subscription = subscribed.expect("free");
        strike();
        let _ = subscription.next_records();
        let _ = consumer.describe();
    }
    use_it(&stream, &clock)
}

#[test]
fn no_word_of_a_consumer_panics_or_hangs() {
    let dir = Dir::shm("stream-consumer-words");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    let sound = tried(&path, &whole, &[], false);
    assert!(sound > 30, "the calls mean something: {sound}");
    let words = (SEATS..FEEDS_END).step_by(8);
    for at in [ROSTER].into_iter().chain(words) {
        let found = word(&whole, at);
        let near = [found ^ 1, found ^ 2, found ^ 4, found.wrapping_add(1 << 12)];
        let far = [
            0,
            1,
            2,
            3,
            u64::MAX,
            u64::MAX - 1,
            1 << 63,
            255 << 2 | 1,
            255 << 2 | 2,
        ];
        let half = [
            found ^ 0x80 << 32,
            found.wrapping_sub(1),
            found << 8,
            129 << 44,
            0,
        ];
        for (n, value) in near.into_iter().chain(far).chain(half).enumerate() {
            tried(&path, &whole, &[(at, value)], n % 2 == 0);
        }
    }
}

/// `RINGMAIN_STREAM_DAMAGES` sets how many are tried at random (default 400).
#[test]
fn no_damage_of_consumers_panics_or_hangs() {
    let dir = Dir::shm("stream-consumer-damage");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    let words = (FEEDS_END - SEATS) as u64 / 8;
    for seed in 0..number_of("RINGMAIN_STREAM_DAMAGES", 400) {
        let mut numbers = Numbers(seed);
        let mut wound = || {
            let at = match numbers.below(4) {
                0 => ROSTER,
                _ => SEATS + 8 * numbers.below(words) as usize,
            };
            let value = match numbers.below(3) {
                0 => numbers.next(),
                1 => word(&whole, at) ^ 1 << numbers.below(64),
                _ => numbers.below(1 << 14),
            };
            (at, value)
        };
        let wounds: Vec<_> = (0..1 + wound().1 % 5).map(|_| wound()).collect();
        let used = AssertUnwindSafe(|| tried(&path, &whole, &wounds, seed.is_multiple_of(2)));
        assert!(catch_unwind(used).is_ok(), "seed {seed}: {wounds:x?}");
    }
}

/// What is damaged is told by name.
#[test]
fn damage_of_the_roster_is_told() {
    let dir = Dir::new("stream-consumer-told");
    let whole = whole(&dir);
    let path = dir.file("q.ring");
    let clock = ManualClock::new(START_MS + 500);
    let told = |at: usize, value: u64| {
        let mut damaged = whole.clone();
        damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, &damaged).expect("a file");
        let region = Mapped::open(&path).expect("a region");
        let stream = Stream::open_with(region, &clock).expect("a stream");
        let registered = stream.register_consumer("new").map(drop);
        let listed = stream
            .consumers()
            .and_then(|mut all| all.try_for_each(|one| one.map(drop)));
        (registered, listed)
    };
    let roster = Err(Error::Damaged {
        field: "roster of consumers",
    });
    // No step; a seat that is none.
    for value in [3, 200 << 2 | 1, 4 << 2 | 2] {
        assert_eq!(told(ROSTER, value), (roster.clone(), roster.clone()));
    }
    let name = Err(Error::Damaged {
        field: "name of a consumer",
    });
    // No length, one beyond the name, and one that is too long; a byte that no name has.
    for (offset, value) in [(8, 0), (8, 6 << 44), (8, 129 << 44), (16, 0x2020), (32, 1)] {
        assert_eq!(
            told(SEATS + offset, value),
            (Ok(()), name.clone()),
            "{offset}"
        );
    }
}
