//! Emptying a queue, at most once a minute.

use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::region::policy::PURGED_MS;
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;
use crate::trace::event;

/// From the beginning of one purge to that of the next it is at least this long, ms.
pub const PURGE_EVERY_MS: u64 = 60_000;

/// How long a purge has to wait at `now_ms` when the last one began at `last_ms` (0: never), ms.
///
/// A last time that lies far ahead is one from before the clock was set back: it keeps nobody from
/// purging. One that is ahead by less than a minute still counts, since clocks of two participants
/// tick one after the other; so nobody waits for two minutes.
const fn wait_ms(last_ms: u64, now_ms: u64) -> u64 {
    let ahead = last_ms.saturating_sub(now_ms) >= PURGE_EVERY_MS;
    if last_ms == 0 || ahead {
        return 0;
    }
    (last_ms + PURGE_EVERY_MS).saturating_sub(now_ms)
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// Removes every message that was sent before this call, those in flight included, and perhaps
    /// some that are sent meanwhile. Returns how many.
    ///
    /// A message that somebody reads in place goes too; its bytes stay until the reader is done.
    /// Only one that its holder and two others read at this moment stays.
    ///
    /// A queue is purged at most once a minute, by whomever: the minute counts from the beginning
    /// of the last purge, also if its caller died in it.
    ///
    /// # Errors
    ///
    /// [`Error::PurgedRecently`] says how long to wait; nothing was removed. [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Error, Heap, Queue, QueueOptions};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// queue.send_batch(&["a", "b", "c"])?;
    /// assert_eq!(queue.purge(), Ok(3));
    /// assert!(matches!(queue.purge(), Err(Error::PurgedRecently { wait_ms: 1..=60_000 })));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn purge(&self) -> Result<u64, Error> {
        self.check()?;
        let store = self.store();
        self.admit_purge(&store)?;
        let used = (extent(&store) * BLOCK_SLOTS).min(store.words().len());
        let purged = match self.place.is_fifo() {
            false => (0..used).map(|index| self.purge_slot(index) as u64).sum(),
            true => store.purge_groups(self.now_ms(&store), self.region.owner()),
        };
        store
            .head()
            .counters
            .purged
            .fetch_add(purged, Ordering::Relaxed);
        #[cfg(feature = "mapped")]
        store.mark_all();
        event!(INFO, "queue purged", purged = purged; queue = self.region.label());
        self.make_durable()?;
        Ok(purged)
    }

    /// Notes that a purge begins now, unless one has begun less than a minute ago. Of two that
    /// begin at once one is refused.
    ///
    /// By the own clock: the latest time that anybody has seen stands still after a step back.
    fn admit_purge(&self, store: &Store<'_>) -> Result<(), Error> {
        let policy = &store.head().policy;
        let now_ms = self.own_ms().max(1);
        loop {
            if !policy.is_sound(PURGED_MS) {
                policy.set(PURGED_MS, now_ms); // damaged: it keeps nobody from purging
                return Ok(());
            }
            let last_ms = policy.get(PURGED_MS);
            let wait_ms = wait_ms(last_ms, now_ms);
            if wait_ms != 0 {
                return Err(Error::PurgedRecently { wait_ms });
            }
            if policy.exchange(PURGED_MS, last_ms, now_ms) {
                return Ok(());
            }
        }
    }

    fn purge_slot(&self, index: usize) -> bool {
        let store = self.store();
        loop {
            let seen = Word(store.words()[index].load(Ordering::Acquire));
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

#[cfg(test)]
mod tests {
    use super::wait_ms;

    #[test]
    fn a_minute_and_no_longer() {
        assert_eq!(wait_ms(0, 5), 0, "never purged");
        assert_eq!(wait_ms(1000, 1000), 60_000);
        assert_eq!(wait_ms(1000, 60_999), 1);
        assert_eq!(wait_ms(1000, 61_000), 0);
        assert_eq!(
            wait_ms(1004, 1000),
            60_004,
            "another one's clock has ticked"
        );
        assert_eq!(wait_ms(60_999, 1000), 119_999, "less than two minutes");
        assert_eq!(wait_ms(61_000, 1000), 0, "the clock was set back");
    }
}
