//! Shards on demand: what is measured, what is split, and what is forgotten after 30 days; on a
//! clock that is set by hand.

use crate::common::Dir;
use crate::homes::{Home, Tested};
use ringmain::{
    Capacity, Error, FullPolicy, ManualClock, Mapped, Region, Stream, StreamEntry, StreamOptions,
};
use std::fs;
use std::time::Duration;

const START_MS: u64 = 40 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
const SECOND: Duration = Duration::from_secs(1);

fn options() -> StreamOptions {
    StreamOptions::new()
        .capacity(Capacity::OnDemand)
        .max_shards(32)
        .segment(16_384)
        .retention(Duration::from_secs(60))
        .full(FullPolicy::Evict)
}

/// Puts so many records of so many bytes in each second of so many, evenly over the hashes.
fn load<R: Region>(
    streams: &[Tested<'_, R>],
    clock: &ManualClock,
    seconds: u64,
    records: u64,
    len: usize,
) {
    let data = vec![7; len];
    for second in 0..seconds {
        // Ten times in a second, as a coarse clock would have it.
        for tenth in 0..10 {
            let count = records * (tenth + 1) / 10 - records * tenth / 10;
            for n in 0..count {
                let hash = (n * 0x9e37_79b9 + second).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let entry = StreamEntry::new("k", &data).hash(u128::from(hash) << 64);
                let stream = &streams[n as usize % streams.len()];
                stream.put_entry(&entry).expect("room");
            }
            clock.advance(SECOND / 10);
        }
    }
}

/// The open shards: that they are all hashes, and how many they are.
fn open<R: Region>(stream: &Tested<'_, R>) -> usize {
    let info = |shard| stream.shard_info(shard).ok().filter(|info| info.is_open());
    let mut open: Vec<_> = stream.shards().filter_map(info).map(|i| i.hashes).collect();
    open.sort_unstable();
    assert_eq!((open[0].0, open[open.len() - 1].1), (0, u128::MAX));
    assert!(open.windows(2).all(|two| two[0].1 + 1 == two[1].0));
    let widths: Vec<_> = open.iter().map(|(first, last)| last - first).collect();
    let (least, most) = (widths.iter().min(), widths.iter().max());
    assert!(
        most.zip(least)
            .is_some_and(|(most, least)| most / 4 <= least / 2 + 1),
        "even"
    );
    open.len()
}

/// Right to a block of each of the first shards.
fn near(found: u64, expected: u64, of_block: u64) -> bool {
    found.abs_diff(expected) <= expected / 50 + 4 * of_block
}

pub fn a_peak_is_doubled<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(40 << 20, options(), &clock);
    let stream = &streams[0];
    stream.tend().expect("a look");
    assert_eq!(open(stream), 4);
    // 1500 records in a second: 3 shards would do, and 4 there are.
    load(&streams, &clock, 5, 1500, 20);
    stream.tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert!(near(demand.peak_records, 1500, 64), "{demand:?}");
    assert!(near(demand.peak_bytes, 1500 * 64, 4096), "{demand:?}");
    assert_eq!((demand.wanted, open(stream)), (4, 4));
    load(&streams, &clock, 3, 3300, 20);
    streams[streams.len() - 1].tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert!(near(demand.peak_records, 3300, 64), "{demand:?}");
    assert_eq!((demand.wanted, demand.open, open(stream)), (7, 7, 7));
    // By bytes: 3 MiB in a second.
    load(&streams, &clock, 1, 450, 7000);
    stream.tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert!(near(demand.peak_bytes, 450 * 7040, 7040), "{demand:?}");
    assert_eq!(demand.wanted as usize, open(stream));
    assert_eq!(demand.wanted, 7, "3.02 MiB, doubled");
    // Less changes nothing, and never is there more than there is room for.
    load(&streams, &clock, 3, 10, 7000);
    stream.tend().expect("a look");
    assert_eq!(open(stream), 7);
    load(&streams, &clock, 2, 30_000, 20);
    stream.tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert_eq!(demand.wanted, 32);
    // Those that were split keep their places until their records are over.
    let before = open(stream);
    assert!((16..32).contains(&before), "{before}");
    clock.advance(61 * SECOND);
    stream.tend().expect("a look");
    assert!(open(stream) > before);
}

pub fn a_second_is_found_in_an_hour<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let day = Duration::from_secs(86_400);
    let streams = home.streams(24 << 20, options().retention(day), &clock);
    let stream = &streams[0];
    stream.tend().expect("a look");
    // Within a minute each second counts, within an hour each minute.
    load(&streams, &clock, 1, 3000, 20);
    clock.advance(50 * SECOND);
    stream.tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert!(near(demand.peak_records, 3000, 64), "{demand:?}");
    load(&streams, &clock, 60, 500, 20);
    clock.advance(3540 * SECOND);
    stream.tend().expect("a look");
    let again = stream.demand().expect("figures");
    assert_eq!(again.peak_records, demand.peak_records);
    // What was measured is not measured again.
    for _ in 0..3 {
        clock.advance(2 * DAY_MS as u32 / 1000 * SECOND);
        stream.tend().expect("a look");
    }
    clock.advance(26 * day);
    assert_eq!(stream.demand().expect("figures").peak_records, 0);
}

/// A month and more: a shard more for each rise, and the peak is forgotten after 30 days.
pub fn a_month_goes_by<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(16 << 20, options(), &clock);
    let stream = &streams[0];
    let peaks = |day: u64| match day {
        3 => 2600,
        10 => 3700,
        _ => 200,
    };
    let mut shards = Vec::new();
    for day in 0..45 {
        let base = stream.time_ms() - stream.time_ms() % DAY_MS;
        clock.advance(Duration::from_millis(
            base + DAY_MS + 3_600_000 - stream.time_ms(),
        ));
        stream.tend().expect("a look");
        load(&streams, &clock, 2, peaks(day), 20);
        clock.advance(SECOND);
        stream.tend().expect("a look");
        let demand = stream.demand().expect("figures");
        // Today and 30 days back.
        let kept = (day.saturating_sub(30)..=day).map(peaks).max().unwrap_or(0);
        assert!(near(demand.peak_records, kept, 64), "day {day}: {demand:?}");
        shards.push(open(stream));
        if day == 41 {
            // Nobody merges unless asked.
            assert_eq!((demand.wanted, demand.open), (4, 8));
            assert_eq!(stream.shrink(), Ok(4));
            assert_eq!(stream.shrink(), Ok(0));
        }
    }
    assert_eq!((shards[2], shards[3], shards[9]), (4, 6, 6));
    assert_eq!((shards[10], shards[40], shards[42]), (8, 8, 4));
}

pub fn provisioned_shards_stay<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let options = StreamOptions::new().max_shards(8).full(FullPolicy::Evict);
    let streams = home.streams(8 << 20, options, &clock);
    let stream = &streams[0];
    stream.tend().expect("a look");
    load(&streams, &clock, 2, 5000, 20);
    stream.tend().expect("a look");
    let demand = stream.demand().expect("figures");
    assert_eq!(
        (demand.peak_records, demand.wanted, open(stream)),
        (0, 1, 1)
    );
    assert!(matches!(stream.shrink(), Err(Error::Unsupported { .. })));
    let other = StreamOptions::new()
        .capacity(Capacity::OnDemand)
        .shards(1)
        .max_shards(8);
    let other = Stream::open_or_create_with(stream.region(), other.full(FullPolicy::Evict), &clock);
    let option = "on demand";
    let (found, given) = (0, 1);
    assert_eq!(
        other.map(drop),
        Err(Error::OptionsDiffer {
            option,
            found,
            given
        })
    );
}

pub fn a_stream_on_demand_begins_with_four<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let asked = StreamOptions::new().capacity(Capacity::OnDemand);
    assert_eq!((asked.get_shards(), asked.get_max_shards()), (4, None));
    let stream = home.stream(8 << 20, asked, &clock);
    let options = stream.options();
    assert_eq!(options.get_capacity(), Capacity::OnDemand);
    assert_eq!(
        (options.get_shards(), options.get_max_shards()),
        (4, Some(16))
    );
    let given = asked.shards(2).max_shards(3);
    let options = home.stream(8 << 20, given, &clock).options();
    assert_eq!(
        (options.get_shards(), options.get_max_shards()),
        (2, Some(3))
    );
    assert_eq!(asked.shards(1000).get_shards(), 1000);
    let whole = home.stream(64 << 20, asked.shards(1000).segment(4096), &clock);
    assert_eq!(whole.options().get_max_shards(), Some(1024));
}

/// Whatever the words of demand say: who tends comes to an end, the shards stay whole, and there
/// are no more than there may be.
#[test]
fn damaged_words_do_no_harm() {
    let dir = Dir::shm("stream-demand");
    let path = dir.file("q.ring");
    let clock = ManualClock::new(START_MS);
    let stream = || {
        let region = Mapped::open(&path).expect("the region");
        Stream::open_with(region, &clock).expect("the stream")
    };
    let region = Mapped::create(&path, 8 << 20).expect("a region");
    let first = [Stream::create_with(region, options(), &clock).expect("a stream")];
    load(&first, &clock, 3, 300, 20);
    let before = fs::read(&path).expect("a file");
    first[0].tend().expect("a look");
    let after = fs::read(&path).expect("a file");
    drop(first);
    let words = |bytes: &[u8]| -> Vec<u64> {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        bytes.chunks_exact(8).map(word).collect()
    };
    let (before, after_words) = (words(&before), words(&after));
    let changed: Vec<_> = (0..before.len())
        .filter(|at| before[*at] != after_words[*at])
        .collect();
    // When, a day, and up to where in each of four shards; and when somebody tended.
    assert!((6..20).contains(&changed.len()), "{changed:?}");
    for at in changed {
        let found = after_words[at];
        for value in [
            0,
            1,
            63,
            found + 1,
            found + 64,
            found ^ 1 << 30,
            found << 7,
            1 << 63,
            u64::MAX,
        ] {
            let mut damaged = after.clone();
            damaged[8 * at..][..8].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, &damaged).expect("a file");
            let streams = [stream()];
            load(&streams, &clock, 2, 50, 20);
            for _ in 0..3 {
                clock.advance(SECOND);
                let _ = streams[0].tend();
                let demand = streams[0].demand().expect("figures");
                assert!(demand.wanted <= 32, "{at}, {value:#x}: {demand:?}");
            }
            let info = |shard| streams[0].shard_info(shard).ok();
            let all = streams[0].shards().filter_map(info);
            let widths = all.filter(|i| i.is_open()).map(|i| i.hashes.1 - i.hashes.0);
            let count = streams[0].demand().expect("figures").open;
            let sum = widths.fold(0_u128, u128::wrapping_add);
            assert_eq!(sum.wrapping_add(count.into()), 0, "they are all hashes");
        }
    }
}
