//! Chains: elements found by a hash, in lists of which each bucket word begins one.

use crate::sync::AtomicU64;

/// An element that can be in a chain.
pub trait Chained {
    /// Its link in the chain: nobody but [`Chains`] changes it.
    fn chain(&self) -> &AtomicU64;
}

/// Chains over borrowed buckets and elements.
#[derive(Debug)]
pub struct Chains<'a, E> {
    /// One word a bucket; a power of two of them.
    pub buckets: &'a [AtomicU64],
    /// The elements; an index names one.
    pub elements: &'a [E],
}
