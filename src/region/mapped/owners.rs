//! The registry of attachments: who takes part, and who has died.
//!
//! # Protocol
//!
//! An attachment is an index of the registry and a lock on that index's byte, held through this
//! attachment's own open file description. The kernel frees the lock when the last descriptor goes:
//! at death, at any instruction. `state` is *attached* or not.
//!
//! - Attach: take the lock of a free index; if the state says *attached*, its owner has died:
//!   repair first. Then set *attached*.
//! - Detach: take back what is held, set *not attached*, free the lock.
//! - Tend: an index that is *attached* and whose lock nobody holds is a dead owner's. Take the lock
//!   (so that one repairs, and nobody attaches there meanwhile), look at the state again, repair,
//!   set *not attached*, free the lock.
//!
//! A death in any of these leaves *attached* without a lock, which is where the next one begins. An
//! index is given out again only after its repair is complete, so the index alone, without an
//! epoch, is enough in state words.
//!
//! Locks of one open file description do not exclude each other, so two threads of one attachment
//! never tend at once: `tending` lets one in.

use super::attachment::Attachment;
use super::header::{ENTRIES, Entry};
use super::os;
use crate::error::Error;
use crate::region::home::Tended;
use crate::region::policy::DEAD_LETTERS;
use crate::region::store::Store;
use crate::region::word::OWNER_MAX;
use crate::sync::{Ordering, left_out};
use crate::trace::{event, span};

const ATTACHED: u64 = 1;
const EPOCH: u64 = 2;

/// Every so many times, tending also puts missing bits: about once a second under load.
const MEND_EVERY: u64 = 100;

/// The lock that serialises laying out a section and setting the region's time.
pub const SETUP_BYTE: i64 = 0;

impl Entry {
    fn is_attached(&self) -> bool {
        // ORDERING: Acquire; [attached]: pairs with the Release stores of attach and detach.
        self.state.load(Ordering::Acquire) & ATTACHED != 0
    }

    fn set(&self, attached: u64) {
        let epoch = (self.state.load(Ordering::Relaxed) & !ATTACHED).wrapping_add(EPOCH);
        // ORDERING: Release; [attached]: a repair before it is complete.
        self.state.store(epoch | attached, Ordering::Release);
    }
}

impl Attachment {
    /// Takes an index for this attachment.
    pub(super) fn attach(&mut self) -> Result<(), Error> {
        // First the indices that look free, then any that nobody has locked: those of dead owners,
        // and those that others have repaired and freed meanwhile.
        for all in [false, true] {
            for index in 1..=OWNER_MAX {
                let entry = &self.entries()[index as usize];
                let passed_over = !all && entry.is_attached();
                if passed_over || !os::try_lock(&self.file, index as i64) {
                    continue;
                }
                self.owner = index;
                if self.entries()[index as usize].is_attached() {
                    self.take_back_of_dead(index)?;
                }
                let entry = &self.entries()[index as usize];
                entry
                    .pid
                    .store(std::process::id() as u64, Ordering::Relaxed);
                self.header()
                    .entries_high
                    .fetch_max(index as u64, Ordering::Relaxed);
                entry.set(ATTACHED);
                return Ok(());
            }
        }
        Err(Error::Attachments { max: OWNER_MAX })
    }

    /// Gives the index back; what is still held becomes visible.
    pub(super) fn detach(&self) {
        if self.owner != 0 {
            self.commit_last();
            #[cfg(feature = "stream")]
            self.commit_stream_last();
            // If it cannot, whoever finds it attached and its lock free does.
            if self.take_back(self.owner).is_ok() {
                self.entries()[self.owner as usize].set(0);
            }
            os::unlock(&self.file, self.owner as i64);
        }
    }

    /// Whether anybody else is attached, as the kernel knows it.
    pub(super) fn is_attached_elsewhere(&self) -> bool {
        (1..=OWNER_MAX).any(|index| os::is_locked(&self.file, index as i64))
    }

    fn entries_used(&self) -> usize {
        let high = self.header().entries_high.load(Ordering::Relaxed);
        // A damaged mark may be too low: at least those up to the own index are looked at.
        (high.max(self.owner as u64) as usize)
            .min(OWNER_MAX as usize)
            .min(ENTRIES - 1)
            + 1
    }

    /// How many are attached.
    pub(super) fn attached(&self) -> u64 {
        let used = &self.entries()[..self.entries_used()];
        used.iter().filter(|entry| entry.is_attached()).count() as u64
    }

    /// Looks for dead owners and takes back what they held.
    pub(super) fn tend_owners(&self) -> Tended {
        self.tend(1)
    }

    /// [`tend_owners`](Self::tend_owners) for those who sleep, once in `pause` ms, so seldom: it
    /// mends the more often.
    pub(super) fn tend_at_rest(&self, pause: u64) {
        self.tend((pause / 40).clamp(1, MEND_EVERY));
    }

    /// Tends, which counts as `times` times.
    fn tend(&self, times: u64) -> Tended {
        let mut tended = Tended::default();
        if self.look_at_file().is_err() {
            return tended; // whoever asked finds it by `check`
        }
        // ORDERING: Acquire; the previous tender's repairs are complete.
        if self.tending.swap(true, Ordering::Acquire) {
            return tended;
        }
        for index in 1..self.entries_used() {
            let entry = &self.entries()[index];
            let byte = index as i64;
            let other = index as u32 != self.owner;
            if !other || !entry.is_attached() || os::is_locked(&self.file, byte) {
                continue;
            }
            if os::try_lock(&self.file, byte) {
                if entry.is_attached()
                    && let Ok(returned) = self.take_back_of_dead(index as u32)
                {
                    tended.returned += returned;
                    tended.dead += 1;
                    // The twin (see `region::repair`) keeps the dead in the registry.
                    entry.set(left_out!("registry") as u64);
                }
                os::unlock(&self.file, byte);
            }
        }
        let before = self.tended.fetch_add(times, Ordering::Relaxed);
        let turn = before / MEND_EVERY;
        if before.wrapping_add(times) / MEND_EVERY > turn {
            self.mend(turn);
        }
        // ORDERING: Release; pairs with the swap above.
        self.tending.store(false, Ordering::Release);
        tended
    }

    /// [`take_back`](Self::take_back) after a death, and tells of it.
    fn take_back_of_dead(&self, dead: u32) -> Result<u64, Error> {
        let pid = self.entries()[dead as usize].pid.load(Ordering::Relaxed);
        let _span = span!(WARN, "repair"; path = self.path.display(), owner = dead, pid = pid);
        let returned = self.take_back(dead)?;
        event!(WARN, "a participant died", returned = returned);
        Ok(returned)
    }

    /// Repairs after `dead`, whose lock is ours. Returns how many messages became visible; an error
    /// if nothing could be done.
    fn take_back(&self, dead: u32) -> Result<u64, Error> {
        let Ok(Some(place)) = self.existing() else {
            #[cfg(feature = "stream")]
            self.take_back_of_stream(dead)?;
            return Ok(0);
        };
        let store: Store<'_> = self.store_at(&place);
        let returned = store.repair(&|owner| owner == dead, self.owner);
        let mut visible = returned;
        if place.shape.fifo.is_fifo() {
            // Also in a build without FIFO queues: nobody else is told of this death.
            store.repair_groups(&|owner| owner == dead, self.owner);
            visible = store.tickets().len() as u64;
        }
        if dead != self.owner {
            self.restore_journal(&place);
        }
        // ORDERING: Release; [bereaved] the proof of this death, for whoever looks at moves.
        let bereaved = &store.head().receive.bereaved;
        bereaved.store(1, Ordering::Release);
        let moves = store.head().policy.get(DEAD_LETTERS) != 0;
        let wake = visible.max(u64::from(moves)); // somebody has to look at the moves
        if wake != 0 {
            self.rouse_sleepers(&store, wake.min(u32::MAX as u64) as u32);
        }
        Ok(returned)
    }

    /// Wakes whoever waits for `count` messages, in all processes; and as many futures of this one.
    pub(super) fn rouse_sleepers(&self, store: &Store<'_>, count: u32) {
        let event = &store.head().event;
        if event.has_sleepers() {
            event.wake(|word| crate::region::futex_wake(word, count, true));
        }
        #[cfg(feature = "async")]
        self.wakers.wake(count);
    }

    /// Puts hints right that a participant took away and then stopped with, or that are damaged:
    /// see `region::repair`.
    fn mend(&self, turn: u64) {
        if let Ok(Some(place)) = self.existing() {
            let store = self.store_at(&place);
            store.mend(self.owner, turn);
            if place.shape.fifo.is_fifo() {
                store.mend_in_turn(turn, self.owner);
                if store.head().event.has_sleepers() {
                    self.rouse_sleepers(&store, store.tickets().len() as u32);
                }
            }
        }
    }
}
