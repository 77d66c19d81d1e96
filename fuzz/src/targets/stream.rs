//! Histories of a stream, through two handles, held against the plain model that `tests/stream`
//! has: a row of records for each shard. Shards are split and merged; records go by age, or to make
//! room.

mod reads;

use crate::common::body;
use crate::ground::input::Input;
use crate::row::{Held, Kept, Row};
use ringmain::{
    Cursor, Error, FullPolicy, Heap, ManualClock, Placement, PutClaim, ShardId, Start, Stream,
    StreamEntry, StreamOptions, StreamSequence,
};
use std::collections::BTreeMap;
use std::time::Duration;

const OPERATIONS_MAX: usize = 400;
const START_MS: u64 = 1_000_000;
const AGE_MS: u64 = 2000;
/// Cursors and claims at a time.
const READERS_MAX: usize = 5;
const CLAIMS_MAX: usize = 3;

type Tested<'s> = Stream<&'s Heap, &'s ManualClock>;

/// A shard, as the model has it.
struct Shard {
    row: Row,
    hashes: (u128, u128),
    children: Option<[Option<u32>; 2]>,
}

struct Reader<'s> {
    cursor: Cursor<'s, &'s Heap, &'s ManualClock>,
    shard: u32,
    /// From which number on the model reads for it.
    from: u64,
}

struct Claimed<'s> {
    claim: PutClaim<'s, &'s Heap, &'s ManualClock>,
    shard: u32,
    held: Held,
    record: Kept,
}

struct History<'s, 'i> {
    streams: &'s [Tested<'s>; 2],
    clock: &'s ManualClock,
    input: Input<'i>,
    shards: BTreeMap<u32, Shard>,
    readers: Vec<Reader<'s>>,
    claimed: Vec<Claimed<'s>>,
    now_ms: u64,
    evicts: bool,
    age_ms: u64,
    placement: Placement,
    count: u64,
}

/// A rule of the model that may be altered, to be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Right,
    RecordsStayLess,
    RecordsStayMore,
    OtherPlacement,
}

/// The input: `{ policy, placement, shards, segments }`, then operations with their arguments.
pub fn run(data: &[u8]) {
    held_against(Rule::Right, data);
}

/// The history of an input, held against a model with this rule: panics where they part.
pub fn held_against(rule: Rule, data: &[u8]) {
    let mut input = Input::new(data);
    let first = input.byte();
    let evicts = first & 1 != 0;
    let placement = match first & 2 {
        0 => Placement::Xxh3,
        _ => Placement::Md5,
    };
    let shards = 1 + u32::from(first >> 2 & 1);
    let options = StreamOptions::new()
        .shards(shards)
        .max_shards(5)
        .segment(4096)
        .readers(8)
        .consumers(0)
        .retention(Duration::from_millis(AGE_MS))
        .checksum(first & 8 != 0)
        .placement(placement)
        .full(match evicts {
            true => FullPolicy::Evict,
            false => FullPolicy::Reject,
        });
    // Rings of two to five segments of 64 granules.
    let segments = 2 + usize::from(first >> 4 & 3);
    let clock = ManualClock::new(START_MS);
    let region = Heap::new(4096 + 5 * segments * 64 * 74).expect("memory");
    let stream = Stream::create_with(&region, options, &clock).expect("a stream");
    let other = Stream::open_with(&region, &clock).expect("the same stream");
    let streams = [stream, other];
    let of = |id: ShardId| {
        let hashes = streams[0].shard_info(id).expect("a shard").hashes;
        let row = Row::default();
        let shard = Shard {
            row,
            hashes,
            children: None,
        };
        (id.number(), shard)
    };
    let mut history = History {
        shards: streams[0].shards().map(of).collect(),
        streams: &streams,
        clock: &clock,
        input,
        readers: Vec::new(),
        claimed: Vec::new(),
        now_ms: START_MS,
        evicts,
        age_ms: match rule {
            Rule::RecordsStayLess => AGE_MS - 500,
            Rule::RecordsStayMore => AGE_MS + 500,
            _ => AGE_MS,
        },
        placement: match (rule, placement) {
            (Rule::OtherPlacement, Placement::Md5) => Placement::Xxh3,
            (Rule::OtherPlacement, _) => Placement::Md5,
            _ => placement,
        },
        count: 0,
    };
    for _ in 0..OPERATIONS_MAX {
        if history.input.is_empty() {
            break;
        }
        history.step();
        history.compare();
    }
    history.ends();
}

impl<'s> History<'s, '_> {
    fn step(&mut self) {
        match self.input.byte() % 32 {
            0..=8 => self.put(),
            9..=11 => self.batch(),
            12..=13 => self.claim(),
            14..=15 => self.finish(),
            16..=17 => self.begin(),
            18..=23 => self.read(),
            24..=25 => self.pass(),
            26 => drop(self.stream().tend().expect("a look at the others")),
            27 => self.split(),
            28 => self.merge(),
            29 => self.write(),
            30 => self.forget(),
            _ => self.seek(),
        }
    }

    fn stream(&mut self) -> &'s Tested<'s> {
        &self.streams[usize::from(self.input.byte() & 1)]
    }

    fn id(&mut self) -> u32 {
        let at = self.input.below(self.shards.len());
        *self.shards.keys().nth(at).expect("a shard")
    }

    fn row(&mut self, shard: u32) -> &mut Row {
        &mut self.shards.get_mut(&shard).expect("a shard").row
    }

    fn tail(&mut self, shard: u32) -> u64 {
        let stat = self.streams[0].stat(ShardId::from_number(shard));
        let tail = stat.expect("figures").tail.as_u64();
        let row = self.row(shard);
        assert!(tail >= row.tail, "the tail goes back");
        row.tail = tail;
        tail
    }

    /// The open shard of a hash.
    fn of(&self, hash: u128) -> u32 {
        let mut open = self.shards.iter().filter(|(_, shard)| {
            shard.children.is_none() && (shard.hashes.0..=shard.hashes.1).contains(&hash)
        });
        let found = *open.next().expect("all hashes are somewhere").0;
        assert!(open.next().is_none(), "two shards have one hash");
        found
    }

    /// A record, and where it is to go.
    fn record(&mut self) -> (String, Vec<u8>, Option<u128>, u32) {
        let kind = self.input.byte();
        let key = match kind & 15 {
            0 => "ä€𝄞".repeat(1 + self.input.below(85)),
            n => format!("key-{n}"),
        };
        let len = match kind >> 4 & 7 {
            0 => self.streams[0].data_bytes_max(),
            1 => self.input.pair() as usize % (self.streams[0].data_bytes_max() + 1),
            2 => 0,
            n => 8 + 15 * n as usize,
        };
        let hash = (kind & 128 != 0).then(|| u128::from(self.input.byte()) << 120);
        self.count += 1;
        let of = hash.unwrap_or_else(|| self.placement.hash_of(&key));
        (key, body(self.count, len), hash, self.of(of))
    }

    fn time(&mut self, shard: u32) -> u64 {
        let now_ms = self.now_ms;
        let row = self.row(shard);
        row.latest_ms = row.latest_ms.max(now_ms);
        row.latest_ms
    }

    /// It is put, of which the model is told.
    fn accepted(&mut self, shard: u32, sequence: StreamSequence, key: String, data: Vec<u8>) {
        let (sequence, time_ms) = (sequence.as_u64(), self.time(shard));
        assert!(sequence < self.tail(shard), "behind the tail");
        self.row(shard).put(Kept {
            sequence,
            key,
            data,
            time_ms,
        });
    }

    /// Whether a refusal may be.
    fn refused(&mut self, shard: u32, error: &Error) {
        let number = ShardId::from_number(shard);
        let stat = self.streams[0].stat(number).expect("figures");
        match error {
            Error::Full => assert!(!self.evicts, "an evicting stream is full"),
            Error::SegmentInUse { reading, .. } => {
                // Between two calls nobody reads in place.
                let row = self.row(shard);
                assert!(!reading && !row.held.is_empty(), "{stat:?}, {row:?}");
            }
            other => panic!("{other}"),
        }
        assert!(
            stat.bytes + 8192 >= stat.capacity_bytes,
            "{error}, and there is room: {stat:?}"
        );
    }

    fn put(&mut self) {
        let (key, data, hash, shard) = self.record();
        let before = self.tail(shard);
        let entry = StreamEntry {
            key: &key,
            data: &data,
            hash,
        };
        match self.stream().put_entry(&entry) {
            Ok(put) => {
                assert_eq!(put.shard.number(), shard);
                assert!(put.sequence.as_u64() >= before);
                self.accepted(shard, put.sequence, key, data);
            }
            Err(error) => self.refused(shard, &error),
        }
    }

    fn batch(&mut self) {
        let count = 1 + self.input.below(16);
        let records: Vec<_> = (0..count).map(|_| self.record()).collect();
        let entries: Vec<_> = records
            .iter()
            .map(|(key, data, hash, _)| StreamEntry {
                key,
                data,
                hash: *hash,
            })
            .collect();
        let mut outcomes = vec![None; count];
        let tell = |n: usize, outcome| {
            let before = Option::replace(&mut outcomes[n], outcome);
            assert!(before.is_none(), "told twice");
        };
        let stream = self.stream();
        let prepares = self.input.byte().is_multiple_of(4);
        match prepares {
            false => stream.put_batch(&entries, tell).expect("a batch"),
            true => {
                let prepared = stream.prepare(&entries, tell).expect("as many");
                prepared.commit().expect("records");
            }
        }
        drop(entries);
        let mut last = BTreeMap::new();
        for (outcome, (key, data, _, shard)) in outcomes.into_iter().zip(records) {
            let Some(outcome) = outcome else {
                assert!(prepares, "each is told");
                continue;
            };
            match outcome {
                Ok(put) => {
                    assert_eq!(put.shard.number(), shard);
                    let before = last.insert(shard, put.sequence);
                    assert!(before < Some(put.sequence), "in another order");
                    self.accepted(shard, put.sequence, key, data);
                }
                // Its shard may have room again for a later one.
                Err(Error::Full) => assert!(!self.evicts),
                Err(error) => self.refused(shard, &error),
            }
        }
    }

    /// Records of a writer that has the shard to itself, for as long as it puts.
    fn write(&mut self) {
        let id = self.id();
        let shard = ShardId::from_number(id);
        let is_open = self.shards[&id].children.is_none();
        let mut writer = match self.stream().writer(shard) {
            Ok(writer) => writer,
            Err(error) => {
                assert_eq!((error, is_open), (Error::ShardNotOpen { shard: id }, false));
                return;
            }
        };
        for _ in 0..1 + self.input.below(6) {
            let (key, data, hash, of) = self.record();
            let entry = StreamEntry {
                key: &key,
                data: &data,
                hash,
            };
            match writer.put_entry(&entry) {
                Ok(put) => {
                    assert_eq!((put.shard, of), (shard, id));
                    let other = &self.streams[usize::from(self.input.byte() & 1)];
                    let entry = StreamEntry::new("a", b"").hash(self.shards[&id].hashes.0);
                    if let Ok(put) = other.put_entry(&entry) {
                        // The segment was left for another one to be reserved.
                        assert_eq!(put.shard, shard);
                        self.accepted(id, put.sequence, "a".into(), Vec::new());
                    }
                    let time_ms = self.time(id);
                    self.row(id).put(Kept {
                        sequence: put.sequence.as_u64(),
                        key,
                        data,
                        time_ms,
                    });
                }
                Err(Error::HashNotInShard { .. }) => assert_ne!(of, id),
                Err(error) => self.refused(id, &error),
            }
        }
    }

    fn claim(&mut self) {
        if self.claimed.len() == CLAIMS_MAX {
            return self.finish();
        }
        let (key, data, _, _) = self.record();
        let shard = self.of(self.placement.hash_of(&key));
        let from = self.tail(shard);
        match self.stream().claim(&key, data.len()) {
            Ok(mut claim) => {
                claim.copy_from_slice(&data);
                let (to, time_ms) = (self.tail(shard), self.time(shard));
                let held = Held { from, to };
                self.row(shard).held.push(held);
                let record = Kept {
                    sequence: 0,
                    key,
                    data,
                    time_ms,
                };
                self.claimed.push(Claimed {
                    claim,
                    shard,
                    held,
                    record,
                });
            }
            Err(error) => self.refused(shard, &error),
        }
    }

    fn finish(&mut self) {
        if self.claimed.is_empty() {
            return;
        }
        let at = self.input.below(self.claimed.len());
        let Claimed {
            claim,
            shard,
            held,
            mut record,
        } = self.claimed.swap_remove(at);
        let commits = !self.input.byte().is_multiple_of(3);
        let Some(row) = self.shards.get_mut(&shard).map(|shard| &mut shard.row) else {
            // Its shard is gone, with all its records over: this one would be too.
            assert!(record.time_ms + self.age_ms < self.now_ms);
            return;
        };
        row.held.retain(|other| other.from != held.from);
        if commits {
            assert_eq!(*claim, record.data);
            record.sequence = claim.commit().expect("it was claimed").sequence.as_u64();
            assert!((held.from..held.to).contains(&record.sequence));
            row.put(record);
        }
    }

    fn pass(&mut self) {
        let ms = match self.input.byte() {
            byte @ 0..=63 => u64::from(byte),
            byte @ 64..=247 => 8 * u64::from(byte),
            _ => AGE_MS + 1,
        };
        self.now_ms += ms;
        self.clock.set_ms(self.now_ms);
    }

    /// A child has begun.
    fn child(&mut self, id: ShardId, hashes: (u128, u128), parents: &[u32]) {
        let latest_ms = parents.iter().map(|id| self.shards[id].row.latest_ms);
        let row = Row {
            latest_ms: latest_ms.max().unwrap_or(0),
            ..Row::default()
        };
        let shard = Shard {
            row,
            hashes,
            children: None,
        };
        let before = self.shards.insert(id.number(), shard);
        assert!(before.is_none(), "a number twice");
    }

    fn split(&mut self) {
        let id = self.id();
        let point = u128::from(self.input.byte()) << 120 | u128::from(self.input.byte()) << 2;
        let (first, last) = self.shards[&id].hashes;
        let is_open = self.shards[&id].children.is_none();
        let fits = point < last && point.checked_sub(2).is_some_and(|before| before >= first);
        match self.stream().split(ShardId::from_number(id), point) {
            Ok(children) => {
                assert!(is_open && fits, "{point:#x} of {first:#x} to {last:#x}");
                self.child(children[0], (first, point - 1), &[id]);
                self.child(children[1], (point, last), &[id]);
                let children = children.map(|child| Some(child.number()));
                self.closed(id, children);
            }
            Err(Error::ShardNotOpen { shard }) => assert_eq!((shard, is_open), (id, false)),
            Err(Error::SplitPoint) => assert!(!fits),
            Err(Error::ShardLimit { max: 5 }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn merge(&mut self) {
        let (one, other) = (self.id(), self.id());
        let [low, high] = match self.shards[&one].hashes.0 < self.shards[&other].hashes.0 {
            true => [one, other],
            false => [other, one],
        };
        let are_open = [one, other].map(|id| self.shards[&id].children.is_none());
        let [below, above] = [low, high].map(|id| self.shards[&id].hashes);
        let [a, b] = [one, other].map(ShardId::from_number);
        match self.stream().merge(a, b) {
            Ok(child) => {
                assert!(are_open == [true; 2] && below.1.checked_add(1) == Some(above.0));
                self.child(child, (below.0, above.1), &[low, high]);
                for id in [low, high] {
                    self.closed(id, [Some(child.number()), None]);
                }
            }
            Err(Error::ShardNotOpen { .. }) => assert_ne!(are_open, [true; 2]),
            Err(Error::NotAdjacent) => assert_ne!(below.1.checked_add(1), Some(above.0)),
            Err(Error::ShardLimit { max: 5 }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn closed(&mut self, id: u32, children: [Option<u32>; 2]) {
        // Its place may be taken already, by a child.
        if let Some(shard) = self.shards.get_mut(&id) {
            shard.children = Some(children);
        }
    }

    /// The figures are the model's, and so are the shards.
    fn compare(&mut self) {
        let there: Vec<u32> = self.streams[0].shards().map(ShardId::number).collect();
        let (now_ms, age_ms, evicts) = (self.now_ms, self.age_ms, self.evicts);
        self.shards.retain(|id, shard| {
            // What is claimed there would be over as well.
            let is_over = shard.row.latest_ms + age_ms < now_ms;
            let may_go = shard.children.is_some() && is_over;
            assert!(there.contains(id) || may_go, "shard {id} is gone");
            there.contains(id)
        });
        assert_eq!(there.len(), self.shards.len(), "a shard that nobody made");
        for (id, shard) in &mut self.shards {
            let number = ShardId::from_number(*id);
            let stat = self.streams[1].stat(number).expect("figures");
            let info = self.streams[1].shard_info(number).expect("a shard");
            assert_eq!(info.hashes, shard.hashes);
            assert_eq!(info.is_open(), shard.children.is_none());
            let row = &mut shard.row;
            // One that is closed and reopened gives up what is left: by its age alone.
            let age_ms = (!evicts).then_some(age_ms);
            row.forget(stat.oldest.as_u64(), now_ms, age_ms);
            // A put that was refused may have moved it on.
            assert!((row.latest_ms..=now_ms).contains(&stat.latest_ms));
            row.latest_ms = stat.latest_ms;
            let readers = self.readers.iter().filter(|r| r.shard == *id).count();
            assert!(stat.readers as usize >= readers);
            let last = row.kept.last();
            assert!(last.is_none_or(|r| r.sequence < stat.tail.as_u64()));
        }
    }

    /// All that is kept comes, once, from each shard.
    fn ends(mut self) {
        while !self.claimed.is_empty() {
            self.finish();
        }
        self.readers.clear();
        self.compare();
        for id in self.shards.keys().copied().collect::<Vec<_>>() {
            let number = ShardId::from_number(id);
            let cursor = self.streams[1].cursor(number, Start::Oldest);
            let cursor = cursor.expect("a cursor");
            let from = cursor.position().as_u64();
            self.readers.push(Reader {
                cursor,
                shard: id,
                from,
            });
            let young = |r: &&Kept| r.time_ms + self.age_ms >= self.now_ms;
            let row = &self.shards[&id].row;
            let before = row.kept.len() - row.from(from).len();
            assert!(!row.kept[..before].iter().any(|r| young(&r)), "passed over");
            let at = self.readers.len() - 1;
            while self.read_some(at, 1000) {}
            let (from, row) = (self.readers[at].from, &self.shards[&id].row);
            assert!(row.from(from).is_empty(), "not read: {:?}", row.from(from));
            self.readers.pop();
        }
    }
}
