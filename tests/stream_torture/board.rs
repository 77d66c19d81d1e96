//! The board: memory that all processes share, so that it survives every death. On it stand what
//! each life of a writer has begun and been told, how far each reader is, and the faults.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Shards of the stream.
pub const SHARDS: usize = 4;
/// Readers, each of all shards.
pub const READERS: usize = 4;
/// Lives in a round at most.
pub const LIVES: usize = 1 << 13;

/// One shard in one life of a writer: its records have the numbers from 0 on.
#[repr(C)]
pub struct Written {
    /// How many were begun: raised before a put.
    pub begun: AtomicU64,
    /// How many were acknowledged: raised after it.
    pub told: AtomicU64,
}

/// How far a reader is in a shard. It outlives the reader's processes.
#[repr(C)]
pub struct Progress {
    /// The record that was read last, or the place of the next one if [`AT`] is set; 0: none.
    pub place: AtomicU64,
    /// The record that is being counted. Who comes after a death looks whether it was.
    pub doing: AtomicU64,
    /// How often it was told that records were lost.
    pub losses: AtomicU64,
    /// What it was told to have lost, bytes.
    pub lost_bytes: AtomicU64,
    /// What records that are missing take at least, bytes.
    pub missed_bytes: AtomicU64,
    /// Of each life: `{ losses:32, next:32 }`, the number that comes next, and how many losses were
    /// told when the last one came.
    pub next: [AtomicU64; LIVES],
}

/// In [`Progress::place`].
pub const AT: u64 = 1 << 63;

/// Faults, and other things that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// A record that came.
    Read,
    /// A record that is missing and was told to be lost.
    Lost,
    Missing,
    Doubled,
    Reordered,
    Damaged,
    /// A call was refused that must not be, or for too long.
    Stuck,
}

pub const COUNTS: usize = 7;

#[repr(C)]
pub struct Board {
    /// Work is over.
    pub stop: AtomicU64,
    /// Writers wait for the slowest reader.
    pub throttled: AtomicU64,
    /// The next call of a writer (0) or reader (1) is its last: at which instruction it dies; 0:
    /// none.
    pub ambush: [AtomicU64; 2],
    pub counts: [AtomicU64; COUNTS],
    /// The furthest record of each shard that somebody was told of.
    pub tails: [AtomicU64; SHARDS],
    pub written: [[Written; SHARDS]; LIVES],
    pub progress: [[Progress; SHARDS]; READERS],
}

impl Board {
    /// Maps one, shared with every child forked later; it stays as long as the process.
    pub fn new() -> &'static Self {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh anonymous mapping of the board's size.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Self>(), prot, flags, -1, 0) };
        assert!(at != libc::MAP_FAILED, "no memory for the board");
        // SAFETY: mapped above and never unmapped; zero bytes are a valid board of atomics.
        unsafe { &*(at as *const Self) }
    }

    /// Forgets a round, but for the counts.
    pub fn clear(&self, lives: usize) {
        self.stop.store(0, SeqCst);
        let zero = |word: &AtomicU64| word.store(0, SeqCst);
        self.ambush.iter().chain(&self.tails).for_each(zero);
        for written in self.written[..lives].iter().flatten() {
            [&written.begun, &written.told].into_iter().for_each(zero);
        }
        for of in self.progress.iter().flatten() {
            let words = [
                &of.place,
                &of.doing,
                &of.losses,
                &of.lost_bytes,
                &of.missed_bytes,
            ];
            words.into_iter().chain(&of.next[..lives]).for_each(zero);
        }
    }

    pub fn stops(&self) -> bool {
        self.stop.load(SeqCst) != 0
    }

    pub fn count(&self, what: Count, more: u64) {
        self.counts[what as usize].fetch_add(more, SeqCst);
    }

    pub fn counted(&self, what: Count) -> u64 {
        self.counts[what as usize].load(SeqCst)
    }

    /// Counts a fault, and says so if it is one of the first.
    pub fn fault(&self, what: Count, text: &str) {
        if self.counted(what) < 8 {
            eprintln!("stream torture: {what:?}: {text}");
        }
        self.count(what, 1);
    }

    pub fn has_faults(&self) -> bool {
        let faults = [
            Count::Missing,
            Count::Doubled,
            Count::Reordered,
            Count::Damaged,
            Count::Stuck,
        ];
        faults.into_iter().any(|fault| self.counted(fault) != 0)
    }

    /// A call of the library, at one of whose instructions its process may die: a writer's (0) or a
    /// reader's (1).
    pub fn inside<T>(&self, role: usize, call: impl FnOnce() -> T) -> T {
        let ambush = &self.ambush[role];
        let instruction = match ambush.load(SeqCst) {
            0 => 0,
            _ => ambush.swap(0, SeqCst),
        };
        match instruction {
            0 => call(),
            n => super::ambush::through(n, None, call),
        }
    }
}
