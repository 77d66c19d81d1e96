//! Split and merge: ranges, lineage, places that are used again, and the order of each key through
//! all of it. `RINGMAIN_RESHARDS` sets how many histories are tried at random in each home (default
//! 20).

use crate::common::{Numbers, body, number_of};
use crate::homes::{Home, Tested};
use ringmain::{
    Error, ManualClock, Region, ShardId, Start, StreamEntry, StreamOptions, StreamSequence,
};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const START_MS: u64 = 1_000_000;
const MIDDLE: u128 = 1 << 127;

fn options() -> StreamOptions {
    StreamOptions::new()
        .max_shards(5)
        .segment(4096)
        .retention(Duration::from_secs(100))
}

fn only<R: Region>(stream: &Tested<'_, R>) -> ShardId {
    stream.shards().next().expect("a shard")
}

/// What a split or a merge tells at the end of a shard.
fn ended(children: &[ShardId]) -> Error {
    let child = |n: usize| children.get(n).map(|child| child.number());
    Error::ShardClosed {
        children: [child(0), child(1)],
    }
}

/// All data of a shard from its oldest on, and what it ends with.
fn rest<R: Region>(stream: &Tested<'_, R>, shard: ShardId) -> (Vec<Vec<u8>>, Option<Error>) {
    let mut cursor = match stream.cursor(shard, Start::Oldest) {
        Ok(cursor) => cursor,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut all = Vec::new();
    loop {
        match cursor.read(3) {
            Ok(records) if records.is_empty() => return (all, None),
            Ok(records) => all.extend(records.iter().map(|record| record.data().to_vec())),
            Err(error) => return (all, Some(error)),
        }
    }
}

pub fn a_split_is_exact<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(256 << 10, options(), &clock);
    let (stream, other) = (&streams[0], &streams[streams.len() - 1]);
    let parent = only(stream);
    let put = |hash: u128, data: &[u8]| {
        let entry = StreamEntry::new("a", data).hash(hash);
        other.put_entry(&entry).expect("room").shard
    };
    assert_eq!((put(0, b"1"), put(u128::MAX, b"2")), (parent, parent));
    let point = MIDDLE + 77;
    let children = stream.split(parent, point).expect("a split");
    assert!(!children.contains(&parent) && children[0] != children[1]);
    for (hash, child) in [(0, 0), (point - 1, 0), (point, 1), (u128::MAX, 1)] {
        assert_eq!(put(hash, b"3"), children[child], "{hash}");
        assert_eq!(other.shard_of(hash), Ok(children[child]));
        assert_eq!(stream.shard_of(hash), Ok(children[child]));
    }
    let told = other.shard_info(parent).expect("the parent");
    assert_eq!(told.children, children.map(Some));
    assert_eq!((told.parent, told.hashes), (None, (0, u128::MAX)));
    assert!(!told.is_open() && told.ending > Some(told.starting));
    for (child, hashes) in children.iter().zip([(0, point - 1), (point, u128::MAX)]) {
        let told = other.shard_info(*child).expect("a child");
        assert_eq!((told.shard, told.hashes), (*child, hashes));
        assert_eq!((told.parent, told.adjacent_parent), (Some(parent), None));
        assert!(told.is_open() && told.children == [None; 2]);
        assert_eq!(rest(stream, *child).0.len(), 2);
    }
    let all = vec![b"1".to_vec(), b"2".to_vec()];
    assert_eq!(rest(other, parent), (all, Some(ended(&children))));
    // A cursor that waits at the end is told as well, each time.
    let mut cursor = other.cursor(parent, Start::Latest).expect("a cursor");
    for _ in 0..2 {
        assert_eq!(cursor.read(1).map(drop), Err(ended(&children)));
    }
    assert_eq!(stream.shards().collect::<HashSet<_>>().len(), 3);
}

pub fn a_merge_is_exact<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(256 << 10, options().shards(3).max_shards(4), &clock);
    let (stream, other) = (&streams[0], &streams[streams.len() - 1]);
    let shards: Vec<_> = stream.shards().collect();
    let hashes = |shard: ShardId| stream.shard_info(shard).expect("a shard").hashes;
    let (low, middle, high) = (shards[0], shards[1], shards[2]);
    assert_eq!(stream.merge(low, high), Err(Error::NotAdjacent));
    assert_eq!(stream.merge(low, low), Err(Error::NotAdjacent));
    let put = |hash: u128| {
        let entry = StreamEntry::new("a", b"data").hash(hash);
        other.put_entry(&entry).expect("room").shard
    };
    let points = [hashes(middle).0, hashes(middle).1, hashes(high).0];
    assert_eq!(points.map(put), [middle, middle, high]);
    let all = (hashes(middle).0, hashes(high).1);
    // In either order.
    let child = stream.merge(high, middle).expect("a merge");
    assert_eq!(points.map(put), [child; 3]);
    let told = stream.shard_info(child).expect("the child");
    assert_eq!(told.hashes, all);
    let parents = (told.parent, told.adjacent_parent);
    assert_eq!(parents, (Some(middle), Some(high)));
    for (parent, count) in [(middle, 2), (high, 1)] {
        let (data, error) = rest(other, parent);
        assert_eq!((data.len(), error), (count, Some(ended(&[child]))));
    }
    assert_eq!(
        stream.merge(low, middle),
        Err(Error::ShardNotOpen { shard: 1 })
    );
    assert_eq!(stream.merge(low, child), Err(Error::ShardLimit { max: 4 }));
    assert!(stream.shard_info(low).expect("a shard").is_open());
}

pub fn a_split_that_cannot_be_is_refused<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(256 << 10, options().shards(2).max_shards(3), &clock);
    let shards: Vec<_> = stream.shards().collect();
    for shard in &shards {
        let (first, last) = stream.shard_info(*shard).expect("a shard").hashes;
        for point in [0, first, first + 1, last, u128::MAX] {
            assert_eq!(stream.split(*shard, point), Err(Error::SplitPoint));
        }
        assert_eq!(
            stream.split(*shard, first + 2),
            Err(Error::ShardLimit { max: 3 })
        );
    }
    let none = ShardId::from_number(9);
    let error = Error::NoShard { shard: 9 };
    assert_eq!(stream.split(none, MIDDLE), Err(error.clone()));
    assert_eq!(stream.merge(shards[0], none), Err(error));
    // None of it is left: there is place for the child of a merge, and later for a split.
    let child = stream.merge(shards[0], shards[1]).expect("a merge");
    let error = Error::ShardNotOpen { shard: 0 };
    assert_eq!(stream.split(shards[0], MIDDLE), Err(error));
    assert_eq!(stream.split(child, 1), Err(Error::SplitPoint));
    clock.advance(Duration::from_secs(101));
    let [low, high] = stream.split(child, 2).expect("a split");
    assert_eq!(stream.shard_info(low).expect("a shard").hashes, (0, 1));
    assert_eq!(stream.split(low, 1), Err(Error::SplitPoint), "too narrow");
    assert_eq!(stream.shard_of(2), Ok(high));
    let one = home.stream(256 << 10, StreamOptions::new(), &clock);
    assert_eq!(
        one.split(only(&one), MIDDLE),
        Err(Error::ShardLimit { max: 1 })
    );
    for max in [0, 1, 1025] {
        let wide = StreamOptions::new().shards(2).max_shards(max);
        let refused = ringmain::Stream::create_with(home.region(1 << 20), wide, &clock);
        let refused = refused.map(drop).expect_err("an option");
        let text = format!("max_shards is {max}; it must be 2 to 1024");
        assert_eq!(refused.to_string(), text);
    }
}

/// A place is used again when all in it is old: its new shard has another number, and nothing of
/// the old one is found there.
pub fn a_place_is_used_again<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let streams = home.streams(256 << 10, options().max_shards(3), &clock);
    let (stream, other) = (&streams[0], &streams[streams.len() - 1]);
    let (mut shard, mut used) = (only(stream), HashSet::new());
    for round in 0..40_u64 {
        assert!(used.insert(shard));
        let data = body(round, 100);
        for _ in 0..round * 7 {
            other.put("a", &data).expect("room");
        }
        let mut behind = other.cursor(shard, Start::Oldest).expect("a cursor");
        let mut at_end = other.cursor(shard, Start::Latest).expect("a cursor");
        clock.advance(Duration::from_secs(if round % 2 == 0 { 101 } else { 1 }));
        let children = stream.split(shard, MIDDLE).expect("a split");
        assert!(children.iter().all(|child| used.insert(*child)));
        assert_eq!(at_end.read(1).map(drop), Err(ended(&children)));
        other.put("a", b"between").expect("room");
        let full = Err(Error::ShardLimit { max: 3 });
        if round % 2 == 1 {
            assert_eq!(stream.merge(children[0], children[1]), full);
            if round > 1 {
                // What is read in place keeps the place.
                let records = behind.read(1).expect("a read");
                clock.advance(Duration::from_secs(101));
                assert_eq!(stream.merge(children[0], children[1]), full);
                assert_eq!(records.iter().next().expect("one").data(), data);
                drop(records);
            }
            clock.advance(Duration::from_secs(101));
        }
        let merged = stream.merge(children[0], children[1]).expect("a merge");
        let gone = Error::NoShard {
            shard: shard.number(),
        };
        assert_eq!(behind.read(1).map(drop), Err(gone.clone()), "{round}");
        assert_eq!(at_end.read(1).map(drop), Err(gone.clone()));
        assert_eq!(at_end.lag().map(drop), Err(gone.clone()));
        for start in [
            Start::Oldest,
            Start::Latest,
            Start::Time(0),
            Start::At(StreamSequence::from_u64(1 << 30)),
        ] {
            assert_eq!(at_end.seek(start), Err(gone.clone()));
            assert_eq!(other.cursor(shard, start).map(drop), Err(gone.clone()));
        }
        assert_eq!(other.stat(shard).map(drop), Err(gone.clone()));
        assert_eq!(other.shard_info(shard).map(drop), Err(gone.clone()));
        assert_eq!(other.split(shard, MIDDLE).map(drop), Err(gone));
        shard = merged;
        assert_eq!(rest(other, shard), (vec![], None));
        let stat = other.stat(shard).expect("figures");
        assert_eq!((stat.bytes, stat.oldest), (0, stat.tail));
        let told = other.shard_info(shard).expect("a shard");
        assert_eq!(told.starting, stat.tail);
        // A number from before its beginning is at its beginning.
        let first = other.put("a", b"first").expect("room");
        let before = StreamSequence::from_u64(1 << 30);
        for start in [Start::Oldest, Start::At(before), Start::After(before)] {
            let mut cursor = other.cursor(shard, start).expect("a cursor");
            let records = cursor.read(1).expect("a read");
            let found = records.iter().next().map(|record| record.sequence());
            assert_eq!(found, Some(first.sequence));
        }
        clock.advance(Duration::from_secs(101));
    }
}

/// What is claimed before the split is a record of the parent, also when it is committed later.
pub fn a_claim_stays_in_its_shard<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(256 << 10, options(), &clock);
    let parent = only(&stream);
    let mut claim = stream.claim("a", 4).expect("room");
    let children = stream.split(parent, MIDDLE).expect("a split");
    stream.put("a", b"next").expect("room");
    let mut cursor = stream.cursor(parent, Start::Oldest).expect("a cursor");
    assert!(cursor.read(1).expect("a read").is_empty(), "not its end");
    claim.copy_from_slice(b"slow");
    assert_eq!(claim.commit().expect("committed").shard, parent);
    assert_eq!(cursor.read(9).expect("a read").len(), 1);
    assert_eq!(cursor.read(9).map(drop), Err(ended(&children)));
}

/// Times go on where those of the parents were, also when the clock has gone back.
pub fn a_child_is_no_older_than_its_parents<R: Region>(home: &Home<'_, R>) {
    let clock = ManualClock::new(START_MS);
    let stream = home.stream(256 << 10, options().shards(2), &clock);
    let put = |hash| stream.put_entry(&StreamEntry::new("a", b"").hash(hash));
    put(0).expect("room");
    clock.advance(Duration::from_secs(50));
    let high = put(u128::MAX).expect("room").shard;
    let latest_ms = stream.stat(high).expect("figures").latest_ms;
    clock.set_ms(START_MS + 1);
    let shards: Vec<_> = stream.shards().collect();
    let child = stream.merge(shards[0], shards[1]).expect("a merge");
    assert_eq!(put(5).expect("room").shard, child);
    let mut cursor = stream.cursor(child, Start::Oldest).expect("a cursor");
    let records = cursor.read(1).expect("a read");
    let time = records.iter().next().map(|record| record.arrived_ms());
    assert_eq!(time, Some(latest_ms));
}

/// A consumer: reads each shard to its end, after its parents.
#[derive(Default)]
struct Follower {
    /// Where it is in each shard that it has begun.
    at: HashMap<ShardId, StreamSequence>,
    done: HashSet<ShardId>,
    /// What it has seen of each key.
    seen: HashMap<String, Vec<u64>>,
}

impl Follower {
    /// Reads what is there.
    fn follow<R: Region>(&mut self, stream: &Tested<'_, R>) {
        let mut again = true;
        while again {
            again = false;
            for shard in stream.shards() {
                let Ok(info) = stream.shard_info(shard) else {
                    continue;
                };
                let waits = [info.parent, info.adjacent_parent]
                    .into_iter()
                    .flatten()
                    .any(|parent| {
                        stream.shard_info(parent).is_ok() && !self.done.contains(&parent)
                    });
                if !self.done.contains(&shard) && !waits {
                    again |= self.read(stream, shard);
                }
            }
        }
    }

    /// Reads a shard: whether it is at its end.
    fn read<R: Region>(&mut self, stream: &Tested<'_, R>, shard: ShardId) -> bool {
        let start = self
            .at
            .get(&shard)
            .map_or(Start::Oldest, |at| Start::At(*at));
        let mut cursor = stream.cursor(shard, start).expect("a cursor");
        let mut is_empty = false;
        while !is_empty {
            let records = match cursor.read(5) {
                Ok(records) => records,
                Err(Error::ShardClosed { .. }) => return self.done.insert(shard),
                Err(error) => panic!("{shard}: {error}"),
            };
            for record in &records {
                let number = record.data()[..8].try_into().expect("8 bytes");
                let key = record.key().expect("text").to_owned();
                let row = self.seen.entry(key).or_default();
                row.push(u64::from_le_bytes(number));
            }
            is_empty = records.is_empty();
        }
        self.at.insert(shard, cursor.position());
        false
    }
}

/// Random puts, splits, merges and times; who follows the shards reads each key in order, once.
pub fn each_key_keeps_its_order<R: Region>(home: &Home<'_, R>) {
    for seed in 0..number_of("RINGMAIN_RESHARDS", 20) {
        let mut numbers = Numbers(seed);
        let clock = ManualClock::new(START_MS);
        let places = 3 + numbers.below(6) as u32;
        let shards = 1 + numbers.below(u64::from(places) - 1) as u32;
        let options = options().shards(shards).max_shards(places);
        let streams = home.streams(96 << 10 << places.ilog2(), options, &clock);
        let mut follower = Follower::default();
        let mut put: HashMap<String, Vec<u64>> = HashMap::new();
        let (mut count, mut changes) = (0_u64, 0);
        for _ in 0..300 {
            let stream = &streams[numbers.below(streams.len() as u64) as usize];
            let pick = |numbers: &mut Numbers| {
                let open = |shard: &ShardId| stream.shard_info(*shard).expect("there").is_open();
                let open: Vec<_> = stream.shards().filter(open).collect();
                open[numbers.below(open.len() as u64) as usize]
            };
            match numbers.below(12) {
                0..=5 => {
                    let keys: Vec<_> = (0..1 + numbers.below(9))
                        .map(|_| format!("key-{}", numbers.below(20)))
                        .collect();
                    let data: Vec<_> = (0..keys.len() as u64)
                        .map(|n| [(count + n).to_le_bytes(), [7; 8]].concat())
                        .collect();
                    let batch: Vec<_> = keys
                        .iter()
                        .zip(&data)
                        .map(|(key, data)| StreamEntry::new(key, data))
                        .collect();
                    let told = |n: usize, outcome: Result<ringmain::Put, Error>| {
                        let shard = outcome.expect("room").shard;
                        let hashes = stream.shard_info(shard).expect("there").hashes;
                        let hash = stream.hash_of(&keys[n]);
                        assert!((hashes.0..=hashes.1).contains(&hash));
                    };
                    stream.put_batch(&batch, told).expect("a batch");
                    for key in keys {
                        put.entry(key).or_default().push(count);
                        count += 1;
                    }
                }
                6 | 7 => {
                    let parent = pick(&mut numbers);
                    let (first, last) = stream.shard_info(parent).expect("there").hashes;
                    let point = first + (last - first) / 16 * (1 + u128::from(numbers.below(14)));
                    match stream.split(parent, point) {
                        Ok(_) => changes += 1,
                        Err(Error::ShardLimit { .. } | Error::SplitPoint) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                8 | 9 => {
                    let (one, other) = (pick(&mut numbers), pick(&mut numbers));
                    match stream.merge(one, other) {
                        Ok(_) => changes += 1,
                        Err(Error::ShardLimit { .. } | Error::NotAdjacent) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                10 => {
                    follower.follow(stream);
                    clock.advance(Duration::from_secs(60));
                }
                _ => drop(stream.tend().expect("tended")),
            }
            // The open shards are all hashes, each once.
            let open = |shard| {
                Some(
                    stream
                        .shard_info(shard)
                        .ok()
                        .filter(|i| i.is_open())?
                        .hashes,
                )
            };
            let mut open: Vec<_> = stream.shards().filter_map(open).collect();
            open.sort_unstable();
            assert_eq!((open[0].0, open[open.len() - 1].1), (0, u128::MAX));
            assert!(open.windows(2).all(|two| two[0].1 + 1 == two[1].0));
        }
        follower.follow(&streams[0]);
        assert_eq!(follower.seen, put, "seed {seed}");
        assert!(
            changes > 3,
            "seed {seed}: {changes} changes of {places} places"
        );
    }
}
