//! The consumer that a cursor reads for.

use crate::error::Error;
use crate::region::stream::NAME_WORDS;
use crate::ring::log::Position;
use crate::ring::roster::{Fed, Taken};
use crate::sync::{AtomicU64, Ordering};

/// How long a subscription lasts, ms: 5 minutes, as that of Kinesis.
pub(super) const LASTS_MS: u64 = 300_000;

/// A registered consumer at a shard, and its subscription, if the cursor is that of one.
#[derive(Debug, Clone, Copy)]
pub(in crate::stream) struct Reader<'s> {
    pub(super) fed: Fed<'s, NAME_WORDS>,
    pub(super) taken: Option<Taken>,
    /// Where it is kept how far it has come.
    pub(super) position: Option<&'s AtomicU64>,
}

impl<'s> Reader<'s> {
    /// An error if it reads no more: the consumer was deregistered, or the subscription is over.
    #[inline(always)]
    pub(in crate::stream) fn check(&self, now_ms: u64) -> Result<(), Error> {
        if !self.fed.is_registered() {
            return Err(Error::NoConsumer);
        }
        match self.taken {
            Some(taken) if !self.fed.stands(taken) => Err(self.gone()),
            Some(taken) if self.left_ms(taken, now_ms) == 0 => Err(Error::SubscriptionExpired),
            _ => Ok(()),
        }
    }

    /// Why the subscription does not stand any more.
    #[cold]
    pub(super) fn gone(&self) -> Error {
        // Perhaps it is another registration's by now: then the seat's word has changed before.
        match self.fed.is_registered() {
            true => Error::SubscriptionTaken,
            false => Error::NoConsumer,
        }
    }

    /// How long a subscription still lasts, ms.
    pub(super) fn left_ms(&self, taken: Taken, now_ms: u64) -> u64 {
        LASTS_MS.saturating_sub(now_ms.saturating_sub(taken.begun_ms()))
    }

    /// Notes how far it has come.
    #[inline(always)]
    pub(in crate::stream) fn note(&self, at: Position) {
        if let Some(position) = self.position {
            // ORDERING: Relaxed; a figure.
            position.store(at.0, Ordering::Relaxed);
        }
    }

    /// What it has read of its own quota.
    pub(in crate::stream) fn quota(&self) -> &'s AtomicU64 {
        &self.fed.feed.quota
    }
}
