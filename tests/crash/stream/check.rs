//! Looks at an image: opens it as the machine would that starts again, and says what is wrong.

use super::tale::{Ledger, Told};
use super::work::{Still, key_of, names, read};
use crate::common::{Dir, Numbers};
use crate::disk::{mixed, restart};
use crate::tale::{body, seed};
use crate::trace::{self, End};
use ringmain::{Mapped, Stream, StreamEntry};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{PipeReader, PipeWriter, Read, Write as _};
use std::time::Duration;

/// The longest that opening, reading and filling an image may take.
const LIMIT: Duration = Duration::from_secs(60);
/// Records that are put into an image that was read.
const MORE: u64 = 12;

/// Files as they may be found after a crash.
#[derive(Debug, Clone)]
pub struct Image {
    pub region: Vec<u8>,
    pub mirror: Vec<u8>,
}

impl Image {
    pub fn put(&self, dir: &Dir) {
        std::fs::write(dir.file("s.ring"), &self.region).expect("room for an image");
        std::fs::write(dir.file("s.ring.mirror"), &self.mirror).expect("room for an image");
    }
}

/// What was found in images, added up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub images: u64,
    /// Records that had to be there.
    pub durable: u64,
    /// Of these, not there; or a shard, or a consumer.
    pub lost: u64,
    /// Not there, with others before and behind them.
    pub holes: u64,
    /// Not whole, never put, or at another's place; or damage that was told where there is none.
    pub damaged: u64,
    /// There more than once.
    pub twice: u64,
    /// Images that were not opened, read and filled in time.
    pub stuck: u64,
}

const NUMBERS: usize = 7;

impl Tally {
    pub fn numbers(&self) -> [u64; NUMBERS] {
        let Self {
            images,
            durable,
            lost,
            holes,
            damaged,
            twice,
            stuck,
        } = *self;
        [images, durable, lost, holes, damaged, twice, stuck]
    }

    fn of([images, durable, lost, holes, damaged, twice, stuck]: [u64; NUMBERS]) -> Self {
        Self {
            images,
            durable,
            lost,
            holes,
            damaged,
            twice,
            stuck,
        }
    }

    pub fn add(&mut self, other: &Self) {
        let (mine, others) = (self.numbers(), other.numbers());
        *self = Self::of(std::array::from_fn(|at| mine[at] + others[at]));
    }

    /// Faults of any kind.
    pub fn faults(&self) -> u64 {
        self.lost + self.holes + self.damaged + self.twice + self.stuck
    }
}

/// Checks an image in a child of its own; what is wrong, for people.
pub fn check(dir: &Dir, image: &Image, expected: &Ledger, numbers: u64) -> (Tally, String) {
    check_by(dir, image, numbers, |looker| looker.look(image, expected))
}

/// Checks what processes have left that are gone, on a machine that has not stopped.
pub fn check_alive(dir: &Dir, image: &Image, expected: &Ledger) -> (Tally, String) {
    check_by(dir, image, 0, |looker| looker.look_alive(expected))
}

fn check_by(
    dir: &Dir,
    image: &Image,
    numbers: u64,
    look: impl FnOnce(&mut Looker<'_>),
) -> (Tally, String) {
    image.put(dir);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let pid = trace::fork(|| {
        let mut looker = Looker {
            dir,
            numbers: Numbers(numbers),
            tally: Tally::default(),
            words: String::new(),
        };
        look(&mut looker);
        answer(writer, &looker.tally, &looker.words);
        0
    });
    let end = trace::reap(pid, LIMIT);
    let (mut tally, mut words) = match end {
        End::Exited(0) => answered(&mut reader),
        _ => (Tally::default(), format!("stuck: {end:?}; ")),
    };
    tally.images = 1;
    tally.stuck += u64::from(end != End::Exited(0));
    if tally.faults() != 0 && words.is_empty() {
        words = format!("{tally:?}");
    }
    (tally, words)
}

fn answer(mut writer: PipeWriter, tally: &Tally, words: &str) {
    let numbers = tally.numbers();
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    bytes.extend(words.bytes().take(4000)); // fits a pipe, so nobody waits
    writer.write_all(&bytes).expect("a pipe");
}

fn answered(reader: &mut PipeReader) -> (Tally, String) {
    let mut bytes = vec![0; 8192];
    let len = reader.read(&mut bytes).expect("a pipe");
    let (numbers, words) = bytes[..len].split_at(8 * NUMBERS);
    let number = |at: usize| u64::from_le_bytes(numbers[8 * at..][..8].try_into().expect("eight"));
    let words = String::from_utf8_lossy(words).into_owned();
    (Tally::of(std::array::from_fn(number)), words)
}

struct Looker<'d> {
    dir: &'d Dir,
    numbers: Numbers,
    tally: Tally,
    words: String,
}

impl Looker<'_> {
    fn region(&self) -> Vec<u8> {
        std::fs::read(self.dir.file("s.ring")).expect("the region")
    }

    /// The machine stops again: pages of the region as they were at `before` or are now.
    fn stop(&mut self, before: &[u8]) {
        let mut region = mixed(&[before.to_vec(), self.region()], &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        std::fs::write(self.dir.file("s.ring"), region).expect("room for an image");
    }

    fn open(&self) -> Mapped {
        Mapped::open(self.dir.file("s.ring")).expect("a region that opens")
    }

    fn look(&mut self, image: &Image, expected: &Ledger) {
        let mut before = image.region.clone();
        for _ in 0..self.numbers.below(3) {
            // Recovery, and the power goes in it or after it.
            let now = self.region();
            drop(self.open());
            self.stop(&before);
            before = now;
        }
        let region = self.open();
        let stream = Stream::open_with(&region, Still).expect("a stream that opens");
        let found = self.read(&stream);
        self.compare(&found, expected);
        self.compare_shards(&stream, expected);
        self.compare_names(&names(&stream), expected);
        before = self.region();
        let put = self.fill(&stream);
        let floors = floors(&stream);
        drop(region);
        self.stop(&before);
        let region = self.open();
        let stream = Stream::open_with(&region, Still).expect("a stream that opens");
        let again: HashSet<Told> = self.read(&stream).into_iter().collect();
        // Everything that was there and was not given up since, and what came.
        for record @ (shard, at, _) in found.into_iter().chain(put) {
            self.tally.durable += 1;
            if !again.contains(&record) && floors.get(&shard).is_none_or(|floor| at >= *floor) {
                self.tally.lost += 1;
                let _ = write!(self.words, "lost the second time: {shard} {at:x}; ");
            }
        }
    }

    fn look_alive(&mut self, expected: &Ledger) {
        let region = self.open();
        let stream = Stream::open_with(&region, Still).expect("a stream that opens");
        let found = self.read(&stream);
        self.compare(&found, expected);
        self.compare_shards(&stream, expected);
        self.compare_names(&names(&stream), expected);
    }

    fn read(&mut self, stream: &Stream<&Mapped, Still>) -> Vec<Told> {
        let holes = stream.shards().filter_map(|shard| stream.stat(shard).ok());
        let holes: u64 = holes.map(|stats| stats.damaged).sum();
        if holes != 0 {
            self.tally.damaged += 1;
            let _ = write!(self.words, "{holes} holes told; ");
        }
        read(stream).unwrap_or_else(|what| {
            self.tally.damaged += 1;
            let _ = write!(self.words, "{what}; ");
            Vec::new()
        })
    }

    /// What is there against what has to be, exactly.
    fn compare(&mut self, found: &[Told], expected: &Ledger) {
        let mut shards: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        let mut seeds = HashSet::new();
        for &(shard, at, seed) in found {
            let twice = shards.entry(shard).or_default().insert(at, seed).is_some();
            if twice | !seeds.insert(seed) {
                self.tally.twice += 1;
                let _ = write!(self.words, "twice: {shard} {at:x}; ");
            }
            let told = expected.shards.get(&shard).and_then(|told| told.get(&at));
            if !expected.known.contains(&seed) || told.is_some_and(|told| told.seed != seed) {
                self.tally.damaged += 1;
                let _ = write!(self.words, "never put there: {shard} {at:x} {seed:x}; ");
            }
        }
        let none = BTreeMap::new();
        for (shard, told) in &expected.shards {
            let found = shards.get(shard).unwrap_or(&none);
            let ends = found.keys().next().zip(found.keys().next_back());
            let (_, floor) = expected.places[*shard as usize % expected.places.len()];
            let lost_before = self.tally.lost;
            for (at, entry) in told {
                let has_to = entry.safe && *at >= floor;
                self.tally.durable += u64::from(has_to);
                if found.contains_key(at) {
                    continue;
                }
                if has_to {
                    self.tally.lost += 1;
                } else if ends.is_some_and(|(first, last)| first < at && at < last) {
                    self.tally.holes += 1;
                    let _ = write!(self.words, "a hole at {shard} {at:x}; ");
                }
            }
            let lost = self.tally.lost - lost_before;
            if lost != 0 {
                let _ = write!(
                    self.words,
                    "{lost} of shard {shard} are lost, which begins at {floor:x}: there is \
                     {ends:x?}, told was {:x?} to {:x?}; ",
                    told.keys().next(),
                    told.keys().next_back()
                );
            }
        }
    }

    /// Each shard that was opened for good is there, or a later one of its place; unless its place
    /// was taken for another one.
    fn compare_shards(&mut self, stream: &Stream<&Mapped, Still>, expected: &Ledger) {
        let places = expected.places.len() as u64;
        let there: Vec<u64> = stream.shards().map(|id| u64::from(id.number())).collect();
        for shard in &expected.opened {
            let later = |other: &u64| other % places == shard % places && other >= shard;
            let (now, _) = expected.places[(shard % places) as usize];
            if now <= *shard && !there.iter().any(later) {
                self.tally.lost += 1;
                let _ = write!(self.words, "shard {shard} is lost; ");
            }
        }
        let mut open: Vec<(u128, u128)> = stream
            .shards()
            .filter_map(|shard| stream.shard_info(shard).ok())
            .filter(ringmain::ShardInfo::is_open)
            .map(|info| info.hashes)
            .collect();
        open.sort_unstable();
        // Each hash in one of them: behind the last one there is none.
        let mut next = Some(0);
        let in_turn = open.iter().all(|(first, last)| {
            let is_next = next == Some(*first);
            next = last.checked_add(1);
            is_next
        });
        if !in_turn || next.is_some() {
            self.tally.damaged += 1;
            let _ = write!(self.words, "the open shards are not all hashes; ");
        }
    }

    fn compare_names(&mut self, there: &[u64], expected: &Ledger) {
        for (name, state) in expected.names.iter().enumerate() {
            let is = there.contains(&(name as u64));
            if state.open == 0 && is != state.is {
                self.tally.lost += 1;
                let _ = write!(self.words, "consumer {name}: {is}; ");
            }
        }
    }

    /// Puts some more, which are on the disk then.
    fn fill(&mut self, stream: &Stream<&Mapped, Still>) -> Vec<Told> {
        let mut put = Vec::new();
        for n in 0..MORE {
            let hash = u128::from(self.numbers.next()) << 64;
            let seed = seed(0xff_0000 + n, 8 + self.numbers.below(900) as usize);
            let (key, data) = (key_of(seed), body(seed));
            let outcome = stream
                .at(ringmain::Durability::BeforeOk)
                .expect("a level")
                .put_entry(&StreamEntry::new(&key, &data).hash(hash));
            match outcome {
                Ok(at) => put.push((u64::from(at.shard.number()), at.sequence.as_u64(), seed)),
                Err(ringmain::Error::Full) => {}
                Err(other) => panic!("{other}"),
            }
        }
        put
    }
}

/// Where the shards begin.
fn floors(stream: &Stream<&Mapped, Still>) -> BTreeMap<u64, u64> {
    let stats = stream.shards().filter_map(|shard| stream.stat(shard).ok());
    stats
        .map(|stats| (u64::from(stats.shard.number()), stats.oldest.as_u64()))
        .collect()
}
