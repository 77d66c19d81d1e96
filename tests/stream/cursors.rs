//! Cursors: each place is found; what is read in place stays; an idle cursor is in nobody's way.

use crate::common::{Dir, body};
use crate::homes::{Home, SECTION, Tested};
use ringmain::{
    Error, FullPolicy, ManualClock, Mapped, Put, Region, ShardId, Start, Stream, StreamEntry,
    StreamOptions, StreamSequence,
};
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn only<R: Region>(stream: &Tested<'_, R>) -> ShardId {
    stream.shards().next().expect("a shard")
}

/// The number and time of the next record, and how many bytes were lost before it.
fn next<R: Region>(stream: &Tested<'_, R>, start: Start) -> (Option<(u64, u64)>, u64) {
    let mut cursor = stream.cursor(only(stream), start).expect("a cursor");
    let mut lost = 0;
    loop {
        let told = cursor.read(1).map(|records| {
            let first = records.iter().next();
            first.map(|r| (r.sequence().as_u64(), r.arrived_ms()))
        });
        match told {
            Ok(first) => return (first, lost),
            Err(Error::Lost { bytes }) => lost += bytes,
            Err(other) => panic!("{start:?}: {other}"),
        }
    }
}

/// Every number and every time, and those between: with records longer than an index block,
/// quiet hours, many records in one millisecond, claims that were given up, and laps.
pub fn each_place_is_found<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new()
        .segment(16 << 10)
        .full(FullPolicy::Evict)
        .retention(365 * DAY);
    let streams = home.streams(240 << 10, options, &clock);
    let stream = &streams[0];
    let mut put: Vec<(u64, u64)> = Vec::new();
    for n in 0..900u64 {
        let pass = [0, 0, 0, 0, 0, 1, 2, 3_600_000][n as usize * 7 % 8];
        clock.advance(Duration::from_millis(pass));
        let len = [0, 10, 60, 200, 1000, 5000, 9000][(n * n / 3) as usize % 7];
        if n % 5 == 0 {
            drop(stream.claim("given up", len).expect("room"));
        }
        let of = &streams[n as usize % streams.len()];
        let number = of.put("a", &body(n, len)).expect("room").sequence.as_u64();
        put.push((number, 0));
    }
    let stat = stream.stat(only(stream)).expect("figures");
    assert!(stat.tail.as_u64() >> 30 > 4, "laps: {stat:?}");
    // What is kept, by a walk over all.
    let mut cursor = stream.cursor(only(stream), Start::Oldest).expect("one");
    let mut kept = Vec::new();
    loop {
        let records = cursor.read(7).expect("a read");
        if records.is_empty() {
            break;
        }
        let told = |r: ringmain::Record<'_>| (r.sequence().as_u64(), r.arrived_ms());
        kept.extend(records.iter().map(told));
    }
    let numbers: Vec<_> = put.iter().map(|put| put.0).collect();
    let found: Vec<_> = kept.iter().map(|kept| kept.0).collect();
    assert_eq!(found, numbers[numbers.len() - found.len()..]);
    assert!(found.len() > 30);
    let sequence = StreamSequence::from_u64;
    let from = |number: u64| kept.iter().find(|kept| kept.0 >= number).copied();
    for (n, (number, ms)) in kept.iter().copied().enumerate() {
        let behind = match kept.get(n + 1) {
            // Between two of one lap each number is one of a place.
            Some((next, _)) if next >> 30 == number >> 30 => *next,
            _ => number + 1,
        };
        for between in number..behind {
            let at = next(stream, Start::At(sequence(between)));
            assert_eq!(at, (from(between), 0), "at {between:#x}");
            let after = next(stream, Start::After(sequence(between)));
            assert_eq!(after, (from(between + 1), 0), "after {between:#x}");
        }
        for ms in [ms - 1, ms, ms + 1, ms + 1000] {
            let first = kept.iter().find(|kept| kept.1 >= ms).copied();
            assert_eq!(next(stream, Start::Time(ms)), (first, 0), "time {ms}");
        }
    }
    assert_eq!(next(stream, Start::Time(0)).0, kept.first().copied());
    assert_eq!(next(stream, Start::Time(u64::MAX)).0, None);
    // What is gone is told, and behind it the oldest follows.
    let gone = numbers[0];
    let (first, lost) = next(stream, Start::At(sequence(gone)));
    assert!(first == kept.first().copied() && lost > 0);
    for none in [stat.tail.as_u64() + 1, u64::MAX, 0, 5] {
        let cursor = stream.cursor(only(stream), Start::At(sequence(none)));
        let refused = cursor.map(|_| ());
        assert!(
            matches!(refused, Err(Error::OutOfRange { .. })),
            "{none:#x}: {refused:?}"
        );
    }
}

pub fn the_latest_is_what_comes<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(64 << 10, StreamOptions::new(), &clock);
    let (stream, other) = (&streams[0], &streams[streams.len() - 1]);
    let shard = only(stream);
    let mut cursor = other.cursor(shard, Start::Latest).expect("a cursor");
    assert!(cursor.read(10).expect("a read").is_empty());
    for n in 0..20u8 {
        stream.put("a", &[n]).expect("room");
        let mut late = other.cursor(shard, Start::Latest).expect("a cursor");
        stream.put("a", &[n, n]).expect("room");
        for (cursor, count) in [(&mut cursor, 2), (&mut late, 1)] {
            let records = cursor.read(10).expect("a read");
            let last = records.iter().last().expect("a record");
            assert_eq!((records.len(), last.data()), (count, &[n, n][..]));
        }
        // The place outlives the cursor.
        let position = cursor.position();
        drop(cursor);
        assert_eq!(other.stat(shard).expect("figures").tail, position);
        cursor = stream.cursor(shard, Start::At(position)).expect("a cursor");
    }
    assert_eq!(cursor.lag().expect("a lag").records, 0);
}

/// Fills the one shard; nothing is too old yet.
fn fill<R: Region>(stream: &Tested<'_, R>) -> Vec<(Put, Vec<u8>)> {
    let mut put = Vec::new();
    loop {
        let data = body(put.len() as u64, 100);
        match stream.put("a", &data) {
            Ok(done) => put.push((done, data)),
            Err(error) => {
                assert_eq!(error, Error::Full);
                return put;
            }
        }
    }
}

pub fn what_is_read_in_place_stays<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().segment(4096);
    let streams = home.streams(20 << 10, options, &clock);
    let (writer, reader) = (&streams[0], &streams[streams.len() - 1]);
    let shard = only(writer);
    let (put, new) = (fill(writer), [9; 100]);
    let mut idle = reader.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(idle.read(1).expect("a read").len(), 1);
    let mut cursor = reader.cursor(shard, Start::Oldest).expect("a cursor");
    let records = cursor.read(10_000).expect("a read");
    assert_eq!(writer.put("a", &new).map(drop), Err(Error::Full));
    clock.advance(DAY + Duration::from_millis(1));
    let owner = reader.region().owner();
    let in_use = |reading| Err(Error::SegmentInUse { owner, reading });
    for _ in 0..3 {
        assert_eq!(writer.put("a", &new).map(drop), in_use(true));
        clock.advance(Duration::from_millis(20));
    }
    assert!(records.len() > 10);
    for (record, (done, data)) in records.iter().zip(&put) {
        assert_eq!(
            (record.sequence(), record.data()),
            (done.sequence, &data[..])
        );
    }
    drop(records);
    writer.put("a", &new).expect("room again");
    // Both are told: what they have not read is gone.
    for mut cursor in [idle, cursor] {
        let told = cursor.read(1).map(|records| records.len());
        assert!(matches!(told, Err(Error::Lost { .. })), "{told:?}");
        while let Err(error) = cursor.read(1).map(|records| {
            let first = records.iter().next().map(|r| r.data().to_vec());
            assert_eq!(first.as_deref(), Some(&new[..]));
        }) {
            assert!(matches!(error, Error::Lost { .. }), "{error}");
        }
    }
}

pub fn what_is_being_written_stays<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new()
        .segment(4096)
        .full(FullPolicy::Evict)
        .retention(Duration::from_secs(1));
    let streams = home.streams(20 << 10, options, &clock);
    let (writer, other) = (&streams[0], &streams[streams.len() - 1]);
    let mut claim = other.claim("slow", 100).expect("room");
    claim.fill(7);
    let refused = loop {
        match writer.put("a", &[1; 100]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let (owner, reading) = (other.region().owner(), false);
    assert_eq!(refused, Error::SegmentInUse { owner, reading });
    let stat = writer.stat(only(writer)).expect("figures");
    assert!(stat.bytes + 4096 >= stat.capacity_bytes, "{stat:?}");
    assert!(claim.iter().all(|byte| *byte == 7));
    // Nobody gets beyond it.
    assert_eq!(next(other, Start::Oldest), (None, 0));
    let put = claim.commit().unwrap();
    assert_eq!(
        next(writer, Start::Oldest).0.map(|r| r.0),
        Some(put.sequence.as_u64())
    );
    writer.put("a", &[1; 100]).expect("room");
}

pub fn an_idle_cursor_is_in_nobodys_way<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().segment(4096).full(FullPolicy::Evict);
    let streams = home.streams(20 << 10, options, &clock);
    let (writer, reader) = (&streams[0], &streams[streams.len() - 1]);
    let shard = only(writer);
    writer.put("a", b"first").expect("room");
    writer.put("a", b"second").expect("room");
    let mut cursor = reader.cursor(shard, Start::Oldest).expect("a cursor");
    assert_eq!(cursor.read(1).expect("a read").len(), 1);
    let at = cursor.position().as_u64();
    let mut all = vec![];
    while writer.stat(shard).expect("figures").tail.as_u64() >> 30 < 4 {
        all.push(
            writer
                .put("a", &body(all.len() as u64, 100))
                .expect("room")
                .sequence,
        );
    }
    let stat = writer.stat(shard).expect("figures");
    // It was taken away, and comes back where what is kept begins.
    assert_eq!(cursor.lag().expect("a lag").records as usize, {
        all.iter().filter(|put| **put >= stat.oldest).count()
    });
    assert_eq!(
        cursor.position().as_u64(),
        at,
        "a look at the lag moves nothing"
    );
    let laps = (stat.oldest.as_u64() >> 30) - (at >> 30);
    let index = |place: u64| place & ((1 << 30) - 1);
    let bytes = laps * stat.capacity_bytes + index(stat.oldest.as_u64()) * 64 - index(at) * 64;
    let told = cursor.read(1).map(|_| ());
    assert_eq!(told, Err(Error::Lost { bytes }));
    assert_eq!(cursor.position(), stat.oldest);
    for put in all.iter().filter(|put| **put >= stat.oldest) {
        let records = cursor.read(1).expect("a read");
        assert_eq!(records.iter().next().map(|r| r.sequence()), Some(*put));
    }
    assert!(cursor.read(1).expect("a read").is_empty());
    assert!(stat.evicted_segments > 5);
}

/// What was given up and what is too old behind it.
pub fn what_is_lost_is_told_once<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(1_000_000);
    let options = StreamOptions::new()
        .segment(4096)
        .retention(Duration::from_secs(10))
        .full(FullPolicy::Evict);
    let stream = home.stream(64 << 10, options, &clock);
    let shard = only(&stream);
    stream.put("a", b"first").expect("room");
    let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
    // The first are given up, the next are too old.
    for _ in 0..900 {
        stream.put("a", &[7; 100]).expect("room");
    }
    clock.advance(Duration::from_secs(11));
    stream.put("a", b"young").expect("room");
    let told = cursor.read(10).map(drop);
    assert!(
        matches!(told, Err(Error::Lost { bytes }) if bytes > 48 << 10),
        "{told:?}"
    );
    let records = cursor.read(10).expect("what is kept");
    let data: Vec<_> = records
        .iter()
        .map(|record| record.data().to_vec())
        .collect();
    assert_eq!(data, [b"young"]);
}

/// A look at the lag of a cursor whose records are too old does not lose what it would be told.
pub fn a_lag_loses_nothing<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(64 << 10, StreamOptions::new(), &clock);
    let first = stream.put("a", b"old").expect("room");
    let mut cursor = stream.cursor(only(&stream), Start::Oldest).expect("one");
    clock.advance(2 * DAY);
    stream.put("a", b"new").expect("room");
    cursor.lag().expect("a lag");
    assert_eq!(cursor.position(), first.sequence);
    let told = cursor.read(1).map(|_| ());
    assert_eq!(told, Err(Error::Lost { bytes: 64 }));
    assert_eq!(cursor.read(1).expect("a read").len(), 1);
}

/// A number behind a record that is being written still finds the record behind it.
pub fn a_claim_hides_no_place<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(64 << 10, StreamOptions::new(), &clock);
    stream.put("a", b"first").expect("room");
    let claim = stream.claim("a", 300).expect("room");
    let put = stream.put("a", &[1; 300]).expect("room").sequence;
    let last = stream.put("a", b"last").expect("room").sequence;
    let number = |n| StreamSequence::from_u64(put.as_u64() + n);
    for start in [
        Start::After(put),
        Start::At(number(1)),
        Start::At(number(4)),
        Start::At(last),
    ] {
        let mut cursor = stream.cursor(only(&stream), start).expect("a cursor");
        let records = cursor.read(10).expect("a read");
        let found = records.iter().next().map(|r| r.sequence());
        assert_eq!((found, records.len()), (Some(last), 1), "{start:?}");
    }
    drop(claim);
}

/// A cursor at a record that grew too old goes on, also if an earlier one is being written.
pub fn a_claim_sends_nobody_back<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(64 << 10, StreamOptions::new(), &clock);
    stream.put("a", b"first").expect("room");
    let claim = stream.claim("a", 10).expect("room");
    let old = stream.put("a", b"old").expect("room").sequence;
    let mut cursor = stream.cursor(only(&stream), Start::At(old)).expect("one");
    clock.advance(2 * DAY);
    let new = stream.put("a", b"new").expect("room").sequence;
    let told = cursor.read(1).map(|_| ());
    assert_eq!(told, Err(Error::Lost { bytes: 64 }));
    claim.commit().unwrap();
    let records = cursor.read(10).expect("a read");
    let found: Vec<_> = records.iter().map(|r| r.sequence()).collect();
    assert_eq!(found, [new]);
}

/// A segment is over although the next one begins with a long record that was given up.
pub fn given_up_room_ends_nothing<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().segment(16 << 10);
    let stream = home.stream(64 << 10, options, &clock);
    let shard = only(&stream);
    let long = stream.data_bytes_max();
    let mut count = 0;
    // Each segment holds one, given up, but for the first.
    stream.put("a", &vec![1; long]).expect("room");
    while let Ok(claim) = stream.claim("a", long) {
        drop(claim);
        count += 1;
    }
    assert!(count > 1);
    assert_eq!(stream.put("a", &vec![1; long]).map(drop), Err(Error::Full));
    clock.advance(DAY + Duration::from_millis(1));
    for n in 0..10 {
        let put = stream.put("a", &vec![n; long]);
        put.unwrap_or_else(|error| panic!("{n}: {error}"));
        clock.advance(DAY + Duration::from_millis(1));
    }
    stream.tend().expect("a look");
    let stat = stream.stat(shard).expect("figures");
    assert!(stat.bytes < 2 * (16 << 10) + 1, "{stat:?}");
}

/// The place of a cursor is good for as long as the stream is, in a file.
#[test]
fn a_place_outlives_its_process() {
    let dir = Dir::new("stream-place");
    let path = dir.file("q.ring");
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().shards(2);
    let mut place = None;
    for life in 0..6u8 {
        let region = match life {
            0 => Mapped::create(&path, (SECTION + (64 << 10)) as u64),
            _ => Mapped::open(&path),
        };
        let region = region.expect("a region");
        let stream = Stream::open_or_create_with(region, options, &clock).expect("a stream");
        let shard = stream.shard_of(0).expect("a shard");
        for n in 0..10 {
            let data = [life, n];
            let entry = StreamEntry::new("a", &data).hash(0);
            stream.put_entry(&entry).expect("room");
        }
        let start = place.map_or(Start::Oldest, Start::At);
        let mut cursor = stream.cursor(shard, start).expect("a cursor");
        let count = if life == 0 { 5 } else { 10 };
        let records = cursor.read(count).expect("a read");
        let found: Vec<_> = records.iter().map(|r| r.data().to_vec()).collect();
        let first = if life == 0 { 0 } else { 10 * (life - 1) + 5 };
        let expected: Vec<_> = (first..first + count as u8)
            .map(|n| vec![n / 10, n % 10])
            .collect();
        assert_eq!(found, expected);
        drop(records);
        place = Some(cursor.position());
    }
}
