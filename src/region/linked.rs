//! A region whose participant knows where dead letters go.

use super::home::{Intent, Neighbour, Region, Tended, Wish};
use super::memory::Place;
use super::policy::{DEAD_LETTERS, RANGES};
use super::store::Store;
use crate::error::Error;
use core::fmt;

/// A region, and the queue to which its dead letters go, if it is known: what
/// [`Queue::with_dead_letters`](crate::Queue::with_dead_letters) makes of a region.
#[derive(Clone, Copy)]
pub struct Linked<R: Region, D: Region> {
    region: R,
    to: Option<Link<D>>,
}

#[derive(Clone, Copy)]
struct Link<D> {
    id: u64,
    region: D,
    place: Place,
}

impl<R: Region, D: Region> Linked<R, D> {
    /// `to` is a queue: its nonce, its region, and where it lies there.
    pub(crate) fn new(region: R, to: Option<(u64, D, Place)>) -> Self {
        let link = |(nonce, region, place)| Link {
            id: id_of(nonce),
            region,
            place,
        };
        let to = to.map(link);
        Self { region, to }
    }

    /// The region itself.
    pub fn region(&self) -> &R {
        &self.region
    }
}

/// What the setting [`DEAD_LETTERS`] keeps of a queue's nonce; never 0.
pub const fn id_of(nonce: u64) -> u64 {
    match nonce & RANGES[DEAD_LETTERS].max {
        0 => 1,
        id => id,
    }
}

impl<R: Region + fmt::Debug, D: Region> fmt::Debug for Linked<R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked")
            .field("region", &self.region)
            .field("is_linked", &self.to.is_some())
            .finish()
    }
}

// SAFETY: forwards to a region that keeps the promise.
unsafe impl<R: Region, D: Region> Region for Linked<R, D> {
    fn dead_letters(&self, id: u64, act: &mut dyn FnMut(Neighbour<'_>)) -> bool {
        let Some(link) = self.to.as_ref().filter(|link| link.id == id) else {
            return false;
        };
        act(Neighbour {
            region: &link.region,
            place: &link.place,
        });
        true
    }

    fn label(&self) -> &str {
        self.region.label()
    }

    super::home::forward_methods!(self, self.region);
}
