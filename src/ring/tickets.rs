//! Tickets: who became ready first is served first.

use crate::sync::AtomicU64;

/// A bounded queue of indices in which nobody who stops holds up the others.
#[derive(Debug, Clone, Copy)]
pub struct Tickets<'a> {
    /// Position of the first ticket.
    pub first: &'a AtomicU64,
    /// Position after the last one.
    pub last: &'a AtomicU64,
    /// A power of two of cells.
    pub cells: &'a [AtomicU64],
}
