//! What the processor is asked to fetch before a batch is sent: all of it lies wherever its hash
//! says, or has not been touched for as long as the window of ids is.

use super::cursor::Cursor;
use crate::region::store::fetch;
use crate::ring::chains::{Chained, Chains};

/// The most entries that are claimed for one batch.
const BATCH: usize = 10;

impl<E: Chained> Chains<'_, E> {
    /// The word at which the chain of this hash begins.
    #[inline(always)]
    pub fn fetch_start(&self, hash: u64) {
        if let Some(start) = self.start(hash) {
            fetch(start);
        }
    }

    /// What follows an element.
    #[inline(always)]
    pub fn fetch_behind(&self, element: &E) {
        fetch(self.next_or(element));
    }
}

impl Cursor<'_> {
    /// What the next batch's claims of entries will look at: what follows these in their chains.
    /// For the batch after it the entries. So each is there when it is looked at here. Near the
    /// last entry nothing is fetched.
    #[inline(always)]
    pub fn fetch_turns(&self) {
        let ids = &self.ids.entries;
        let coming = ids.elements.get(self.turn.1..).unwrap_or_default();
        let Some(coming) = coming.first_chunk::<{ 3 * BATCH }>() else {
            return;
        };
        for at in 0..BATCH {
            ids.fetch_behind(&coming[at + BATCH]);
            fetch(&coming[at + 2 * BATCH]);
        }
    }
}
