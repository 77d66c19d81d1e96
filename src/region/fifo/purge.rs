//! Emptying a FIFO queue: its messages, the window of their deduplication ids, and attempts.

use super::layout::UNORDERED;
use super::list::Member;
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;

impl Store<'_> {
    /// The greatest number that a purge has forgotten. Messages up to that are not received, but
    /// dropped, as far as a call knows that looks at it once: it may have come before a purge at
    /// the same time.
    #[inline(always)]
    pub(super) fn forgotten(&self) -> u64 {
        self.fifo_head().forgotten.load(Ordering::Relaxed)
    }

    /// Whether a message with this number can be received: it has one, and no purge has been since
    /// that was given out.
    pub(super) fn is_to_be_had(&self, number: u64) -> bool {
        let forgotten = self.forgotten();
        number & UNORDERED == 0 && (number > forgotten || self.is_wild(forgotten))
    }

    /// Whether no purge has been, or none can have forgotten so much: the memory is damaged.
    #[cold]
    #[inline(never)]
    fn is_wild(&self, forgotten: u64) -> bool {
        forgotten == 0 || forgotten > self.latest_number()
    }

    /// The latest number that was given out.
    fn latest_number(&self) -> u64 {
        self.fifo_head().sequence.load(Ordering::Acquire) & !UNORDERED
    }

    /// The oldest message of a group that no purge has forgotten: those before it are dropped.
    pub(super) fn oldest_kept(&self, group: usize, owner: u32) -> Option<Member> {
        loop {
            let oldest = self.oldest(group, owner)?;
            if self.is_to_be_had(oldest.sequence) || !self.drop_forgotten(&oldest) {
                return Some(oldest);
            }
        }
    }

    /// Drops a message that was sealed when the purge had passed its slot. `false`: it is in
    /// flight, three read it, or its memory is damaged.
    #[cold]
    #[inline(never)]
    fn drop_forgotten(&self, member: &Member) -> bool {
        let (slot, seen) = (member.slot, member.word);
        let free = match seen.phase() {
            Phase::Ready => true,
            Phase::Held => self.is_delayed(member),
            _ => false,
        };
        let run = self.measured_run(slot);
        member.sequence & UNORDERED == 0
            && free
            && self.entomb(slot, seen, run, 0, seen.is_borrowed()).is_ok()
    }

    /// Removes the messages that have a sequence number by now, but for those that three read, and
    /// forgets their ids. Returns how many. One that is about to get a number stays, and its id is
    /// remembered. One that has its number and is about to be sent is not to be had when it is, and
    /// is dropped by whoever comes to it.
    ///
    /// # Progress
    ///
    /// Lock-free; a scan of the slots that have been used, and of the groups' entries.
    pub fn purge_groups(&self, now_ms: u64, owner: u32) -> u64 {
        let head = self.fifo_head();
        let last = self.latest_number();
        let used = (extent(self) * BLOCK_SLOTS).min(self.words().len());
        let purged = (0..used)
            .filter(|&slot| self.purge_slot(slot, last))
            .count() as u64;
        // ORDERING: AcqRel; after the messages: an id is remembered as long as its message is
        // there.
        head.forgotten.fetch_max(last, Ordering::AcqRel);
        self.forget_attempts(owner);
        for group in 0..self.groups().elements.len() {
            self.offer(group, now_ms, owner); // which takes out what is at the head
        }
        purged
    }

    fn purge_slot(&self, slot: usize, last: u64) -> bool {
        loop {
            let seen = Word(self.words()[slot].load(Ordering::Acquire));
            let number = self.links()[slot].sequence.load(Ordering::Acquire);
            if !matches!(seen.phase(), Phase::Ready | Phase::Held)
                || number & UNORDERED != 0
                || number > last
            {
                return false;
            }
            let run = self.measured_run(slot);
            // The number is this message's if the word is still the same.
            match self.entomb(slot, seen, run, 0, seen.is_borrowed()) {
                Ok(Some(_)) => return true,
                Ok(None) => {}
                Err(_) => return false,
            }
        }
    }
}
