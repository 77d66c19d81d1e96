//! What the rings refuse, and with which words.

use core::fmt;

/// No room: the refused value comes back.
///
/// `Full` says that there was no free slot at the moment of the call; the other side may have made
/// one since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> Full<T> {
    /// The value that was refused.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full")
    }
}

impl<T> core::error::Error for Full<T> {}

/// A capacity that no ring can have, or for which there is no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CapacityError {
    /// A ring holds at least one value.
    Zero,
    /// More values than a ring can number.
    TooLarge {
        /// The capacity that was asked for.
        capacity: usize,
        /// The largest one.
        max: usize,
    },
    /// The allocator refused.
    NoMemory {
        /// The capacity that was asked for.
        capacity: usize,
    },
}

/// The largest capacity of any ring: leaves positions room for two laps without overflow.
pub(super) const CAPACITY_MAX: usize = isize::MAX as usize / 4;

impl CapacityError {
    /// Refuses what no ring can number.
    #[cfg(feature = "alloc")]
    pub(super) fn check(capacity: usize) -> Result<(), CapacityError> {
        match capacity {
            0 => Err(CapacityError::Zero),
            1..=CAPACITY_MAX => Ok(()),
            _ => Err(CapacityError::TooLarge {
                capacity,
                max: CAPACITY_MAX,
            }),
        }
    }
}

impl fmt::Display for CapacityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CapacityError::Zero => f.write_str("a ring of capacity 0; the least is 1"),
            CapacityError::TooLarge { capacity, max } => {
                write!(f, "a ring of capacity {capacity}; the most is {max}")
            }
            CapacityError::NoMemory { capacity } => {
                write!(f, "no memory for a ring of capacity {capacity}")
            }
        }
    }
}

impl core::error::Error for CapacityError {}
