//! Those who wait for a shard's records as futures.

use super::site::Shard;
use crate::sync::{Ordering, WakerSet};

/// `{ shard:32, sequence:32 }`: which shard a future waits for, and what the sequence was when it
/// last looked there. It has prepared as a thread does, and whoever sleeps for it does so on this
/// sequence.
const fn noted(shard: usize, sequence: u32) -> u64 {
    (shard as u64) << 32 | sequence as u64
}

/// The shard and the sequence of a note.
#[cfg(feature = "mapped")]
pub const fn parts(note: u64) -> (usize, u32) {
    ((note >> 32) as usize, note as u32)
}

impl Shard<'_> {
    /// A future that has put its waker prepares. It looks after this.
    pub fn prepare_future(&self, wakers: &WakerSet, slot: usize) {
        // Before the flag is set: who finds the flag wakes by the note.
        let now = self.event().sequence.load(Ordering::Relaxed);
        wakers.note(slot, noted(self.number(), now));
        let sequence = self.event().prepare();
        wakers.note(slot, noted(self.number(), sequence));
    }

    /// Wakes the futures of this process that wait for this shard: how many there were.
    pub fn wake_futures(&self, wakers: &WakerSet) -> u32 {
        wakers.wake_noted(|note| note >> 32 == self.number() as u64)
    }
}
