//! The quota of calls: 300 a second of each of send, receive and delete, as SQS has it.
//!
//! The generic cell rate algorithm (ITU-T I.371): one word is the time at which the next call would
//! be due if all came evenly. A call that comes more than a second's worth ahead of it is refused,
//! else it moves the word on, by one compare-exchange. The unit is a 300th of a millisecond, so
//! that a call is 1000 units.

use crate::error::Error;
use crate::queue::Queue;
use crate::region::Region;
use crate::region::layout::FLAG_QUOTA;
use crate::region::store::Store;
use crate::sync::Ordering;
use crate::time::Clock;

/// Calls in a second.
pub const CALLS_MAX: u64 = 300;
/// Units of a call.
const CALL: u64 = 1000;
/// Units of a millisecond.
const MS: u64 = CALLS_MAX;
/// How far ahead calls may be: a second.
const BURST: u64 = 1000 * MS;

/// What a call does.
#[derive(Debug, Clone, Copy)]
pub enum Call {
    /// Sends.
    Send = 0,
    /// Receives.
    Receive = 1,
    /// Deletes.
    Delete = 2,
}

/// Counts a call at `now_ms`, or says how long to wait.
#[cold]
pub fn admit(store: &Store<'_>, call: Call, now_ms: u64) -> Result<(), Error> {
    let word = &store.fifo_head().quota[call as usize];
    let now = now_ms.saturating_mul(MS);
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        // A time far ahead is damage, or from before the clock was set back.
        let due = match seen.saturating_sub(now) > BURST {
            true => now,
            false => seen.max(now),
        };
        let next = due + CALL;
        if next - now > BURST {
            let wait_ms = (next - now - BURST).div_ceil(MS);
            let max = CALLS_MAX;
            return Err(Error::Throttled { max, wait_ms });
        }
        match word.compare_exchange(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => seen = now,
        }
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// Counts a call against the quota, if there is one.
    #[inline(always)]
    pub(in crate::queue) fn admit_call(
        &self,
        store: &Store<'_>,
        call: Call,
        now_ms: u64,
    ) -> Result<(), Error> {
        match self.place.flags & FLAG_QUOTA {
            0 => Ok(()),
            _ => admit(store, call, now_ms),
        }
    }

    /// The same by a caller that has not looked at the queue yet. Standard queues have no quota.
    #[inline(always)]
    pub(in crate::queue) fn admit_call_now(&self, call: Call) -> Result<(), Error> {
        if self.place.flags & FLAG_QUOTA == 0 {
            return Ok(());
        }
        self.check()?;
        let store = self.store();
        admit(&store, call, self.now_ms(&store))
    }
}
