//! What became of a record.

use crate::error::Error;
use crate::stream::put::Put;
use core::fmt;

/// Names a record that a producer has accepted: the next one has the next number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PutToken(pub(super) u64);

impl PutToken {
    /// The first record of a producer has 0.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of a record that a producer had accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOutcome {
    /// Which record.
    pub token: PutToken,
    /// Where it is; or why it is nowhere. [`Error::Full`], [`Error::SegmentInUse`],
    /// [`Error::ShardReserved`] and [`Error::ProvisionedThroughputExceeded`] are what the last try
    /// was refused with, after the record's time was over or when the producer was closed.
    pub result: Result<Put, Error>,
    /// Which part of that record it is: 0, unless it was packed with others.
    pub part: u32,
    /// How often it was tried.
    pub attempts: u32,
}
