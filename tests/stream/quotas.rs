//! Quotas of shards: what is put and read in a second, and how long to wait.

use crate::homes::{Home, Tested};
use ringmain::{Error, ManualClock, Region, Start, StreamEntry, StreamOptions};
use std::time::Duration;

const START_MS: u64 = 1_000_000;

/// How long to wait, if a call was refused by a quota.
fn wait_ms<T>(outcome: Result<T, Error>) -> Option<u64> {
    match outcome {
        Ok(_) => None,
        Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => Some(wait_ms),
        Err(error) => panic!("{error}"),
    }
}

fn quota() -> StreamOptions {
    StreamOptions::new().quota(true).shards(2).max_shards(4)
}

fn put<R: Region>(stream: &Tested<'_, R>, hash: u128, len: usize) -> Option<u64> {
    let data = vec![7; len - 1];
    wait_ms(stream.put_entry(&StreamEntry::new("a", &data).hash(hash)))
}

pub fn a_second_has_1000_records<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(16 << 20, quota(), &clock);
    let stream = |n: usize| &streams[n % streams.len()];
    for n in 0..1000 {
        assert_eq!(put(stream(n), 0, 9), None, "{n}");
    }
    // All participants share it, and each shard has its own.
    for n in 0..3 {
        assert_eq!(put(stream(n), 0, 9), Some(1));
        assert_eq!(put(stream(n), u128::MAX, 9), None);
    }
    assert_eq!(wait_ms(stream(0).claim("a", 5)).or(Some(1)), Some(1));
    clock.advance(Duration::from_millis(10));
    for n in 0..10 {
        assert_eq!(put(stream(n), 0, 9), None, "{n}");
    }
    assert_eq!(put(stream(0), 0, 9), Some(1));
    // Of a batch each record succeeds or fails on its own.
    clock.advance(Duration::from_millis(2));
    let both = [0, 0, u128::MAX, 0].map(|hash| StreamEntry::new("a", b"data").hash(hash));
    let mut told = vec![None; 4];
    let note = |n: usize, outcome| told[n] = wait_ms(outcome);
    stream(0).put_batch(&both, note).expect("a batch");
    assert_eq!(told, [None, None, None, Some(1)]);
    clock.advance(Duration::from_secs(5));
    for n in 0..1000 {
        assert_eq!(put(stream(n), 0, 9), None, "{n}");
    }
    assert_eq!(put(stream(0), 0, 9), Some(1), "a second's worth, not five");
}

pub fn a_second_has_1_mib<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(64 << 20, quota().segment(1 << 20), &clock);
    for _ in 0..4 {
        assert_eq!(put(&stream, 0, 256 << 10), None);
    }
    assert_eq!(put(&stream, 0, 1), Some(1));
    assert_eq!(put(&stream, 0, 256 << 10), Some(250));
    clock.advance(Duration::from_millis(250));
    assert_eq!(put(&stream, 0, 256 << 10), None);
    // What the bytes refuse counts as no record.
    for _ in 0..3000 {
        assert!(put(&stream, 0, 100_000).is_some());
    }
    clock.advance(Duration::from_millis(100));
    assert_eq!(put(&stream, 0, 100_000), None);
}

pub fn a_second_has_2_mib_read<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(64 << 20, quota().segment(4 << 20), &clock);
    for _ in 0..5 {
        for _ in 0..4 {
            assert_eq!(put(&stream, 0, 256 << 10), None);
        }
        clock.advance(Duration::from_secs(1));
    }
    let shard = stream.shard_of(0).expect("a shard");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    // A read may be longer than a second's worth, and then the next one has to wait.
    let mut read = 0;
    let wait = loop {
        match cursor.read(100) {
            Ok(records) => read += records.len() as u64,
            Err(error) => break wait_ms::<()>(Err(error)).expect("a quota"),
        }
    };
    assert!((8..=20).contains(&read), "{read}");
    assert_eq!(wait, (read * 125).saturating_sub(1000).max(1));
    let mut other = stream.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(wait_ms(other.read(1).map(drop)), Some(wait));
    clock.advance(Duration::from_millis(wait));
    assert_eq!(other.read(1).expect("a read").len(), 1);
}

pub fn without_the_option_there_is_none<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(16 << 20, StreamOptions::new(), &clock);
    for _ in 0..3000 {
        assert_eq!(put(&stream, 0, 1000), None);
    }
    let refused = ringmain::Stream::open_or_create_with(
        stream.region(),
        StreamOptions::new().quota(true),
        &clock,
    );
    let option = "quota";
    let (found, given) = (0, 1);
    let differ = Error::OptionsDiffer {
        option,
        found,
        given,
    };
    assert_eq!(refused.map(drop), Err(differ));
}
