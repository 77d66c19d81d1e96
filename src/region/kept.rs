//! The words in a region that say what of its stream is on the disk: how far, by which commit, in
//! which slots and ledger of the mirror. `mapped::mirror` tells the protocol.
//!
//! # Edges
//!
//! - `[put-before-begun]`, `[pending]`: told in `mapped::mirror`.
//! - `[commit-lock]`: who has the lock sees all that was stored by those who had it, also by one
//!   who died with it: the kernel orders giving it back, or the death, before the next one gets it.
//!   So what only such participants read is Relaxed, but where a death between two stores may leave
//!   the later one without the earlier.
//! - `[mirror-kept]`: the slot and the first boundary of a block are stored before `kept`, Release;
//!   who loads `kept`, Acquire, has ones that are at least as new. A committer that died between
//!   leaves a slot that has more than `kept` says, never less. So the next one, which writes to the
//!   other slot, does not write over what is durable.
//! - `[mirror-durable]`: `durable` is stored, Release, behind each `kept` that the commit moved;
//!   who loads it, Acquire, sees them.
//! - `[mirror-ledger]`: a ledger's number is stored before what it says of floors, names, changes,
//!   consumers and days, each Release; who loads one of these, Acquire, and then the number, has
//!   that of this ledger or of a later one. A committer that died between leaves what makes the
//!   next one write a ledger, and it writes over the other copy than the one that is whole.

use crate::ring::log::Position;
use crate::sync::{AtomicU32, AtomicU64, Padded};
#[cfg(feature = "mapped")]
use crate::sync::{Ordering, store_load};

/// What is known of the mirror once.
#[derive(Debug)]
#[repr(C)]
pub struct KeepHead {
    /// The futex word of who commits from time to time: 1 while there is something to commit.
    pub pending: Padded<[AtomicU32; 2]>,
    /// What commits have done.
    pub notes: Padded<KeepNotes>,
}

/// What commits have done.
#[derive(Debug)]
#[repr(C)]
pub struct KeepNotes {
    /// The latest commit that was begun: `{ life:24, count:40 }`.
    pub begun: AtomicU64,
    /// The latest that has everything that was there when it began.
    pub durable: AtomicU64,
    /// The latest ledger on the disk.
    pub ledger: AtomicU64,
    /// The word of the last change of shards that it has.
    pub change: AtomicU64,
    /// The word of the roster that it has.
    pub roster: AtomicU64,
    /// A sum of the days of demand that it has.
    pub days: AtomicU64,
}

/// What is known there of a place for a shard.
#[derive(Debug)]
#[repr(C)]
pub struct KeptShard {
    /// Up to where it is on the disk.
    pub kept: AtomicU64,
    /// Its floor in the latest ledger.
    pub floor: AtomicU64,
    /// Its name there.
    pub name: AtomicU64,
    /// The first boundary in the block of `kept`; anything else if it is not known.
    pub first: AtomicU64,
    /// Which of its two slots has what is durable of that block.
    pub slot: AtomicU64,
    /// Holes that were found when it was made again last.
    pub damaged: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 2],
}

const _: () = {
    assert!(size_of::<KeptShard>() == 64);
    #[cfg(not(target_os = "none"))]
    assert!(size_of::<KeepHead>() == 256);
};

impl KeepHead {
    /// Of an empty mirror.
    pub fn new() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            pending: Padded([AtomicU32::new(0), AtomicU32::new(0)]),
            notes: Padded(KeepNotes {
                begun: word(),
                durable: word(),
                ledger: word(),
                change: word(),
                roster: word(),
                days: word(),
            }),
        }
    }
}

impl KeptShard {
    /// Of an empty mirror.
    pub fn new() -> Self {
        let word = AtomicU64::new;
        let first = || word(Position::FIRST.0);
        Self {
            kept: first(),
            floor: first(),
            name: word(0),
            first: first(),
            slot: word(1),
            damaged: word(0),
            reserved: [word(0), word(0)],
        }
    }
}

#[cfg(feature = "mapped")]
impl KeepHead {
    /// The number of a commit that has all that the caller has put, and whatever he knows of.
    pub fn position(&self) -> u64 {
        // ORDERING: Relaxed behind a fence; [put-before-begun]: what was put is stored, and then it
        // is looked which commit has begun.
        store_load();
        self.notes.begun.load(Ordering::Relaxed).wrapping_add(1)
    }

    /// Begins a commit: its number. The commit lock is the caller's.
    pub fn begin(&self) -> u64 {
        // ORDERING: Relaxed before a fence; [put-before-begun]: it has begun, and then it is looked
        // at the shards.
        let number = self.notes.begun.fetch_add(1, Ordering::Relaxed);
        store_load();
        number.wrapping_add(1)
    }

    /// The greatest commit that is on the disk.
    pub fn durable_position(&self) -> u64 {
        // ORDERING: Acquire; [mirror-durable].
        self.notes.durable.load(Ordering::Acquire)
    }

    /// Notes that a commit is on the disk, with all that was there when it began.
    pub fn end(&self, number: u64) {
        // ORDERING: Release; [mirror-durable].
        self.notes.durable.store(number, Ordering::Release);
    }

    /// Whether the timed committer has been told. Behind what was put, and a fence.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        // ORDERING: Relaxed; [pending], behind a fence.
        self.pending.0[0].load(Ordering::Relaxed) != 0
    }
}

#[cfg(feature = "mapped")]
impl KeepNotes {
    /// The number of the latest ledger that is on the disk. The commit lock is the caller's.
    pub fn ledger(&self) -> u64 {
        // ORDERING: Relaxed; [commit-lock].
        self.ledger.load(Ordering::Relaxed)
    }

    /// Notes that a ledger is on the disk: first its number. What it says is to follow, of each
    /// shard by [`KeptShard::note_ledger`], and then by [`end_ledger`](Self::end_ledger). Who dies
    /// in between leaves what makes the next one write a ledger, and over the other copy.
    ///
    /// The commit lock is the caller's, or nobody else uses the stream.
    pub fn begin_ledger(&self, number: u64) {
        // ORDERING: Relaxed before stores with Release; [mirror-ledger].
        self.ledger.store(number, Ordering::Relaxed);
    }

    /// Notes which words of the roster and of the change of shards it has.
    pub fn end_ledger(&self, roster: u64, change: u64) {
        // ORDERING: Release, both; [mirror-ledger].
        self.roster.store(roster, Ordering::Release);
        self.change.store(change, Ordering::Release);
    }
}

#[cfg(feature = "mapped")]
impl KeptShard {
    /// Notes floor and name that a ledger has. What was given up before it was on the disk, or
    /// another shard's, is passed over: it goes on at the floor.
    pub fn note_ledger(&self, floor: Position, name: u64) {
        // ORDERING: Release, both; [mirror-ledger].
        self.floor.store(floor.0, Ordering::Release);
        if self.position() < floor {
            self.note(floor, floor, None);
        }
        self.name.store(name, Ordering::Release);
    }

    /// Up to where it is on the disk.
    pub fn position(&self) -> Position {
        // ORDERING: Acquire; [mirror-kept].
        Position(self.kept.load(Ordering::Acquire))
    }

    /// The slot that has what is durable of the block of [`position`](Self::position), which the
    /// caller has loaded before, and the first boundary in that block.
    pub fn block(&self) -> (u64, Position) {
        // ORDERING: Relaxed; [mirror-kept], behind the load of `kept`.
        let slot = self.slot.load(Ordering::Relaxed);
        (slot, Position(self.first.load(Ordering::Relaxed)))
    }

    /// Notes that more is on the disk. The commit lock is the caller's.
    pub fn note(&self, kept: Position, first: Position, slot: Option<u64>) {
        self.first.store(first.0, Ordering::Relaxed);
        if let Some(slot) = slot {
            self.slot.store(slot, Ordering::Relaxed);
        }
        // ORDERING: Release; [mirror-kept]: last.
        self.kept.store(kept.0, Ordering::Release);
    }
}
