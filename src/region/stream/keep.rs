//! What the region of a stream that survives the machine knows of its mirror, and what the mirror
//! is told beside the records: `mapped::mirror` tells the protocol.
//!
//! The words here are changed by who has the commit lock alone, but for `pending`. As everything in
//! a region they are not believed: wherever they point, a commit stays inside the stream's memory.
//! `region::kept` tells of them.

#[cfg(feature = "mapped")]
use super::layout::GRANULE_BYTES;
use super::layout::StreamShape;
#[cfg(feature = "mapped")]
use super::layout::{BLOCK_GRANULES, ShardHead, StreamHead, TIME_MS_MAX};
#[cfg(feature = "mapped")]
use super::record::note;
#[cfg(feature = "mapped")]
use super::site::{Places, Shard};
#[cfg(feature = "mapped")]
use crate::pod::{Pod, Zeroable};
use crate::region::kept::{KeepHead, KeptShard};
#[cfg(feature = "mapped")]
use crate::ring::log::{Pin, Position};
#[cfg(feature = "mapped")]
use crate::ring::roster::{SeatState, Word};
#[cfg(feature = "mapped")]
use crate::ring::shards::{Name, Shards, State, Table};
#[cfg(feature = "mapped")]
use crate::sync::AtomicU64;
#[cfg(feature = "mapped")]
use crate::sync::Ordering;

/// Lays out what is known of an empty mirror.
///
/// # Safety
///
/// Both parts are the caller's alone, aligned, and as long as the shape says.
pub(super) unsafe fn format(head: *mut u8, shards: *mut u8, shape: &StreamShape) {
    // SAFETY: the caller's promise.
    unsafe { (head as *mut KeepHead).write(KeepHead::new()) };
    for place in 0..shape.places {
        // SAFETY: as above.
        unsafe {
            (shards as *mut KeptShard)
                .add(place)
                .write(KeptShard::new())
        };
    }
}

/// The words of a stream that survives the machine.
#[cfg(feature = "mapped")]
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// Those that are there once.
    pub head: &'a KeepHead,
    /// Those of each place.
    pub shards: &'a [KeptShard],
}

/// The head of a ledger. `docs/file-format-stream.md` draws it, and what follows it.
#[cfg(feature = "mapped")]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LedgerHead {
    /// xxh3-64 of what follows, seeded with the mirror's seed.
    pub check: u64,
    /// Which ledger.
    pub number: u64,
    /// The latest commit that was begun.
    pub begun: u64,
    /// The word of the change of shards.
    pub change: u64,
    /// The word of the roster.
    pub roster: u64,
    /// When demand was measured last, ms.
    pub measured_ms: u64,
    /// Zero.
    pub reserved: [u64; 2],
}

/// A place for a shard in a ledger.
#[cfg(feature = "mapped")]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LedgerPlace {
    /// The words of its card, the name first.
    pub card: [u64; 8],
    /// The oldest segment; where the log goes on, if there is no shard.
    pub floor: u64,
    /// Up to where it was on the disk.
    pub kept: u64,
    /// The latest time of a record, ms.
    pub latest_ms: u64,
    /// Segments that were given up.
    pub evicted: u64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// A consumer's seat in a ledger.
#[cfg(feature = "mapped")]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LedgerSeat {
    /// Its word; its generation alone counts, if nobody is registered there.
    pub word: u64,
    /// What is told beside the name.
    pub about: u64,
    /// The name.
    pub name: [u64; super::NAME_WORDS],
}

#[cfg(feature = "mapped")]
const _: () = assert!(
    size_of::<LedgerHead>() == 64
        && size_of::<LedgerPlace>() == 128
        && size_of::<LedgerSeat>() == 144
);

#[cfg(feature = "mapped")]
impl LedgerPlace {
    /// What the place was called.
    pub const fn name(&self) -> Name {
        Name(self.card[0])
    }

    /// Whether there is a shard; else its place was not used, or prepared.
    pub const fn has_shard(&self) -> bool {
        matches!(self.name().state(), State::Open | State::Closed)
    }
}

#[cfg(feature = "mapped")]
impl<'a> Places<'a> {
    /// The words of its mirror; `None` if it has none.
    pub fn keep(&self) -> Option<Keep<'a>> {
        let place = self.place();
        if !place.shape.kept {
            return None;
        }
        // SAFETY: by the promise of `new`; both parts are where the offsets say, and consist of
        // atomics.
        unsafe {
            let head = place.base.add(place.offsets.keep) as *const KeepHead;
            let shards = place.base.add(place.offsets.kept) as *const KeptShard;
            Some(Keep {
                head: &*head,
                shards: core::slice::from_raw_parts(shards, place.shape.places),
            })
        }
    }

    fn stream_head(&self) -> &'a StreamHead {
        // SAFETY: by the promise of `new`; the head is first, and consists of atomics.
        unsafe { &*(self.place().base as *const StreamHead) }
    }

    /// The random name of the stream.
    pub fn nonce(&self) -> u64 {
        self.stream_head().config.nonce.load(Ordering::Relaxed)
    }

    /// The word that marks the stream as deleted.
    pub fn deleted(&self) -> &'a AtomicU64 {
        &self.stream_head().notes.deleted
    }

    /// The shard in a place, whichever it is.
    pub fn shard(&self, place: usize) -> Option<Shard<'a>> {
        // SAFETY: by the promise of `new`.
        unsafe { Shard::new(self.place(), place, 0) }
    }

    /// The word of the last change of shards.
    pub fn change_word(&self) -> u64 {
        // ORDERING: Acquire; what the change has made is there.
        self.stream_head().change.word.load(Ordering::Acquire)
    }

    /// The word of the roster.
    pub fn roster_word(&self) -> u64 {
        // ORDERING: Acquire; [roster-idle].
        self.stream_head().notes.roster.load(Ordering::Acquire)
    }

    /// The words of demand that are the stream's and not a place's: when it was measured, and days.
    pub fn days(&self) -> &'a [AtomicU64] {
        let place = self.place();
        // SAFETY: by the promise of `new`; that many words are where the offset says.
        unsafe {
            let words = place.base.add(place.offsets.demand) as *const AtomicU64;
            core::slice::from_raw_parts(words, super::demand::DEMAND_WORDS)
        }
    }

    /// Everything that was measured up to the tail is passed over.
    fn measured(&self, number: usize) -> &'a AtomicU64 {
        let place = self.place();
        let index = super::demand::DEMAND_WORDS + number.min(place.shape.places - 1);
        // SAFETY: as above; there is one for each place behind those.
        unsafe { &*(place.base.add(place.offsets.demand) as *const AtomicU64).add(index) }
    }

    /// What a ledger says of a place, as it is now. Whether a change was made meanwhile the caller
    /// asks.
    pub fn ledger_place(&self, number: usize) -> Option<LedgerPlace> {
        let shard = self.shard(number)?;
        let (head, log) = (shard.head(), shard.log());
        let card = head.card.words().map(|word| word.load(Ordering::Acquire));
        let mut place = LedgerPlace {
            card,
            floor: log.floor().0,
            kept: self
                .keep()?
                .shards
                .get(number)?
                .kept
                .load(Ordering::Relaxed),
            latest_ms: head.writers.latest_ms.load(Ordering::Relaxed),
            evicted: head.writers.evicted.load(Ordering::Relaxed),
            reserved: [0; 4],
        };
        if !place.has_shard() {
            let tail = log.tail(log.hint()).ok()?;
            // Behind all that was there: as `reopen` has it, or will.
            place.floor = match log.step(tail) {
                crate::ring::log::Step::End => log.shape.next(tail)?.0,
                _ => log.shape.start(tail).0,
            };
        }
        Some(place)
    }

    /// Makes a place what a ledger says: its card, and figures. The log is the caller's to restore.
    pub fn restore_place(&self, number: usize, place: &LedgerPlace, latest_ms: u64) {
        let Some(shard) = self.shard(number) else {
            return;
        };
        let head: &ShardHead = shard.head();
        for (word, value) in head.card.words().into_iter().zip(place.card) {
            word.store(value, Ordering::Relaxed);
        }
        let latest_ms = latest_ms.min(TIME_MS_MAX);
        head.writers.latest_ms.store(latest_ms, Ordering::Relaxed);
        head.writers.evicted.store(place.evicted, Ordering::Relaxed);
        self.measured(number)
            .store(shard.log().hint().0, Ordering::Relaxed);
    }

    /// The seats of consumers, for a ledger: those that are registered.
    pub fn ledger_seat(&self, number: usize) -> Option<LedgerSeat> {
        let seat = self.roster().seats.get(number)?;
        Some(match seat.read() {
            Some((word, name, about)) => LedgerSeat {
                word: word.0,
                about,
                name,
            },
            None => LedgerSeat {
                word: seat.word().generation() << 12,
                about: 0,
                name: [0; super::NAME_WORDS],
            },
        })
    }

    /// Makes a seat what a ledger says.
    pub fn restore_seat(&self, number: usize, from: &LedgerSeat) {
        if let Some(seat) = self.roster().seats.get(number) {
            let is_registered = Word(from.word).state() == SeatState::Registered;
            let vacant = Word(from.word).generation() << 12;
            seat.write(&from.name, from.about);
            let word = if is_registered { from.word } else { vacant };
            seat.word.store(word, Ordering::Relaxed);
        }
    }

    /// Makes the words of changes what a ledger says: nothing is on its way.
    pub fn restore_head(&self, head: &LedgerHead) {
        let stream = self.stream_head();
        let idle = head.change & !((1 << 12) - 1);
        stream.change.word.store(idle, Ordering::Relaxed);
        let idle = head.roster & !((1 << 10) - 1);
        stream.notes.roster.store(idle, Ordering::Relaxed);
    }

    /// Completes a split or merge that is on its way. Whether there was one; an error if it cannot
    /// be completed now.
    pub fn complete(&self) -> Result<bool, crate::ring::log::Refusal> {
        Shards(self).complete()
    }

    /// The card of a place as its name is now.
    pub fn name(&self, number: usize) -> Option<Name> {
        Some(self.card(number)?.name())
    }
}

#[cfg(feature = "mapped")]
impl<'a> Shard<'a> {
    /// The pin of who reads for the mirror.
    pub fn keeper(&self) -> Option<&'a Pin> {
        self.all_pins().get(self.shape().pins)
    }

    /// Copies granules to where the mirror is written from.
    ///
    /// # Safety
    ///
    /// The caller has their segment pinned, or the stream to itself; what begins there is committed
    /// or padding.
    pub unsafe fn copy_out(&self, index: u32, into: &mut [u8]) {
        let granules = (into.len() / GRANULE_BYTES) as u32;
        // SAFETY: inside the shard's memory, as `address` checks. Nobody writes them before the pin
        // goes, by the caller's promise.
        let bytes = unsafe {
            core::slice::from_raw_parts(
                self.address(index, granules),
                granules as usize * GRANULE_BYTES,
            )
        };
        into[..bytes.len()].copy_from_slice(bytes);
    }

    /// Puts granules back.
    ///
    /// # Safety
    ///
    /// Nobody else uses the stream.
    pub unsafe fn copy_in(&self, index: u32, from: &[u8]) {
        let granules = (from.len() / GRANULE_BYTES) as u32;
        let address = self.address(index, granules);
        // SAFETY: inside the shard's memory, as `address` checks; the caller's promise.
        unsafe {
            address.copy_from_nonoverlapping(from.as_ptr(), granules as usize * GRANULE_BYTES)
        };
    }

    /// Enters a record that was put back in the index: its time, ms.
    ///
    /// # Safety
    ///
    /// As [`copy_in`](Self::copy_in).
    pub unsafe fn restore_note(&self, at: Position) -> u64 {
        let mut head = [0; GRANULE_BYTES];
        // SAFETY: by the caller's promise.
        unsafe { self.copy_out(at.index(), &mut head) };
        let mut about = [0; 8];
        about.copy_from_slice(&head[8..16]);
        let time_ms = u64::from_le_bytes(about) & TIME_MS_MASK;
        if let Some(word) = self.index().get((at.index() / BLOCK_GRANULES) as usize) {
            note(word, at, time_ms);
        }
        time_ms
    }
}

#[cfg(feature = "mapped")]
const TIME_MS_MASK: u64 = (1 << 44) - 1;
