//! Images of what a crash may have left, and what is found in them.

use crate::common::{Dir, Numbers};
use crate::disk::{mixed, restart};
use crate::subject::Subject;
use crate::trace::{self, End};
use ringmain::Mapped;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;

/// Where a region and its companion lie.
#[derive(Clone, Copy)]
pub struct Files<'d> {
    dir: &'d Dir,
    /// What the companion's name ends with.
    end: &'static str,
}

impl<'d> Files<'d> {
    pub fn new(dir: &'d Dir, end: &'static str) -> Self {
        Self { dir, end }
    }

    pub fn region(&self) -> PathBuf {
        self.dir.file("crash.ring")
    }

    pub fn companion(&self) -> PathBuf {
        self.dir.file(&format!("crash.ring{}", self.end))
    }

    pub fn image(&self) -> Image {
        Image {
            region: std::fs::read(self.region()).expect("the region"),
            companion: std::fs::read(self.companion()).expect("its companion"),
        }
    }

    pub fn put(&self, image: &Image) {
        std::fs::write(self.region(), &image.region).expect("room for an image");
        std::fs::write(self.companion(), &image.companion).expect("room for an image");
    }
}

/// Files as they may be found after a crash.
#[derive(Debug, Clone)]
pub struct Image {
    pub region: Vec<u8>,
    pub companion: Vec<u8>,
}

/// What was found in images, added up.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub images: u64,
    /// Messages or records that had to be there.
    pub durable: u64,
    /// Of these, not there; or a shard, or a consumer.
    pub lost: u64,
    /// Records that are not there, with others before and behind them.
    pub holes: u64,
    /// Not whole, never sent or put, or at another's place; or damage that was told where there is
    /// none.
    pub damaged: u64,
    /// Messages that are there although gone for good.
    pub resurrected: u64,
    /// There more than once.
    pub twice: u64,
    /// Images that were not opened, read and filled in time.
    pub stuck: u64,
}

/// The names of its numbers.
pub const COLUMNS: [&str; 8] = [
    "images",
    "durable",
    "lost",
    "holes",
    "damaged",
    "resurrected",
    "twice",
    "stuck",
];
const NUMBERS: usize = COLUMNS.len();

impl Tally {
    pub fn numbers(&self) -> [u64; NUMBERS] {
        [
            self.images,
            self.durable,
            self.lost,
            self.holes,
            self.damaged,
            self.resurrected,
            self.twice,
            self.stuck,
        ]
    }

    fn of(numbers: [u64; NUMBERS]) -> Self {
        let [
            images,
            durable,
            lost,
            holes,
            damaged,
            resurrected,
            twice,
            stuck,
        ] = numbers;
        Self {
            images,
            durable,
            lost,
            holes,
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
        self.lost + self.holes + self.damaged + self.resurrected + self.twice + self.stuck
    }
}

/// Checks an image in a child of its own; what is wrong, for people.
pub fn check<S: Subject>(
    files: Files<'_>,
    image: &Image,
    numbers: u64,
    look: impl FnOnce(&mut Looker<'_>),
) -> (Tally, String) {
    files.put(image);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let pid = trace::fork(|| {
        let mut looker = Looker {
            files,
            numbers: Numbers(numbers),
            tally: Tally::default(),
            words: String::new(),
        };
        look(&mut looker);
        answer(writer, &looker.tally, &looker.words);
        0
    });
    let end = trace::reap(pid, S::LIMIT);
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

/// Who looks at an image: opens it as the machine would that starts again.
pub struct Looker<'d> {
    files: Files<'d>,
    pub numbers: Numbers,
    pub tally: Tally,
    /// What is wrong, for people.
    pub words: String,
}

impl Looker<'_> {
    pub fn region(&self) -> Vec<u8> {
        std::fs::read(self.files.region()).expect("the region")
    }

    pub fn open(&self) -> Mapped {
        Mapped::open(self.files.region()).expect("a region that opens")
    }

    /// The machine stops again: pages of the region as they were at `before` or are now.
    pub fn stop(&mut self, before: &[u8]) {
        let mut region = mixed(&[before.to_vec(), self.region()], &mut self.numbers);
        restart(&mut region, &mut self.numbers);
        std::fs::write(self.files.region(), region).expect("room for an image");
    }

    /// Recovers now and then, and the power goes in it or after it.
    pub fn stop_in_recovery(&mut self, image: &Image) {
        let mut before = image.region.clone();
        for _ in 0..self.numbers.below(3) {
            let now = self.region();
            drop(self.open());
            self.stop(&before);
            before = now;
        }
    }
}
