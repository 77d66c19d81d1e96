//! What time does to a FIFO queue: holds that are over, delays that are, and messages that are too
//! old. The bounds of due times are those of standard queues (`ring::due`).

use crate::region::arena::stamp_sent_ms;
use crate::region::policy::RETENTION_MS;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::due::DUE_NONE_MS;
use crate::sync::Ordering;

/// When to look again at a message that two former holders still read, ms.
const PINNED_RETRY_MS: u64 = 10;

/// What is to be done now, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The time, ms.
    pub now_ms: u64,
    /// Messages sent before this are too old, ms.
    pub oldest_ms: u64,
    /// Who looks.
    pub owner: u32,
}

impl Store<'_> {
    /// Makes messages ready whose time is over, and drops those that are too old, in some of the
    /// blocks in which that may be so; and issues tickets for groups that become free by it.
    /// Returns how many messages became ready.
    #[cold]
    pub fn expire_groups(&self, now: &Now) -> u32 {
        let mut expired = 0;
        self.each_due(now.now_ms, |block| {
            expired += self.expire_groups_in(block, now)
        });
        expired
    }

    fn expire_groups_in(&self, index: usize, now: &Now) -> u32 {
        let block = &self.blocks()[index];
        let Some(mark) = block.due.begin_raise() else {
            return 0;
        };
        // A retention that is damaged drops nothing.
        let sound = self.head().policy.is_sound(RETENTION_MS);
        let oldest_ms = if sound { now.oldest_ms } else { 0 };
        // ORDERING: SeqCst; [due-closing] looked at after the mark, and before the words.
        block.ready.load(Ordering::SeqCst);
        let (mut least, mut expired) = (DUE_NONE_MS, 0);
        let mut slots = self.shape().valid(index);
        while slots != 0 {
            let slot = index * BLOCK_SLOTS + slots.trailing_zeros() as usize;
            slots &= slots - 1;
            // ORDERING: SeqCst; [due-closing] looked at after the mark.
            let seen = Word(self.words()[slot].load(Ordering::SeqCst));
            if !matches!(seen.phase(), Phase::Ready | Phase::Held) {
                continue;
            }
            let sent_ms = stamp_sent_ms(self.notes()[slot].stamp.load(Ordering::Relaxed));
            let held = seen.phase() == Phase::Held;
            let due_at_ms = sent_ms + seen.due_ms();
            let aged = sent_ms < oldest_ms;
            let aged_at_ms = sent_ms.saturating_add(now.now_ms.saturating_sub(oldest_ms) + 1);
            if held && due_at_ms > now.now_ms {
                least = least.min(due_at_ms); // its holder may finish it, however old it is
                if !aged {
                    least = least.min(aged_at_ms);
                }
            } else if aged && self.drop_aged_in(slot, seen, now) {
                // Gone: nothing of it is left to be due.
            } else if !aged && (!held || self.expire_in(slot, seen, now)) {
                least = least.min(aged_at_ms);
                expired += u32::from(held);
            } else {
                least = least.min(now.now_ms.saturating_add(PINNED_RETRY_MS));
            }
        }
        block.due.finish_raise(mark, least);
        expired
    }

    fn key_of(&self, slot: usize) -> [u64; 2] {
        let key = &self.links()[slot].key;
        [0, 1].map(|half| key[half].load(Ordering::Relaxed))
    }

    fn offer_key(&self, key: [u64; 2], now: &Now) {
        if let Some(group) = self.find_group(key) {
            self.offer(group, now.now_ms, now.owner);
        }
    }

    fn expire_in(&self, slot: usize, seen: Word, now: &Now) -> bool {
        let key = self.key_of(slot);
        let expired = self.expire(slot, seen);
        if expired {
            self.offer_key(key, now);
        }
        expired
    }

    fn drop_aged_in(&self, slot: usize, seen: Word, now: &Now) -> bool {
        let run = self.measured_run(slot);
        let Ok(Some(key)) = self.entomb(slot, seen, run, 0, seen.is_borrowed()) else {
            return false; // changed meanwhile, or three read it
        };
        self.head().counters.expired.fetch_add(1, Ordering::Relaxed);
        self.offer_key(key, now);
        true
    }
}
