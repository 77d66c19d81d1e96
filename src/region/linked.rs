//! A region whose participant knows where dead letters go.

use super::home::{Intent, Neighbour, Region, Tended, Wish};
use super::memory::Place;
use super::policy::{DEAD_LETTERS, RANGES, Range};
use super::store::Store;
use crate::error::Error;
use core::fmt;

/// A region, and the queue to which its dead letters go: what
/// [`Queue::with_dead_letters`](crate::Queue::with_dead_letters) makes of it.
#[derive(Clone, Copy)]
pub struct Linked<'d, R: Region> {
    region: R,
    id: u64,
    to: &'d (dyn Region + Sync),
    place: Place,
}

impl<'d, R: Region> Linked<'d, R> {
    /// `nonce` is the name of the queue that lies at `place` in `to`.
    pub(crate) fn new(region: R, nonce: u64, to: &'d (dyn Region + Sync), place: Place) -> Self {
        Self {
            region,
            id: id_of(nonce),
            to,
            place,
        }
    }
}

/// What the setting [`DEAD_LETTERS`] keeps of a queue's nonce.
pub const fn id_of(nonce: u64) -> u64 {
    let Range { max, .. } = RANGES[DEAD_LETTERS];
    nonce & max
}

impl<R: Region + fmt::Debug> fmt::Debug for Linked<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

// SAFETY: forwards to a region that keeps the promise.
unsafe impl<R: Region> Region for Linked<'_, R> {
    fn dead_letters(&self, id: u64, act: &mut dyn FnMut(Neighbour<'_>)) -> bool {
        if id != self.id {
            return false;
        }
        act(Neighbour {
            region: self.to,
            place: &self.place,
        });
        true
    }

    super::home::forward_methods!(self, self.region);
}
