//! Looking at a queue, and emptying it.

use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::region::repair::extent;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;
use core::time::Duration;

/// A queue's figures: a scan, so approximate while others are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Slots in all.
    pub slots: u64,
    /// Slots that are free.
    pub slots_free: u64,
    /// Bytes of a slot: 32 of head, the rest of body.
    pub slot_bytes: u64,
    /// Longest body, bytes.
    pub body_bytes_max: u64,
    /// Visibility timeout.
    pub visibility: Duration,
    /// Messages set aside because their bytes failed their checksum, ever; after a power loss since
    /// then, and places in the journal where something is missing (docs/durability.md).
    pub damaged: u64,
    /// Messages dropped because they were older than the retention, ever.
    pub expired: u64,
    /// Participants attached.
    pub attachments: u64,
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// The queue's figures.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used.
    pub fn stat(&self) -> Result<QueueStats, Error> {
        self.region.check()?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let used = extent(&store);
        let words = &store.words[..(used * BLOCK_SLOTS).min(store.words.len())];
        let (mut visible, mut in_flight, mut free) =
            (0, 0, (store.words.len() - words.len()) as u64);
        for (index, slot) in words.iter().enumerate() {
            let word = Word(slot.load(Ordering::Acquire));
            match word.phase() {
                Phase::Free => free += 1,
                Phase::Ready => visible += 1,
                Phase::Held => {
                    let stamp = store.slot(index).stamp.load(Ordering::Relaxed);
                    let due = crate::region::arena::stamp_sent_ms(stamp) + word.due_ms();
                    // Another word by now: the stamp may be another message's, or body bytes.
                    let same = slot.load(Ordering::Acquire) == word.0;
                    if same && due <= now_ms {
                        visible += 1
                    } else {
                        in_flight += 1
                    }
                }
                Phase::Claimed => {}
            }
        }
        Ok(QueueStats {
            visible,
            in_flight,
            slots: store.words.len() as u64,
            slots_free: free,
            slot_bytes: store.shape.slot_bytes as u64,
            body_bytes_max: store.shape.body_bytes_max as u64,
            visibility: Duration::from_millis(self.place.visibility_ms),
            damaged: store.head.seldom.damaged.load(Ordering::Relaxed),
            expired: store.head.seldom.expired.load(Ordering::Relaxed),
            attachments: self.region.attachments(),
        })
    }

    /// Removes every message that was sent before this call, those in flight included, and perhaps
    /// some that are sent meanwhile. Returns how many.
    ///
    /// A message that somebody reads in place goes too; its bytes stay until the reader is done.
    /// Only one that its holder and two former holders read at this moment stays.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used.
    pub fn purge(&self) -> Result<u64, Error> {
        self.region.check()?;
        let store = self.store();
        let used = (extent(&store) * BLOCK_SLOTS).min(store.words.len());
        let purged = (0..used).map(|index| self.purge_slot(index) as u64).sum();
        #[cfg(feature = "mapped")]
        store.mark_all();
        self.make_durable()?;
        Ok(purged)
    }

    fn purge_slot(&self, index: usize) -> bool {
        let store = self.store();
        loop {
            let seen = Word(store.words[index].load(Ordering::Acquire));
            if !matches!(seen.phase(), Phase::Ready | Phase::Held) {
                return false;
            }
            let run = store.measured_run(index);
            let reader = seen.is_borrowed();
            match store.remove(index, seen, run, 0, reader, self.region.owner()) {
                Ok(Some(freed)) => {
                    if freed {
                        store.put_free(index, run);
                    }
                    return true;
                }
                Ok(None) => {}
                Err(_) => return false, // three read it: see above
            }
        }
    }
}
