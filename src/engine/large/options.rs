//! How large messages are told from others.

use crate::error::Error;

/// The longest body, bytes: 2 GiB.
const LONGEST_MAX: u64 = 2 << 30;

/// What [`LargeQueue::with_options`](crate::LargeQueue::with_options) takes.
///
/// Handles to one queue may have different ones: they say what a sender does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct LargeOptions {
    threshold: Option<usize>,
    longest: u64,
}

impl Default for LargeOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LargeOptions {
    /// The defaults: what the queue does not take goes to the side store, up to 2 GiB.
    pub const fn new() -> Self {
        Self {
            threshold: None,
            longest: LONGEST_MAX,
        }
    }

    /// A message that is longer than this, body and attributes together, goes to the side store: 0
    /// (all do) to the queue's longest body, which is the default.
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = Some(bytes);
        self
    }

    /// The longest body that is sent: 1 byte to 2 GiB, which is the default.
    pub const fn longest(mut self, bytes: u64) -> Self {
        self.longest = bytes;
        self
    }

    /// Threshold and longest body, if they are in their ranges.
    pub(super) fn checked(self, max_body: usize) -> Result<(usize, u64), Error> {
        let threshold = self.threshold.unwrap_or(max_body);
        if threshold > max_body {
            return Err(Error::OutOfRange {
                what: "threshold of large messages (bytes)",
                value: threshold as u64,
                min: 0,
                max: max_body as u64,
            });
        }
        if self.longest == 0 || self.longest > LONGEST_MAX {
            return Err(Error::OutOfRange {
                what: "longest body (bytes)",
                value: self.longest,
                min: 1,
                max: LONGEST_MAX,
            });
        }
        Ok((threshold, self.longest))
    }
}
