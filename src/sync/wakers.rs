//! A bounded set of wakers, for futures that wait in this process.
//!
//! # Protocol
//!
//! A future takes a slot (a bit of `taken`), puts its waker there, sets its bit of `waiting`, and
//! looks at the queue once more. Who has something to tell clears the lowest bit of `waiting` at or
//! after the one served last, takes that slot's waker and wakes it. `busy` keeps a slot's waker for
//! one at a time; neither side waits for it: a waker that is just being put belongs to a future
//! that will look at the queue after that, and a future that finds its slot busy is being woken.
//!
//! `[waiting-bit]`: the future sets its bit and then looks; the sender publishes and then reads
//! `waiting`. One of the two sees the other.
//!
//! Where futures wait for different things, each *notes* behind its slot what it waits for, before
//! it looks; and whoever has something to tell wakes those whose notes say so. A note that is read
//! late is that of the slot's last future: it wakes one for nothing, or leaves one out that will
//! look at the queue after that.

use super::{AtomicU64, Ordering, UnsafeCell, const_fn, store_load, store_load_after_rmw};
use core::task::Waker;

/// How many futures may wait at one region in one process.
#[cfg(not(target_os = "none"))]
pub const WAKERS: usize = 64;
/// How many futures may wait at one region.
#[cfg(target_os = "none")]
pub const WAKERS: usize = 4;

const ALL: u64 = u64::MAX >> (64 - WAKERS);

/// The set.
#[derive(Debug)]
pub struct WakerSet {
    taken: AtomicU64,
    waiting: AtomicU64,
    busy: AtomicU64,
    served: AtomicU64,
    #[cfg(feature = "stream")]
    notes: [AtomicU64; WAKERS],
    wakers: [UnsafeCell<Option<Waker>>; WAKERS],
}

// SAFETY: a waker is touched only by who has set its bit of `busy`.
unsafe impl Sync for WakerSet {}
// SAFETY: as above; wakers are Send.
unsafe impl Send for WakerSet {}

impl WakerSet {
    const_fn! {
        /// An empty set.
        pub fn new() -> Self {
            Self {
                taken: AtomicU64::new(0),
                waiting: AtomicU64::new(0),
                busy: AtomicU64::new(0),
                served: AtomicU64::new(0),
                #[cfg(feature = "stream")]
                notes: [const { AtomicU64::new(0) }; WAKERS],
                wakers: [const { UnsafeCell::new(None) }; WAKERS],
            }
        }
    }

    /// Takes a slot; `None` if all are taken.
    pub fn take(&self) -> Option<usize> {
        let mut seen = self.taken.load(Ordering::Relaxed);
        loop {
            let bit = !seen & ALL & (!seen & ALL).wrapping_neg();
            if bit == 0 {
                return None;
            }
            // ORDERING: Acquire; the slot's last future is done with it.
            match self.taken.compare_exchange(
                seen,
                seen | bit,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(bit.trailing_zeros() as usize),
                Err(now) => seen = now,
            }
        }
    }

    /// Puts a waker into a slot. The caller then looks at the queue once more.
    pub fn put(&self, slot: usize, waker: &Waker) {
        match self.replace(slot, Some(waker.clone())) {
            Some(old) => drop(old),
            None => waker.wake_by_ref(), // being woken at this moment: poll again
        }
        // ORDERING: SeqCst; [waiting-bit] set before the caller looks.
        self.waiting.fetch_or(1 << slot, Ordering::SeqCst);
        // ORDERING: what the caller looks at may be a mark that it reads by a relaxed load.
        store_load();
    }

    /// Gives a slot back. Whether it had been woken, or had never waited.
    pub fn give_back(&self, slot: usize) -> bool {
        let bit = 1 << slot;
        let woken = self.waiting.fetch_and(!bit, Ordering::AcqRel) & bit == 0;
        drop(self.replace(slot, None));
        // ORDERING: Release; pairs with `take`.
        self.taken.fetch_and(!bit, Ordering::Release);
        woken
    }

    /// Wakes up to `count` futures, and returns how many it has. Call it after what they wait for
    /// was published by a SeqCst read-modify-write.
    #[inline(always)]
    pub fn wake(&self, count: u32) -> u32 {
        store_load_after_rmw();
        // ORDERING: SeqCst; [waiting-bit] read after the publication.
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        self.wake_some(count)
    }

    /// Notes what the future of a slot waits for. The caller then looks, behind a fence.
    #[cfg(feature = "stream")]
    pub fn note(&self, slot: usize, note: u64) {
        // ORDERING: Relaxed; the bits order it, or the future's look does: see above.
        self.notes[slot].store(note, Ordering::Relaxed);
    }

    /// The notes of the futures that wait.
    #[cfg(all(feature = "stream", feature = "mapped"))]
    pub fn notes(&self) -> impl Iterator<Item = u64> {
        let waiting = self.waiting.load(Ordering::SeqCst);
        let slots = (0..WAKERS).filter(move |slot| waiting & 1 << slot != 0);
        slots.map(|slot| self.notes[slot].load(Ordering::Relaxed))
    }

    /// Wakes the futures with such notes, and returns how many there were. Call it behind a fence.
    #[cfg(feature = "stream")]
    pub fn wake_noted(&self, is_meant: impl Fn(u64) -> bool) -> u32 {
        let waiting = self.waiting.load(Ordering::SeqCst);
        let slots = (0..WAKERS).filter(|slot| waiting & 1 << slot != 0);
        let meant = slots.filter(|slot| is_meant(self.notes[*slot].load(Ordering::Relaxed)));
        meant.map(|slot| u32::from(self.wake_slot(slot))).sum()
    }

    /// Whether any future waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    #[cold]
    fn wake_some(&self, count: u32) -> u32 {
        let mut woken = 0;
        for _ in 0..count {
            let waiting = self.waiting.load(Ordering::SeqCst);
            if waiting == 0 {
                break;
            }
            let after = waiting & (u64::MAX << (self.served.load(Ordering::Relaxed) & 63));
            let slot = if after == 0 { waiting } else { after }.trailing_zeros() as usize;
            self.served.store(slot as u64 + 1, Ordering::Relaxed);
            woken += u32::from(self.wake_slot(slot));
        }
        woken
    }

    /// Wakes the future of a slot, unless somebody else does.
    fn wake_slot(&self, slot: usize) -> bool {
        let bit = 1 << slot;
        if self.waiting.fetch_and(!bit, Ordering::AcqRel) & bit == 0 {
            return false;
        }
        if let Some(Some(waker)) = self.replace(slot, None) {
            waker.wake();
        }
        true
    }

    /// Exchanges a slot's waker; `None` if somebody else has it in hand.
    fn replace(&self, slot: usize, waker: Option<Waker>) -> Option<Option<Waker>> {
        let bit = 1 << slot;
        // ORDERING: Acquire; [waker-slot] pairs with the Release below.
        if self.busy.fetch_or(bit, Ordering::Acquire) & bit != 0 {
            return None;
        }
        // SAFETY: the busy bit was clear and is ours, so nobody else touches the cell.
        let old =
            self.wakers[slot].with_mut(|cell| unsafe { core::mem::replace(&mut *cell, waker) });
        // ORDERING: Release; [waker-slot].
        self.busy.fetch_and(!bit, Ordering::Release);
        Some(old)
    }
}
