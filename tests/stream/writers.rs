//! A writer that has a shard to itself: what it puts is read; others are refused meanwhile, and go
//! on when it gives the shard back.

use crate::common::body;
use crate::homes::{Home, Tested};
use ringmain::{
    Error, FullPolicy, ManualClock, Region, ShardId, Start, StreamEntry, StreamOptions,
};
use std::time::Duration;

const FIRST: ShardId = ShardId::from_number(0);

fn is_reserved<T>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::ShardReserved { .. }))
}

/// What is in a shard from its oldest on: data and times.
fn rest<R: Region>(stream: &Tested<'_, R>, shard: ShardId) -> Vec<(Vec<u8>, u64)> {
    let mut cursor = stream.cursor(shard, Start::Oldest).unwrap();
    let mut row = Vec::new();
    loop {
        let records = cursor.read(100).unwrap();
        if records.is_empty() {
            return row;
        }
        let read = |record: ringmain::Record<'_>| (record.data().to_vec(), record.arrived_ms());
        row.extend(records.iter().map(read));
    }
}

pub fn a_writer_has_the_shard_to_itself<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let streams = home.streams(1 << 20, StreamOptions::new(), &clock);
    let [stream, other] = [streams.first().unwrap(), streams.last().unwrap()];
    other.put("a", b"before").unwrap();
    let mut writer = stream.writer(FIRST).unwrap();
    other.put("a", b"not yet").unwrap(); // nothing is reserved before the first put
    let put = writer.put("a", b"one").unwrap();
    assert_eq!(put.shard, FIRST);
    let mut second = other.writer(FIRST).unwrap();
    assert!(is_reserved(other.put("a", b"refused")));
    assert!(is_reserved(other.claim("a", 1).map(drop)));
    assert!(is_reserved(second.put("a", b"refused")));
    let mut refused = 0;
    let batch = [StreamEntry::new("a", b"refused"); 2];
    other
        .put_batch(&batch, |_, outcome| {
            refused += u32::from(is_reserved(outcome))
        })
        .unwrap();
    assert_eq!(refused, 2);
    writer.put("a", b"two").unwrap();
    writer.release();
    other.put("a", b"between").unwrap();
    let last = writer.put("a", b"three").unwrap();
    assert!(last.sequence > put.sequence);
    drop(writer);
    second.put("a", b"four").unwrap();
    drop(second);
    other.put("a", b"behind").unwrap();
    let data: Vec<_> = rest(other, FIRST).into_iter().map(|row| row.0).collect();
    let expected: [&[u8]; 8] = [
        b"before", b"not yet", b"one", b"two", b"between", b"three", b"four", b"behind",
    ];
    assert_eq!(data, expected);
}

pub fn a_writer_goes_round<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new().segment(4096).full(FullPolicy::Evict);
    let streams = home.streams(96 << 10, options, &clock);
    let [stream, other] = [streams.first().unwrap(), streams.last().unwrap()];
    let mut writer = stream.writer(FIRST).unwrap();
    let len = |n: u64| (n * 37 % 400) as usize;
    let mut put = Vec::new();
    for n in 0..5000u64 {
        clock.advance(Duration::from_millis(n % 2));
        let data = body(n, len(n));
        put.push(writer.put("key", &data).unwrap().sequence);
        if n % 700 == 699 {
            writer.release();
            assert!(other.put("key", &body(n, len(n))).is_ok());
        }
    }
    assert!(put.is_sorted_by(|a, b| a < b));
    let row = rest(other, FIRST);
    assert!(row.len() > 50, "{}", row.len());
    assert!(row.is_sorted_by_key(|row| row.1));
    let expected: Vec<_> = (0..5000u64)
        .flat_map(|n| vec![body(n, len(n)); 1 + usize::from(n % 700 == 699)])
        .collect();
    let read: Vec<_> = row.into_iter().map(|row| row.0).collect();
    assert_eq!(read, expected[expected.len() - read.len()..]);
}

pub fn a_full_shard_refuses_a_writer<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new().segment(4096);
    let streams = home.streams(96 << 10, options, &clock);
    let [stream, other] = [streams.first().unwrap(), streams.last().unwrap()];
    let mut writer = stream.writer(FIRST).unwrap();
    let mut count = 0;
    while writer.put("a", &[1; 100]).is_ok() {
        count += 1;
        assert!(count < 10_000);
    }
    assert_eq!(writer.put("a", &[1; 100]), Err(Error::Full));
    assert_eq!(other.put("a", &[1; 100]), Err(Error::Full)); // and keeps nothing from others
    assert_eq!(rest(other, FIRST).len(), count);
    clock.advance(Duration::from_secs(2 * 86_400));
    writer.put("a", &[2; 100]).unwrap();
    assert_eq!(rest(other, FIRST).len(), 1);
}

pub fn a_writer_puts_what_is_as_long_as_a_segment<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new().segment(4096).full(FullPolicy::Evict);
    let stream = home.stream(96 << 10, options, &clock);
    let max = 63 * 64 - 16 - 1; // one granule of the segment is left alone, and two by a writer
    let mut writer = stream.writer(FIRST).unwrap();
    let lens = [
        0,
        max.min(stream.data_bytes_max()),
        1,
        stream.data_bytes_max(),
        64,
    ];
    for len in lens {
        writer.put("a", &vec![3; len]).unwrap();
    }
    let over = vec![3; stream.data_bytes_max() + 1];
    assert!(matches!(
        writer.put("a", &over),
        Err(Error::DataTooLong { .. })
    ));
    assert!(matches!(
        writer.put("", b""),
        Err(Error::PartitionKey { .. })
    ));
    let read: Vec<_> = rest(&stream, FIRST).iter().map(|row| row.0.len()).collect();
    assert_eq!(read, lens);
}

/// A handle that has put one record, laps ago, finds the tail wherever a writer has given it back:
/// also where its own record ended, a lap before.
pub fn a_tail_that_was_given_back_is_found<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new().segment(4096).full(FullPolicy::Evict);
    let streams = home.streams(64 << 10, options, &clock);
    let [stream, other] = [streams.first().unwrap(), streams.last().unwrap()];
    let mut ends = std::collections::HashSet::new();
    let mut laps = 0;
    for first in 0..4 {
        // Where it stands, other than before.
        for _ in 0..first {
            stream.put("a", b"").unwrap();
        }
        let put = other.put("a", b"").unwrap().sequence.as_u64();
        let mut writer = stream.writer(FIRST).unwrap();
        loop {
            writer.put("a", b"").unwrap();
            writer.release();
            let stat = other.stat(FIRST).unwrap();
            let tail = stat.tail.as_u64();
            ends.insert(tail - put);
            assert!(other.cursor(FIRST, Start::Latest).is_ok());
            if tail > put + (2 << 30) {
                break;
            }
        }
        other.put("a", b"").unwrap();
        laps += u32::from(ends.contains(&((1 << 30) + 1)));
    }
    assert!(laps > 2, "it has not come to the same place");
}

pub fn a_writer_is_of_its_shard<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new().shards(2).max_shards(6);
    let streams = home.streams(1 << 20, options, &clock);
    let [stream, other] = [streams.first().unwrap(), streams.last().unwrap()];
    let (low, high) = (0, u128::MAX);
    let mut writer = stream.writer(FIRST).unwrap();
    let of = |hash, data: &'static [u8]| StreamEntry::new("a", data).hash(hash);
    writer.put_entry(&of(low, b"one")).unwrap();
    let beyond = Err(Error::HashNotInShard { shard: 0 });
    assert_eq!(writer.put_entry(&of(high, b"refused")), beyond);
    other.put_entry(&of(high, b"elsewhere")).unwrap();
    // It is in the way of a change of its shard.
    assert!(is_reserved(other.split(FIRST, 1 << 126)));
    assert!(is_reserved(other.merge(FIRST, ShardId::from_number(1))));
    writer.put_entry(&of(low, b"two")).unwrap();
    writer.release();
    let children = other.split(FIRST, 1 << 126).unwrap();
    let closed = Err(Error::ShardNotOpen { shard: 0 });
    assert_eq!(writer.put_entry(&of(low, b"refused")), closed);
    assert!(matches!(
        stream.writer(FIRST),
        Err(Error::ShardNotOpen { shard: 0 })
    ));
    let nobody = stream.writer(ShardId::from_number(99));
    assert!(matches!(nobody, Err(Error::NoShard { shard: 99 })));
    stream
        .writer(children[0])
        .unwrap()
        .put_entry(&of(low, b"three"))
        .unwrap();
    assert_eq!(rest(other, children[0])[0].0, b"three");
    let mut parent = other.cursor(FIRST, Start::Oldest).unwrap();
    assert_eq!(parent.read(10).unwrap().len(), 2);
    assert!(matches!(parent.read(10), Err(Error::ShardClosed { .. })));
}
