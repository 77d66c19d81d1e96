//! Looks at an image: opens it as the machine would that starts again, and says what is wrong.

use crate::common::{Dir, Numbers};
use crate::disk::{mixed, restart};
use crate::tale::{Expected, body, seed, seed_of};
use crate::trace::{self, End};
use ringmain::{Durability, Error, Mapped, Queue};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{PipeReader, PipeWriter, Read, Write as _};
use std::time::Duration;

/// The longest that opening and emptying an image may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Files as they may be found after a crash.
#[derive(Debug, Clone)]
pub struct Image {
    pub region: Vec<u8>,
    pub journal: Vec<u8>,
}

impl Image {
    pub fn put(&self, dir: &Dir) {
        std::fs::write(dir.file("q.ring"), &self.region).expect("room for an image");
        std::fs::write(dir.file("q.ring.journal"), &self.journal).expect("room for an image");
    }
}

/// What was found in images, added up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub images: u64,
    /// Messages that had to be there.
    pub durable: u64,
    /// Of these, not there.
    pub lost: u64,
    /// Not whole, or never sent.
    pub damaged: u64,
    /// There although gone for good.
    pub resurrected: u64,
    /// There more than once.
    pub twice: u64,
    /// Images that were not opened, emptied and filled in time.
    pub stuck: u64,
}

const NUMBERS: usize = 7;

impl Tally {
    pub fn numbers(&self) -> [u64; NUMBERS] {
        let Self {
            images,
            durable,
            lost,
            damaged,
            resurrected,
            twice,
            stuck,
        } = *self;
        [images, durable, lost, damaged, resurrected, twice, stuck]
    }

    fn of(numbers: [u64; NUMBERS]) -> Self {
        let [images, durable, lost, damaged, resurrected, twice, stuck] = numbers;
        Self {
            images,
            durable,
            lost,
            damaged,
            resurrected,
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
        self.lost + self.damaged + self.resurrected + self.twice + self.stuck
    }
}

/// What is wrong with an image, for people.
pub type Words = String;

/// Checks an image in a child of its own.
pub fn check(dir: &Dir, image: &Image, expected: &Expected, numbers: u64) -> (Tally, Words) {
    image.put(dir);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let pid = trace::fork(|| {
        let mut looker = Looker {
            dir,
            numbers: Numbers(numbers),
            tally: Tally::default(),
            words: String::new(),
        };
        looker.look(image, expected);
        answer(writer, &looker.tally, &looker.words);
        0
    });
    let end = trace::reap(pid, LIMIT);
    let (mut tally, mut words) = match end {
        End::Exited(0) => read(&mut reader),
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
    let mut bytes: Vec<u8> = tally
        .numbers()
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    bytes.extend(words.bytes().take(4000)); // fits a pipe, so nobody waits
    writer.write_all(&bytes).expect("a pipe");
}

fn read(reader: &mut PipeReader) -> (Tally, Words) {
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
    words: Words,
}

impl Looker<'_> {
    fn region(&self) -> Vec<u8> {
        std::fs::read(self.dir.file("q.ring")).expect("the region")
    }

    /// The machine stops again: pages of the region as they were at `before` or are now.
    fn stop(&mut self, before: &[u8]) {
        let mut region = mixed(&[before.to_vec(), self.region()], &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        std::fs::write(self.dir.file("q.ring"), region).expect("room for an image");
    }

    fn open(&self) -> Mapped {
        Mapped::open(self.dir.file("q.ring")).expect("a region that opens")
    }

    fn look(&mut self, image: &Image, expected: &Expected) {
        let mut before = image.region.clone();
        for _ in 0..self.numbers.below(3) {
            // Recovery, and the power goes in it or after it.
            let now = self.region();
            drop(self.open());
            self.stop(&before);
            before = now;
        }
        let filled = {
            let region = self.open();
            let queue = Queue::open(&region).expect("a queue that opens");
            self.drain(
                &queue,
                |looker, seed| looker.expect(seed, expected),
                expected.safe.len(),
            );
            before = self.region();
            // A queue that was left empty shows what a full one would cover.
            match self.numbers.below(4) {
                0 => HashSet::new(),
                _ => self.fill(&queue),
            }
        };
        if filled.is_empty() || self.numbers.below(3) == 0 {
            self.stop(&before);
            let region = self.open();
            let queue = Queue::open(&region).expect("a queue that opens");
            let again = Expected {
                gone: &(&expected.known | &expected.gone) - &filled,
                known: filled.clone(),
                safe: filled,
            };
            self.drain(
                &queue,
                |looker, seed| looker.expect(seed, &again),
                again.safe.len(),
            );
        }
    }

    fn expect(&mut self, seed: u64, expected: &Expected) -> bool {
        if expected.gone.contains(&seed) {
            self.tally.resurrected += 1;
            let _ = write!(self.words, "resurrected {seed:x}; ");
        } else if !expected.known.contains(&seed) {
            self.tally.damaged += 1;
            let _ = write!(self.words, "never sent {seed:x}; ");
        }
        expected.safe.contains(&seed)
    }

    /// Receives and deletes everything; of what comes, `is_safe` says whether it had to.
    fn drain(
        &mut self,
        queue: &Queue<&Mapped>,
        is_safe: impl Fn(&mut Self, u64) -> bool,
        safe: usize,
    ) {
        let process = queue.at(Durability::Process).expect("a level");
        let (mut seeds, mut ids) = (HashSet::new(), HashSet::new());
        let mut found = 0;
        loop {
            let batch = process.receive_batch(10).expect("a receive");
            if batch.is_empty() {
                break;
            }
            for received in &batch {
                let Some(seed) = seed_of(received.body()) else {
                    self.tally.damaged += 1;
                    let _ = write!(self.words, "not whole: {:?}; ", received.id());
                    continue;
                };
                found += usize::from(is_safe(self, seed));
                if !seeds.insert(seed) || !ids.insert(received.id()) {
                    self.tally.twice += 1;
                    let _ = write!(self.words, "twice: {seed:x}; ");
                }
            }
            for outcome in batch.delete() {
                outcome.expect("a delete");
            }
        }
        let lost = safe.saturating_sub(found) as u64;
        self.tally.durable += safe as u64;
        self.tally.lost += lost;
        if lost != 0 {
            let _ = write!(self.words, "{lost} lost of {safe}; ");
        }
        queue.sync().expect("a sync");
        let stat = queue.stat().expect("figures");
        assert_eq!(
            (stat.slots_free, stat.damaged, stat.expired),
            (stat.slots, 0, 0),
            "an emptied queue is empty"
        );
    }

    /// Fills the queue to the last slot, for good.
    fn fill(&mut self, queue: &Queue<&Mapped>) -> HashSet<u64> {
        let process = queue.at(Durability::Process).expect("a level");
        let mut seeds = HashSet::new();
        loop {
            let seed = seed((1 << 39) + seeds.len() as u64, 8);
            match process.send(&body(seed)) {
                Ok(_) => assert!(seeds.insert(seed)),
                Err(Error::Full) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(seeds.len(), queue.capacity(), "every slot can be used");
        queue.sync().expect("a sync");
        seeds
    }
}
