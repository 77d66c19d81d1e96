//! How long messages lay in the queue before each receive: a histogram beside the counters.
//!
//! Most receives of a busy queue come within the millisecond of the send, and those touch nothing:
//! bucket 0 has no word. Whoever looks takes the rest of all receives for it, and the slots tell
//! how many those were ([`tally`](super::tally)). The other receives of one call are gathered
//! first, so that neighbours, which were sent at about the same time, cost one addition to their
//! bucket and one to the sum.
//!
//! All of it is for people: any value does, and two threads that add at once both count.

use crate::sync::{AtomicU64, Ordering};

/// Buckets: the first is below 1 ms, bucket *n* from 2^(*n* - 1) ms to below 2^*n*, the last open.
pub const BUCKETS: usize = 24;

/// The bucket of a latency.
#[inline(always)]
const fn bucket(ms: u64) -> usize {
    let bucket = (u64::BITS - ms.leading_zeros()) as usize;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

/// The lines of latencies.
#[derive(Debug)]
#[repr(C)]
pub struct Latency {
    /// The sum of all latencies, each in whole milliseconds.
    pub sum_ms: AtomicU64,
    /// Receives by bucket, from bucket 1 on.
    pub late: [AtomicU64; BUCKETS - 1],
}

impl Latency {
    /// Nothing counted.
    pub const fn new() -> Self {
        Self {
            sum_ms: AtomicU64::new(0),
            late: [const { AtomicU64::new(0) }; BUCKETS - 1],
        }
    }

    /// Adds `count` receives to a bucket; to the first nothing.
    #[inline(always)]
    fn add(&self, bucket: usize, count: u64, sum_ms: u64) {
        if bucket == 0 {
            return;
        }
        // ORDERING: Relaxed: figures for people.
        self.late[bucket - 1].fetch_add(count, Ordering::Relaxed);
        self.sum_ms.fetch_add(sum_ms, Ordering::Relaxed);
    }

    /// Counts a message, sent and received at these times.
    #[cold]
    #[inline(never)]
    pub fn count_one(&self, sent_ms: u64, now_ms: u64) {
        self.count(core::iter::once(sent_ms), now_ms);
    }

    /// Counts the messages of one call of receive, sent at these times and received at `now_ms`.
    #[cold]
    #[inline(never)]
    pub fn count(&self, sent_ms: impl Iterator<Item = u64>, now_ms: u64) {
        let (mut of, mut count, mut sum_ms) = (0, 0, 0u64);
        for sent_ms in sent_ms {
            let ms = now_ms.saturating_sub(sent_ms);
            let bucket = bucket(ms);
            if bucket != of {
                self.add(of, count, sum_ms);
                (of, count, sum_ms) = (bucket, 0, 0);
            }
            count += 1;
            sum_ms = sum_ms.wrapping_add(ms); // of damaged times, any value does
        }
        self.add(of, count, sum_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        assert_eq!([bucket(0), bucket(1), bucket(2), bucket(3)], [0, 1, 2, 2]);
        for n in 1..BUCKETS - 1 {
            let end_ms = 1 << n;
            assert_eq!(bucket(end_ms - 1), n);
            assert_eq!(bucket(end_ms), n + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
