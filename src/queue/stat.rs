//! Looking at a queue, and emptying it.

use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::region::arena::{stamp_generation, stamp_sent_ms};
use crate::region::policy::{DELAY_MS, RETENTION_MS, VISIBILITY_MS};
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{AtomicU64, Ordering};
use crate::time::Clock;
use core::time::Duration;

/// A queue's figures: a scan, so approximate while others are at work.
///
/// What happened *ever* is counted since the queue was made, or was made again from its journal.
/// A participant that dies in the midst of an operation may leave a count wrong by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages received and neither deleted nor visible again.
    pub in_flight: u64,
    /// Messages sent whose delay is not over.
    pub delayed: u64,
    /// How long ago the oldest message that can be received now was sent.
    pub oldest_age: Option<Duration>,
    /// Slots in all.
    pub slots: u64,
    /// Slots that are free.
    pub slots_free: u64,
    /// Bytes of a slot: 16 of head, the rest of body.
    pub slot_bytes: u64,
    /// Longest body, bytes.
    pub body_bytes_max: u64,
    /// Visibility timeout.
    pub visibility: Duration,
    /// Retention.
    pub retention: Duration,
    /// Delay.
    pub delay: Duration,
    /// Messages sent, ever.
    pub sent: u64,
    /// Receives of a message, ever: a message that came back counts again.
    pub received: u64,
    /// Messages deleted, ever.
    pub deleted: u64,
    /// Calls of receive that found nothing, ever. Who waits looks several times.
    pub empty_receives: u64,
    /// Messages set aside because their bytes failed their checksum, ever; after a power loss since
    /// then, and places in the journal where something is missing (docs/durability.md).
    pub damaged: u64,
    /// Messages dropped because they were older than the retention, ever.
    pub expired: u64,
    /// Messages removed by [`purge`](Queue::purge), ever.
    pub purged: u64,
    /// Messages moved to another queue, ever: dead letters, and those that were redriven.
    pub moved: u64,
    /// Participants attached.
    pub attachments: u64,
}

/// What a scan of the words counts.
#[derive(Default)]
struct Scan {
    visible: u64,
    in_flight: u64,
    delayed: u64,
    free: u64,
    oldest_ms: Option<u64>,
    sent: u64,
    received: u64,
}

impl Scan {
    fn of(store: &Store<'_>, now_ms: u64) -> Self {
        let used = (extent(store) * BLOCK_SLOTS).min(store.words().len());
        let mut scan = Self {
            free: (store.words().len() - used) as u64,
            ..Self::default()
        };
        for index in 0..used {
            scan.look(store, index, now_ms);
        }
        scan
    }

    fn look(&mut self, store: &Store<'_>, index: usize, now_ms: u64) {
        // ORDERING: Acquire: the note belongs to this word, unless the word has changed since.
        let word = Word(store.words()[index].load(Ordering::Acquire));
        let (sent, received) = store.tally(index, word);
        self.sent += sent;
        self.received += received;
        match word.phase() {
            Phase::Free => self.free += 1,
            Phase::Claimed => {}
            Phase::Ready | Phase::Held => {
                let stamp = store.notes()[index].stamp.load(Ordering::Relaxed);
                let sent_ms = stamp_sent_ms(stamp);
                // Another word by now: the stamp may be another message's.
                let same = store.words()[index].load(Ordering::Acquire) == word.0;
                let over = same && sent_ms + word.due_ms() <= now_ms;
                if word.phase() == Phase::Ready || over {
                    self.visible += 1;
                    if same {
                        let oldest = self.oldest_ms.unwrap_or(sent_ms);
                        self.oldest_ms = Some(oldest.min(sent_ms));
                    }
                } else if same && word.generation() == stamp_generation(stamp) {
                    self.delayed += 1;
                } else {
                    self.in_flight += 1;
                }
            }
        }
    }
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
        self.check()?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let scan = Scan::of(&store, now_ms);
        let (policy, counters) = (&store.head().policy, &store.head().counters);
        let ever = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let setting = |setting| Duration::from_millis(policy.get(setting));
        let sent = scan.sent.saturating_add(ever(&counters.sent));
        let (damaged, expired) = (ever(&counters.damaged), ever(&counters.expired));
        let (purged, moved) = (ever(&counters.purged), ever(&counters.moved));
        // The counter goes below 0 for what was set aside, which the slots have counted; not the
        // sum, unless one was set aside between the looks.
        let received = scan.received.wrapping_add(ever(&counters.received));
        let received = if received >> 63 == 0 { received } else { 0 };
        let there = [scan.visible, scan.in_flight, scan.delayed];
        let others = [damaged, expired, purged, moved];
        let deleted = there
            .iter()
            .chain(&others)
            .fold(sent, |left, n| left.saturating_sub(*n));
        Ok(QueueStats {
            visible: scan.visible,
            in_flight: scan.in_flight,
            delayed: scan.delayed,
            oldest_age: scan
                .oldest_ms
                .map(|ms| Duration::from_millis(now_ms.saturating_sub(ms))),
            slots: store.words().len() as u64,
            slots_free: scan.free,
            slot_bytes: store.shape().slot_bytes as u64,
            body_bytes_max: store.shape().body_bytes_max as u64,
            visibility: setting(VISIBILITY_MS),
            retention: setting(RETENTION_MS),
            delay: setting(DELAY_MS),
            sent,
            received,
            deleted,
            empty_receives: ever(&counters.empty_receives),
            damaged,
            expired,
            purged,
            moved,
            attachments: self.region.attachments(),
        })
    }
}
