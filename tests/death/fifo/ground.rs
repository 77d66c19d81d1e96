//! The ground of a round on a FIFO queue.

use super::super::board::{Board, Entry, Time, seeds, state};
use super::super::ground::{Image, ONE, RETENTION_MS, VISIBILITY, journal_of, open_region};
use super::super::stage::{Stage, seed_in};
use super::super::tracer::{Stop, Traced, Way, told};
use super::image::Parts;
use super::ledger::send;
use ringmain::{Durability, FifoOptions, FifoQueue, Mapped, Received};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

pub type Orders = FifoQueue<Arc<Mapped>, Time>;
pub type Held<'q> = Received<'q, Arc<Mapped>, Time>;

/// Bytes of the region: two blocks, of which the second lacks some slots.
const REGION_BYTES: u64 = 76 << 10;
/// Deduplication ids: more than slots.
pub const IDS: u64 = 128;
pub const WINDOW_MS: u64 = 300_000;

/// The message that the survivor holds all the while, and its group.
pub const OWN: u64 = 19;
pub const OWN_GROUP: u32 = 99;

fn options() -> FifoOptions {
    FifoOptions::new()
        .typical_body(32)
        .visibility(VISIBILITY)
        .retention(Duration::from_millis(RETENTION_MS))
        .dedup_interval(Duration::from_millis(WINDOW_MS))
        .dedup_ids(IDS)
}

/// With a journal: see `super::super::ground::journaled`.
fn journaled() -> FifoOptions {
    options()
        .retention(Duration::from_secs(14 * 86_400))
        .durability(Durability::Interval(Duration::from_secs(3600)))
}

pub fn open(board: &'static Board, path: &Path) -> Orders {
    FifoQueue::open_with(open_region(path), Time(board)).expect("the queue opens")
}

/// What the ledger knows of a message before a round.
struct Known {
    seed: u64,
    numbers: [u32; 4],
    sequence: u64,
}

/// A ground that can be laid again and again.
pub struct Ground {
    bytes: Vec<u8>,
    journal: Vec<u8>,
    messages: Vec<Known>,
    now_ms: u64,
}

impl Ground {
    pub fn new(
        board: &'static Board,
        path: &Path,
        journaled: bool,
        prepare: fn(&Maker<'_>) -> Option<Image>,
    ) -> Self {
        board.clear();
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(journal_of(path));
        let region = Arc::new(Mapped::create(path, REGION_BYTES).expect("a region"));
        let options = match journaled {
            true => self::journaled(),
            false => options(),
        };
        drop(FifoQueue::create_with(region, options, Time(board)).expect("a queue"));
        let queue = open(board, path);
        queue.tend().expect("tended");
        let maker = Maker { board, path, queue };
        let image = prepare(&maker);
        if journaled {
            maker.queue.sync().expect("on the disk");
        }
        drop(maker);
        let image = image.unwrap_or_else(|| Image::of(path));
        std::fs::remove_file(path).expect("removed");
        let journal = std::fs::read(journal_of(path)).unwrap_or_default();
        let _ = std::fs::remove_file(journal_of(path));
        let known = |(seed, entry): (u64, &Entry)| Known {
            seed,
            numbers: [&entry.state, &entry.len, &entry.group, &entry.id].map(|n| n.load(SeqCst)),
            sequence: entry.sequence.load(SeqCst),
        };
        Self {
            bytes: image.bytes().to_vec(),
            journal,
            messages: board.named().map(known).collect(),
            now_ms: board.now_ms(),
        }
    }

    /// Lays it at `path`: file, ledger and time.
    pub fn lay(&self, board: &Board, path: &Path) {
        board.clear();
        board.set_ms(self.now_ms);
        for known in &self.messages {
            let entry = board.known(known.seed);
            let words = [&entry.state, &entry.len, &entry.group, &entry.id];
            for (word, number) in words.into_iter().zip(known.numbers) {
                word.store(number, SeqCst);
            }
            entry.sequence.store(known.sequence, SeqCst);
        }
        let _ = std::fs::remove_file(path);
        std::fs::write(path, &self.bytes).expect("room in shared memory");
        let _ = std::fs::remove_file(journal_of(path));
        if !self.journal.is_empty() {
            std::fs::write(journal_of(path), &self.journal).expect("room in shared memory");
        }
    }
}

/// Who prepares a ground.
pub struct Maker<'p> {
    pub board: &'static Board,
    pub path: &'p Path,
    pub queue: Orders,
}

impl Maker<'_> {
    /// Sends a message whose id is its seed.
    pub fn send(&self, seed: u64, group: u32, len: usize) {
        let sent = send(self.board, &self.queue, (seed, group, seed as u32), len);
        assert!(!sent.expect("room").is_duplicate, "the first with its id");
    }

    /// Sends what the survivor will hold; before all others, so that it comes first.
    pub fn own(&self) {
        self.send(OWN, OWN_GROUP, ONE);
    }

    /// Receives all of a group that has just been sent to, and nothing else is there.
    pub fn take(&self, max: usize) -> Vec<Held<'_>> {
        let held: Vec<_> = self
            .queue
            .receive_batch(max)
            .expect("received")
            .into_iter()
            .collect();
        assert!(!held.is_empty(), "something is there");
        held
    }

    /// Sends a message, receives it, and deletes it: its group is empty, its id remembered.
    pub fn spend(&self, seed: u64, group: u32) {
        self.send(seed, group, ONE);
        for held in self.take(1) {
            assert_eq!(seed_in(held.body()), seed, "nothing else is there");
            held.delete().expect("deleted");
        }
        let gone = state::DELETING | state::DELETED | state::CAME;
        self.board.known(seed).add(gone);
    }

    /// Somebody dies in an operation when the memory is as `when` says.
    pub fn dies(&self, operate: fn(&Stage<'_>), when: fn(&Parts) -> bool) {
        let stage = Stage {
            board: self.board,
            path: self.path,
            receipts: &[],
        };
        let dying = Traced::start(|| {
            operate(&stage);
            0
        });
        let dying = dying.unwrap_or_else(|status| panic!("the dying one {}", told(status)));
        let step = Way {
            steps: 1,
            ..Way::default()
        };
        while !when(&Parts::of(self.path)) {
            let stop = dying.advance(step, None);
            assert!(matches!(stop, Stop::At(_)), "it passes that by");
        }
        dying.kill();
    }

    /// The ground as it is now, with all who are attached dead but for the maker, who leaves.
    pub fn image(&self) -> Option<Image> {
        let mut image = Image::of(self.path);
        image.leave(1);
        image.forget_processes();
        Some(image)
    }
}

/// Two groups with three and two messages, and the survivor's own.
pub fn two_groups(maker: &Maker<'_>) -> Option<Image> {
    maker.own();
    for (seed, group) in (seeds::GROUND..).zip([1, 1, 1, 2, 2]) {
        maker.send(seed, group, ONE);
    }
    None
}
