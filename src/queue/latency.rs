//! How long messages lay before they were received: the histogram that a queue keeps.

use super::standard::Queue;
use crate::error::Error;
use crate::region::Region;
use crate::region::latency::BUCKETS;
use crate::sync::Ordering;
use crate::time::Clock;
use core::fmt;
use core::time::Duration;

/// A snapshot of the times from send to receive, in buckets of powers of two.
///
/// Bucket 0 is below 1 ms, bucket *n* from 2^(*n* - 1) ms to below 2^*n* ms, and the last of the 24
/// is open. Each receive counts, from the message's send on: a delay is part of it, and a message
/// that came back counts again. What was set aside or dropped was not received.
///
/// It is as fine as the clock: [`SystemClock`](crate::SystemClock) ticks every 1 to 10 ms, on most
/// machines every 4.
///
/// Counted since the queue was made, or was made again from its journal. A snapshot is a scan, so
/// approximate while others are at work. [`since`](Self::since) tells what came between two.
///
/// # Examples
///
/// ```
/// # use ringmain::{Heap, ManualClock, Queue, QueueOptions};
/// # use std::time::Duration;
/// # let clock = ManualClock::new(1000);
/// # let queue = Queue::create_with(Heap::new(1 << 16)?, QueueOptions::new(), &clock)?;
/// queue.send_batch(&["a", "b", "c"])?;
/// let a = queue.receive()?; // at once
/// clock.advance(Duration::from_millis(5));
/// let b = queue.receive()?; // 5 ms later
/// let latency = queue.latency()?;
/// assert_eq!(latency.count(), 2);
/// assert_eq!(latency.sum(), Duration::from_millis(5));
/// assert_eq!(latency.quantile(0.5), Duration::from_millis(1));
/// assert_eq!(latency.quantile(1.0), Duration::from_millis(8));
/// # drop((a, b));
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyHistogram {
    counts: [u64; BUCKETS],
    sum_ms: u64,
}

/// One bucket of a [`LatencyHistogram`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyBucket {
    /// The latencies in it are shorter than this; `None` in the last one, which is open.
    pub below: Option<Duration>,
    /// Receives.
    pub count: u64,
}

/// Where bucket `index` ends.
const fn end(index: usize) -> Duration {
    Duration::from_millis(1 << index)
}

impl LatencyHistogram {
    /// Receives in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |all, n| all.saturating_add(*n))
    }

    /// The sum of all latencies, each rounded down to a millisecond.
    pub const fn sum(&self) -> Duration {
        Duration::from_millis(self.sum_ms)
    }

    /// The arithmetic mean of all latencies, each rounded down to a millisecond; zero if there are
    /// none.
    pub fn mean(&self) -> Duration {
        self.sum_ms
            .checked_div(self.count())
            .map_or(Duration::ZERO, Duration::from_millis)
    }

    /// An upper bound of the latency that the share `q` (0 to 1) of all receives did not exceed:
    /// the end of its bucket. [`Duration::MAX`] if that is the open one; zero if there are none.
    pub fn quantile(&self, q: f64) -> Duration {
        let count = self.count();
        if count == 0 {
            return Duration::ZERO;
        }
        let share = if q.is_nan() { 1.0 } else { q.clamp(0.0, 1.0) };
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = 0u64;
        for (index, n) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*n);
            if seen >= rank && index + 1 < BUCKETS {
                return end(index);
            }
        }
        Duration::MAX
    }

    /// All 24 buckets, the shortest latencies first.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = LatencyBucket> + '_ {
        self.counts
            .iter()
            .enumerate()
            .map(|(index, count)| LatencyBucket {
                below: (index + 1 < BUCKETS).then(|| end(index)),
                count: *count,
            })
    }

    /// What came between an earlier snapshot of the same queue and this one. Where the queue was
    /// made anew meanwhile, so that a count is less than it was, nothing is subtracted at all.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // The first bucket is a remainder, and may go back by what others do during a scan.
        let mut late = self.counts.iter().zip(&earlier.counts).skip(1);
        if self.sum_ms < earlier.sum_ms || late.any(|(now, then)| now < then) {
            return *self;
        }
        let mut difference = *self;
        for (now, then) in difference.counts.iter_mut().zip(&earlier.counts) {
            *now = now.saturating_sub(*then);
        }
        difference.sum_ms -= earlier.sum_ms;
        difference
    }
}

/// One line: how many, the mean, and the bounds of the quantiles that people ask for.
impl fmt::Display for LatencyHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count() == 0 {
            return f.write_str("nothing received");
        }
        write!(f, "{} received, mean {:?}", self.count(), self.mean())?;
        for (name, q) in [("50%", 0.5), ("90%", 0.9), ("99%", 0.99), ("all", 1.0)] {
            match self.quantile(q) {
                Duration::MAX => write!(f, ", {name} from {:?} on", end(BUCKETS - 2))?,
                below => write!(f, ", {name} below {below:?}")?,
            }
        }
        Ok(())
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// The times from send to receive, as a histogram.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Deleted`].
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used: how many receives there were is in those.
    pub fn latency(&self) -> Result<LatencyHistogram, Error> {
        self.check()?;
        let store = self.store();
        let latency = &store.head().latency;
        let mut counts = [0u64; BUCKETS];
        // First what is late, then all: a receive between the looks is in the remainder.
        let sum_ms = latency.sum_ms.load(Ordering::Relaxed);
        let mut late = 0u64;
        for (count, word) in counts[1..].iter_mut().zip(&latency.late) {
            *count = word.load(Ordering::Relaxed);
            late = late.saturating_add(*count);
        }
        counts[0] = self.stat()?.received.saturating_sub(late);
        Ok(LatencyHistogram { counts, sum_ms })
    }
}
