//! What a FIFO queue is created with.

use crate::error::Error;
use crate::queue::options::{QueueOptions, in_range, whole_ms};
#[cfg(feature = "mapped")]
use crate::region::Durability;
use crate::region::fifo::attempts::WAYS;
use crate::region::layout::{
    FLAG_BY_GROUP, FLAG_CONTENT, FLAG_QUOTA, IDS_MAX, SETS_MAX, Settings, WINDOW_MS_MAX,
    WINDOW_MS_MIN,
};
use crate::region::memory::Place;
use crate::region::policy::PolicyNumbers;
use crate::region::{FifoWish, Wish};
use core::time::Duration;

/// Within what a deduplication id is accepted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DedupScope {
    /// In the queue, whatever the group.
    #[default]
    Queue,
    /// In its group.
    Group,
}

/// Options of a FIFO queue; a `const` builder. The first ones are those of [`QueueOptions`].
///
/// | option | default | range |
/// |---|---|---|
/// | [`visibility`](Self::visibility) | 30 s | 0 s to 12 h |
/// | [`retention`](Self::retention) | 4 days | 60 s to 14 days |
/// | [`delay`](Self::delay) | 0 s | 0 s to 15 min |
/// | [`max_in_flight`](Self::max_in_flight) | 120 000 | 1 to 2 147 483 647 |
/// | [`max_receives`](Self::max_receives) | none | 1 to 1000 |
/// | [`typical_body`](Self::typical_body) | 96 bytes | 1 byte to 1 MiB |
/// | [`max_body`](Self::max_body) | 256 KiB, or the region's size | 1 byte to 1 GiB |
/// | [`checksum`](Self::checksum) | on in shared memory | |
/// | [`content_dedup`](Self::content_dedup) | off | |
/// | [`dedup_scope`](Self::dedup_scope) | `DedupScope::Queue` | |
/// | [`dedup_interval`](Self::dedup_interval) | 5 min | 1 s to 1 day |
/// | [`dedup_ids`](Self::dedup_ids) | twice the slots | 1 to 2 147 483 648 |
/// | [`attempts`](Self::attempts) | a 16th of the slots, 16 to 1024 | 0 to 524 280 |
/// | [`quota`](Self::quota) | off | |
///
/// What concerns deduplication, attempts and the quota is fixed at creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct FifoOptions {
    pub(crate) queue: QueueOptions,
    content_dedup: bool,
    dedup_scope: DedupScope,
    dedup_interval: Duration,
    dedup_ids: Option<u64>,
    attempts: Option<u64>,
    quota: bool,
}

/// What `attempts` is compared by.
const SETS: &str = "attempts (sets of 8)";

/// Builders that [`QueueOptions`] has too.
macro_rules! as_queue_options {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty)?);)*) => {
        $(
            $(#[$doc])*
            pub const fn $name(mut self $(, $arg: $type)?) -> Self {
                self.queue = self.queue.$name($($arg)?);
                self
            }
        )*
    };
}

impl FifoOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            queue: QueueOptions::new(),
            content_dedup: false,
            dedup_scope: DedupScope::Queue,
            dedup_interval: Duration::from_secs(300),
            dedup_ids: None,
            attempts: None,
            quota: false,
        }
    }

    as_queue_options! {
        /// How long a received message stays invisible, and its group locked, unless deleted.
        visibility(timeout: Duration);
        /// How old a message may become; one that is older is dropped.
        retention(age: Duration);
        /// How long a message stays invisible after its send, and its group behind it.
        delay(delay: Duration);
        /// How many messages may be in flight: a receive beyond that finds nothing.
        max_in_flight(messages: u32);
        /// How often a message may be received without being deleted: see
        /// [`QueueOptions::max_receives`].
        max_receives(receives: u32);
        /// Takes [`max_receives`](Self::max_receives) back.
        no_max_receives();
        /// A body of up to this many bytes takes one slot, if its group and deduplication id have
        /// 46 bytes together: `bytes + 64` rounded up to 64. Longer ones take several slots.
        typical_body(bytes: usize);
        /// The longest body that is taken, bytes.
        max_body(bytes: usize);
        /// Whether bodies carry a checksum that is verified at each receive.
        checksum(on: bool);
    }

    /// What survives the machine, and when: see [`QueueOptions::durability`]. Order and ids are as
    /// durable as the messages.
    #[cfg(feature = "mapped")]
    pub const fn durability(mut self, level: Durability) -> Self {
        self.queue = self.queue.durability(level);
        self
    }

    /// Whether the SHA-256 of the body is the deduplication id of a message that names none. An
    /// attribute does not count.
    pub const fn content_dedup(mut self, on: bool) -> Self {
        self.content_dedup = on;
        self
    }

    /// Within what an id is accepted once.
    pub const fn dedup_scope(mut self, scope: DedupScope) -> Self {
        self.dedup_scope = scope;
        self
    }

    /// For how long an id is remembered, from the send of its first message on.
    pub const fn dedup_interval(mut self, interval: Duration) -> Self {
        self.dedup_interval = interval;
        self
    }

    /// How many ids are remembered at once, at 160 to 192 bytes each. It has to be as many as are
    /// sent in one [`dedup_interval`](Self::dedup_interval): a send beyond that is
    /// [`Error::DeduplicationFull`].
    pub const fn dedup_ids(mut self, ids: u64) -> Self {
        self.dedup_ids = Some(ids);
        self
    }

    /// How many receives with an attempt id, whose messages are in flight, are remembered at once,
    /// rounded up to eights, at 257 bytes each: see
    /// [`receive_batch_attempt`](crate::FifoQueue::receive_batch_attempt). An id has its place in
    /// one of sets of eight, so one in four of these may be in use before another one is, rarely,
    /// refused. 0: none, and such receives are [`Error::Unsupported`].
    pub const fn attempts(mut self, attempts: u64) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Whether more than 300 calls a second of send, of receive or of delete are refused, as SQS
    /// does: [`Error::Throttled`]. A batch is one call.
    pub const fn quota(mut self, on: bool) -> Self {
        self.quota = on;
        self
    }

    /// The options that standard queues have too.
    pub const fn get_queue(&self) -> &QueueOptions {
        &self.queue
    }

    /// See [`content_dedup`](Self::content_dedup).
    pub const fn get_content_dedup(&self) -> bool {
        self.content_dedup
    }

    /// See [`dedup_scope`](Self::dedup_scope).
    pub const fn get_dedup_scope(&self) -> DedupScope {
        self.dedup_scope
    }

    /// See [`dedup_interval`](Self::dedup_interval).
    pub const fn get_dedup_interval(&self) -> Duration {
        self.dedup_interval
    }

    /// See [`dedup_ids`](Self::dedup_ids); `None`: the default. A queue that exists has a number.
    pub const fn get_dedup_ids(&self) -> Option<u64> {
        self.dedup_ids
    }

    /// See [`attempts`](Self::attempts); `None`: the default. A queue that exists has a number.
    pub const fn get_attempts(&self) -> Option<u64> {
        self.attempts
    }

    /// See [`quota`](Self::quota).
    pub const fn get_quota(&self) -> bool {
        self.quota
    }

    /// The options of a queue that exists.
    pub(crate) fn of(place: &Place, policy: PolicyNumbers) -> Self {
        let has = |flag: u64| place.flags & flag != 0;
        Self {
            queue: QueueOptions::of(place, policy),
            content_dedup: has(FLAG_CONTENT),
            dedup_scope: match has(FLAG_BY_GROUP) {
                true => DedupScope::Group,
                false => DedupScope::Queue,
            },
            dedup_interval: Duration::from_millis(place.window >> 32),
            dedup_ids: Some(place.shape.fifo.ids as u64),
            attempts: Some(place.shape.fifo.attempts() as u64),
            quota: has(FLAG_QUOTA),
        }
    }

    pub(crate) const fn with_queue(self, queue: QueueOptions) -> Self {
        Self { queue, ..self }
    }

    /// Refuses what is fixed at creation and not as it is there.
    pub(crate) fn agree(&self, there: &Self) -> Result<(), Error> {
        let option = |option, found: u64, given: u64| match found == given {
            true => Ok(()),
            false => Err(Error::OptionsDiffer {
                option,
                found,
                given,
            }),
        };
        let (found, given) = (there.flags(), self.flags());
        option("content_dedup, dedup_scope and quota", found, given)?;
        let (found, given) = (
            whole_ms(there.dedup_interval),
            whole_ms(self.dedup_interval),
        );
        option("dedup_interval (ms)", found, given)?;
        if let (Some(found), Some(given)) = (there.dedup_ids, self.dedup_ids) {
            option("dedup_ids", found, given)?;
        }
        let sets = |attempts: u64| attempts.div_ceil(WAYS as u64);
        match (there.attempts, self.attempts) {
            (Some(found), Some(given)) => option(SETS, sets(found), sets(given)),
            _ => Ok(()),
        }
    }

    const fn flags(&self) -> u64 {
        const fn flag(on: bool, flag: u64) -> u64 {
            if on { flag } else { 0 }
        }
        flag(self.content_dedup, FLAG_CONTENT)
            | flag(matches!(self.dedup_scope, DedupScope::Group), FLAG_BY_GROUP)
            | flag(self.quota, FLAG_QUOTA)
    }

    const fn interval_ms(&self) -> Result<u64, Error> {
        let ms = whole_ms(self.dedup_interval);
        in_range("dedup_interval (ms)", ms, WINDOW_MS_MIN, WINDOW_MS_MAX)
    }

    /// The settings of a queue whose memory says how many ids and attempts it has.
    pub(crate) const fn settings(&self) -> Result<Settings, Error> {
        let interval_ms = match self.interval_ms() {
            Ok(ms) => ms,
            Err(error) => return Err(error),
        };
        match self.queue.settings() {
            Ok(settings) => Ok(Settings {
                flags: settings.flags | self.flags(),
                window: interval_ms << 32,
                ..settings
            }),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn wish(&self) -> Result<Wish, Error> {
        let wish = self.queue.wish()?;
        let interval_ms = self.interval_ms()?;
        let ids = match self.dedup_ids {
            Some(ids) => Some(in_range("dedup_ids", ids, 1, IDS_MAX)? as usize),
            None => None,
        };
        let attempts_max = SETS_MAX * WAYS as u64;
        let attempts = match self.attempts {
            Some(attempts) => Some(in_range("attempts", attempts, 0, attempts_max)? as usize),
            None => None,
        };
        Ok(Wish {
            fifo: Some(FifoWish {
                ids,
                attempts,
                interval_ms,
                flags: self.flags(),
            }),
            ..wish
        })
    }
}

impl Default for FifoOptions {
    fn default() -> Self {
        Self::new()
    }
}
