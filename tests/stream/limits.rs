//! Limits: of keys, data, batches, options and readers; and what is in a region already.

use crate::homes::{Home, Tested};
use ringmain::{
    Error, FifoOptions, FifoQueue, FullPolicy, ManualClock, Placement, Put, Queue, QueueOptions,
    Region, Start, Stream, StreamEntry, StreamOptions,
};
use std::time::Duration;

const START_MS: u64 = 1_000_000;

/// What all records of a shard say.
fn read_all<R: Region>(stream: &Tested<'_, R>) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for shard in stream.shards() {
        let mut cursor = stream.cursor(shard, Start::Oldest).expect("a cursor");
        loop {
            let records = cursor.read(10_000).expect("a read");
            if records.is_empty() {
                break;
            }
            let told =
                |r: ringmain::Record<'_>| (r.key().expect("text").to_owned(), r.data().to_owned());
            all.extend(records.iter().map(told));
        }
    }
    all
}

pub fn keys_have_1_to_256_characters<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(1 << 20, StreamOptions::new(), &clock);
    let mut put = Vec::new();
    for character in ["a", "ä", "€", "𝄞", "\0"] {
        for count in [1, 2, 255, 256] {
            let key = character.repeat(count);
            stream.put(&key, b"data").expect("a key");
            put.push((key.clone(), b"data".to_vec()));
            stream
                .claim(&key, 0)
                .expect("a key")
                .commit()
                .expect("committed");
            put.push((key, Vec::new()));
        }
        for count in [0, 257, 1025] {
            let key = character.repeat(count);
            let error = Error::PartitionKey { characters: count };
            assert_eq!(stream.put(&key, b"data").map(drop), Err(error.clone()));
            assert_eq!(stream.claim(&key, 4).map(drop), Err(error.clone()));
            let entry = StreamEntry::new(&key, b"data").hash(7);
            assert_eq!(stream.put_entry(&entry).map(drop), Err(error));
        }
    }
    assert_eq!(read_all(&stream), put);
}

pub fn data_has_0_to_max_bytes<R: Region>(home: &Home<'_, R>) {
    for max in [1, 47, 48, 49, 3000, 100_000] {
        let clock = ManualClock::new(START_MS);
        let options = StreamOptions::new().max_data(max);
        let stream = home.stream(4 << 20, options, &clock);
        assert_eq!(stream.data_bytes_max(), max);
        // The longest key as well.
        let key = "𝄞".repeat(256);
        let mut put = Vec::new();
        for len in [0, 1, max - 1, max] {
            let data = vec![len as u8; len];
            stream.put(&key, &data).expect("data");
            put.push((key.clone(), data));
        }
        let long = vec![1; max + 1];
        let (len, refused) = (max + 1, Err(Error::DataTooLong { len: max + 1, max }));
        assert_eq!(stream.put(&key, &long).map(drop), refused);
        assert_eq!(stream.claim(&key, len).map(drop), refused);
        assert_eq!(read_all(&stream), put);
    }
}

/// Without an option the longest data fills a segment.
pub fn the_longest_data_is_told<R: Region>(home: &Home<'_, R>) {
    for bytes in [20 << 10, 300 << 10, 5 << 20] {
        let clock = ManualClock::new(START_MS);
        let stream = home.stream(bytes, StreamOptions::new(), &clock);
        let max = stream.data_bytes_max();
        let long = vec![7; max + 1];
        let put = stream.put(&"𝄞".repeat(256), &long[..max]);
        put.expect("the longest record");
        let refused = Err(Error::DataTooLong { len: max + 1, max });
        assert_eq!(stream.put("a", &long).map(drop), refused);
    }
}

/// What became of each record of a batch.
fn batch<R: Region>(
    stream: &Tested<'_, R>,
    entries: &[StreamEntry<'_>],
) -> Result<Vec<Result<Put, Error>>, Error> {
    let mut outcomes = vec![None; entries.len()];
    let tell = |n: usize, outcome| assert!(Option::replace(&mut outcomes[n], outcome).is_none());
    stream.put_batch(entries, tell)?;
    Ok(outcomes.into_iter().map(|o| o.expect("told")).collect())
}

pub fn batches_have_1_to_500_records<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().shards(3);
    let stream = home.stream(4 << 20, options, &clock);
    let keys: Vec<_> = (0..501).map(|n| format!("{n}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| StreamEntry::new(key, key)).collect();
    let range = |value| Error::OutOfRange {
        what: "records of a batch",
        value,
        min: 1,
        max: 500,
    };
    assert_eq!(batch(&stream, &[]), Err(range(0)));
    assert_eq!(batch(&stream, &entries), Err(range(501)));
    assert!(read_all(&stream).is_empty());
    for count in [1, 500] {
        let outcomes = batch(&stream, &entries[..count]).expect("a batch");
        let mut last = [0; 3];
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let put = outcome.expect("room");
            let shard = put.shard.number() as usize;
            let of = stream.shard_of(stream.hash_of(&keys[n]));
            assert_eq!(Ok(put.shard), of);
            assert!(put.sequence.as_u64() > last[shard]);
            last[shard] = put.sequence.as_u64();
        }
    }
    assert_eq!(read_all(&stream).len(), 501);
}

pub fn batches_have_10_mib<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().max_data(1 << 20);
    let stream = home.stream(32 << 20, options, &clock);
    let data = vec![3; (10 << 20) / 20 - 1];
    let mut entries: Vec<_> = (0..20).map(|_| StreamEntry::new("a", &data)).collect();
    let outcomes = batch(&stream, &entries).expect("10 MiB");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    entries.push(StreamEntry::new("a", b""));
    let (len, max) = ((10 << 20) + 1, 10 << 20);
    assert_eq!(
        batch(&stream, &entries),
        Err(Error::BatchTooLong { len, max })
    );
    assert_eq!(read_all(&stream).len(), 20);
}

pub fn a_refused_record_hurts_no_other<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().shards(2).max_data(100);
    let stream = home.stream(64 << 10, options, &clock);
    let (long, short) = ([1; 101], [2; 100]);
    let wide = "x".repeat(257);
    let entries = [
        StreamEntry::new("a", &long),
        StreamEntry::new("b", &short),
        StreamEntry::new(&wide, &short),
        StreamEntry::new("", &short).hash(u128::MAX),
        StreamEntry::new("c", &short).hash(u128::MAX),
        StreamEntry::new("d", &short).hash(0),
    ];
    let outcomes = batch(&stream, &entries).expect("a batch");
    let refusals: Vec<_> = outcomes.iter().map(|o| o.clone().err()).collect();
    let keys = |characters| Some(Error::PartitionKey { characters });
    let too_long = Some(Error::DataTooLong { len: 101, max: 100 });
    assert_eq!(refusals, [too_long, None, keys(257), keys(0), None, None]);
    assert_eq!(read_all(&stream).len(), 3);
    // A full shard does not hurt another one.
    while stream
        .put_entry(&StreamEntry::new("a", &short).hash(0))
        .is_ok()
    {}
    let outcomes = batch(&stream, &entries[4..]).expect("a batch");
    assert!(outcomes[0].is_ok() && outcomes[1] == Err(Error::Full));
}

pub fn options_have_bounds<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let (new, ms) = (StreamOptions::new, Duration::from_millis);
    let year = 365 * 86_400_000;
    let region = home.region(32 << 20);
    let table = [
        (new().shards(0), "shards", 0),
        (new().shards(1025), "shards", 1025),
        (new().readers(0), "readers", 0),
        (new().readers(4097), "readers", 4097),
        (new().consumers(65), "consumers", 65),
        (new().retention(ms(999)), "retention (ms)", 999),
        (new().retention(ms(year + 1)), "retention (ms)", year + 1),
        (new().max_data(0), "max_data (bytes)", 0),
        (new().max_data(10_485_761), "max_data (bytes)", 10_485_761),
        (new().segment(4095), "segment (bytes)", 4095),
        (
            new().segment((16 << 20) + 1),
            "segment (bytes)",
            (16 << 20) + 1,
        ),
    ];
    for (options, name, given) in table {
        match Stream::create_with(&region, options, &clock).map(|_| ()) {
            Err(Error::OutOfRange { what, value, .. }) => assert_eq!((what, value), (name, given)),
            other => panic!("{name} = {given}: {other:?}"),
        }
        assert_eq!(
            Stream::open_with(&region, &clock).map(|_| ()),
            Err(Error::Vacant)
        );
    }
    let bounds = [
        (64 << 20, new().max_data(10 << 20).segment(8 << 20)),
        (32 << 20, new().shards(1024).readers(1).segment(4096)),
        (
            32 << 20,
            new().shards(1024).readers(1).segment(4096).consumers(64),
        ),
        (64 << 10, new().consumers(0).readers(1)),
        (
            32 << 20,
            new().readers(4096).retention(ms(1000)).max_data(1),
        ),
        (1 << 20, new().retention(ms(year))),
    ];
    for (bytes, options) in bounds {
        let stream = home.stream(bytes, options, &clock);
        let data = vec![1; stream.data_bytes_max()];
        stream.put(&"𝄞".repeat(256), &data).expect("room");
    }
}

pub fn a_small_region_says_what_is_needed<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let new = StreamOptions::new;
    let wishes = [
        new(),
        new().shards(7),
        new().readers(4096),
        new().max_data(50_000),
        new().segment(1 << 16).shards(3),
    ];
    for options in wishes {
        let region = home.region(4096);
        let refused = Stream::create_with(&region, options, &clock).map(|_| ());
        let Err(Error::RegionTooSmall { needed, .. }) = refused else {
            panic!("{options:?}: {refused:?}");
        };
        if needed % 4096 != 0 {
            // In a file the length is what pages hold.
            let less = home.region(needed as usize & !4095);
            let refused = Stream::create_with(&less, options, &clock).map(|_| ());
            let again = Error::RegionTooSmall {
                len: needed & !4095,
                needed,
            };
            assert_eq!(refused, Err(again), "{options:?}");
        }
        let stream = home.stream(needed as usize, options, &clock);
        let data = vec![1; stream.data_bytes_max()];
        stream.put(&"𝄞".repeat(256), &data).expect("room");
    }
}

pub fn readers_are_limited<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().readers(3).shards(2);
    let streams = home.streams(64 << 10, options, &clock);
    let stream = |n: usize| &streams[n % streams.len()];
    let shards: Vec<_> = stream(0).shards().collect();
    let mut cursors: Vec<_> = (0..3)
        .map(|n| stream(n).cursor(shards[0], Start::Latest).expect("a pin"))
        .collect();
    assert_eq!(stream(0).stat(shards[0]).expect("figures").readers, 3);
    for n in 0..3 {
        let refused = stream(n).cursor(shards[0], Start::Latest).map(|_| ());
        assert_eq!(refused, Err(Error::Readers { max: 3 }));
        assert!(stream(n).cursor(shards[1], Start::Latest).is_ok());
        cursors.swap_remove(0);
        let another = stream(n + 1).cursor(shards[0], Start::Latest);
        cursors.push(another.expect("a pin"));
    }
    // A place that is none takes no pin.
    cursors.pop();
    let nowhere = Start::At(ringmain::StreamSequence::from_u64(u64::MAX));
    for _ in 0..5 {
        let refused = stream(0).cursor(shards[0], nowhere).map(|_| ());
        assert!(matches!(refused, Err(Error::OutOfRange { .. })));
    }
    assert_eq!(stream(0).stat(shards[0]).expect("figures").readers, 2);
}

pub fn a_shard_is_of_its_stream<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new();
    let wide = home.stream(64 << 10, options.shards(5), &clock);
    let stream = home.stream(64 << 10, options.shards(2), &clock);
    let alien = wide.shards().nth(2).expect("a shard");
    let none = Error::NoShard { shard: 2 };
    let cursor = stream.cursor(alien, Start::Oldest).map(|_| ());
    assert_eq!(cursor, Err(none.clone()));
    assert_eq!(stream.stat(alien).map(|_| ()), Err(none.clone()));
    assert_eq!(stream.shard_info(alien).map(|_| ()), Err(none));
    let ranges: Vec<_> = wide
        .shards()
        .map(|shard| wide.shard_info(shard).expect("its range").hashes)
        .collect();
    assert_eq!((ranges[0].0, ranges[4].1), (0, u128::MAX));
    for (n, (start, end)) in ranges.iter().enumerate() {
        assert!(n == 0 || ranges[n - 1].1 + 1 == *start);
        let shard = |hash| wide.shard_of(hash).expect("a shard").number() as usize;
        assert_eq!((shard(*start), shard(*end)), (n, n));
    }
}

pub fn options_that_differ_are_told<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let base = StreamOptions::new()
        .shards(2)
        .readers(5)
        .segment(8192)
        .max_data(5000)
        .checksum(true);
    let region = home.region(256 << 10);
    Stream::create_with(&region, base, &clock).expect("a stream");
    let again = |options| Stream::open_or_create_with(&region, options, &clock).map(|_| ());
    assert_eq!(again(base), Ok(()));
    assert_eq!(
        again(StreamOptions::new().shards(2).readers(5)),
        Ok(()),
        "what is not asked for"
    );
    let day = 86_400_000;
    let other = Duration::from_secs(10);
    let table = [
        (base.shards(3), "shards", 2, 3),
        (base.readers(6), "readers", 5, 6),
        (base.consumers(21), "consumers", 20, 21),
        (base.retention(other), "retention (ms)", day, 10_000),
        (base.full(FullPolicy::Evict), "evict", 0, 1),
        (base.max_data(5001), "max_data (bytes)", 5000, 5001),
        (base.segment(16_384), "segment (bytes)", 8192, 16_384),
        (base.checksum(false), "checksum", 1, 0),
        (base.placement(Placement::Md5), "md5 placement", 0, 1),
    ];
    for (options, option, found, given) in table {
        let differ = Error::OptionsDiffer {
            option,
            found,
            given,
        };
        assert_eq!(again(options), Err(differ));
    }
    let created = Stream::create_with(&region, base, &clock).map(|_| ());
    assert_eq!(created, Err(Error::Occupied));
}

/// A segment that is rounded up is the one that was asked for.
pub fn the_same_options_open_again<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let new = StreamOptions::new;
    let wishes = [
        new().segment(4096).max_data(50_000),
        new().segment(4097),
        new().segment(70_000).max_data(10),
        new().max_data(50_000),
    ];
    for options in wishes {
        let region = home.region(1 << 20);
        Stream::create_with(&region, options, &clock).expect("a stream");
        let again = Stream::open_or_create_with(&region, options, &clock).map(|_| ());
        assert_eq!(again, Ok(()), "{options:?}");
    }
}

pub fn a_queue_is_no_stream<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new();
    let kind = |found, expected| Err(Error::Kind { found, expected });
    let region = home.region(256 << 10);
    Stream::create_with(&region, options, &clock).expect("a stream");
    assert_eq!(
        Queue::open_with(&region, &clock).map(|_| ()),
        kind(3, 1),
        "a stream is no queue"
    );
    assert_eq!(
        FifoQueue::open_with(&region, &clock).map(|_| ()),
        kind(3, 2)
    );
    let made = Queue::open_or_create_with(&region, QueueOptions::new(), &clock).map(|_| ());
    assert_eq!(made, kind(3, 1));
    let made = Queue::create_with(&region, QueueOptions::new(), &clock).map(|_| ());
    assert_eq!(made, Err(Error::Occupied));
    let region = home.region(256 << 10);
    Queue::create_with(&region, QueueOptions::new(), &clock).expect("a queue");
    assert_eq!(Stream::open_with(&region, &clock).map(|_| ()), kind(1, 3));
    let made = Stream::open_or_create_with(&region, options, &clock).map(|_| ());
    assert_eq!(made, kind(1, 3));
    let made = Stream::create_with(&region, options, &clock).map(|_| ());
    assert_eq!(made, Err(Error::Occupied));
    let region = home.region(256 << 10);
    FifoQueue::create_with(&region, FifoOptions::new(), &clock).expect("a queue");
    assert_eq!(Stream::open_with(&region, &clock).map(|_| ()), kind(2, 3));
}
