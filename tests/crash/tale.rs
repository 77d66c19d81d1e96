//! What is told of a history: by the child that works, and by the tracer.

use crate::common;
use crate::trace;

/// What a child says before or after it does something.
pub trait Note: Sized {
    /// What the numbers of a note say.
    fn read(words: &[u64]) -> Self;
    /// Its numbers.
    fn words(&self) -> Vec<u64>;
    /// Whether it says that the child has looked at what was there, and begins.
    fn has_looked(&self) -> bool;

    /// Tells the tracer.
    fn tell(&self) {
        trace::note(&self.words());
    }
}

/// The position of what is on the disk already.
pub const NOW: u64 = 0;

/// What happened, in the tracer's order.
#[derive(Debug)]
pub enum Event<N, S> {
    /// Bytes of the companion were given to the kernel.
    Write(usize, Vec<u8>),
    /// They are on the disk.
    Synced,
    /// They may never be.
    SyncFailed,
    Note(N),
    /// What was seen of the region, or of the child.
    Seen(S),
    /// The region as the kernel had it.
    Copy(Vec<u8>),
}

/// A seed that says how long its body is, so that a shorter one is not taken for it.
pub fn seed(number: u64, len: usize) -> u64 {
    number << 24 | len as u64
}

pub fn body(seed: u64) -> Vec<u8> {
    common::body(seed, (seed & 0xff_ffff) as usize)
}

/// The seed of a body, if the body is whole.
pub fn seed_of(bytes: &[u8]) -> Option<u64> {
    common::seed_of(bytes).filter(|seed| (seed & 0xff_ffff) as usize == bytes.len())
}
