//! What happens in a second: the difference of two looks at a queue.

use super::stat::QueueStats;
use core::time::Duration;

/// Per second, between two looks at the same queue.
///
/// A queue that was made anew between the looks counts from 0 again. That is seen by its sends: if
/// there are fewer than there were, each count of the later look is taken whole. A count that goes
/// back while the sends do not is noise of the scan, and nothing happened.
///
/// # Examples
///
/// ```
/// # use ringmain::{Heap, Queue, QueueOptions, QueueRates};
/// # use std::time::Duration;
/// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
/// let earlier = queue.stat()?;
/// queue.send_batch(&["a", "b", "c"])?;
/// let later = queue.stat()?;
/// let rates = QueueRates::between(&earlier, &later, Duration::from_secs(2));
/// assert_eq!(rates.map(|rates| rates.sent), Some(1.5));
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct QueueRates {
    /// Messages sent.
    pub sent: f64,
    /// Receives of a message.
    pub received: f64,
    /// Messages deleted.
    pub deleted: f64,
    /// Receives that found nothing.
    pub empty_receives: f64,
    /// Messages set aside because of their checksum.
    pub damaged: f64,
    /// Messages dropped for their age.
    pub expired: f64,
    /// Messages removed by purges.
    pub purged: f64,
}

/// How much a count has grown between two looks: see [`QueueRates`].
pub(crate) fn increase(
    earlier: &QueueStats,
    later: &QueueStats,
    count: impl Fn(&QueueStats) -> u64,
) -> u64 {
    if later.sent < earlier.sent {
        count(later)
    } else {
        count(later).saturating_sub(count(earlier))
    }
}

impl QueueRates {
    /// The rates between two looks, the second so much later than the first; `None` if no time has
    /// passed.
    pub fn between(earlier: &QueueStats, later: &QueueStats, passed: Duration) -> Option<Self> {
        if passed.is_zero() {
            return None;
        }
        let rate = |count: fn(&QueueStats) -> u64| {
            increase(earlier, later, count) as f64 / passed.as_secs_f64()
        };
        Some(Self {
            sent: rate(|stats| stats.sent),
            received: rate(|stats| stats.received),
            deleted: rate(|stats| stats.deleted),
            empty_receives: rate(|stats| stats.empty_receives),
            damaged: rate(|stats| stats.damaged),
            expired: rate(|stats| stats.expired),
            purged: rate(|stats| stats.purged),
        })
    }
}
