//! What time does to a FIFO queue: holds that are over, delays that are, and messages that are too
//! old. The bounds of due times are those of standard queues (`ring::due`).

use crate::region::store::Store;
use crate::region::word::Word;
use crate::sync::Ordering;

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
        let times = (now.now_ms, now.oldest_ms);
        let dropped = |slot, seen| self.drop_aged_in(slot, seen, now);
        let expired = |slot, seen| self.expire_in(slot, seen, now);
        // Who receives goes by tickets: there are no bits to put.
        self.raise_block(index, times, dropped, expired, |_| {})
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
