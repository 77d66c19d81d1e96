//! A stream's region under a name: one stream of an engine.
//!
//! # Protocol
//!
//! Who deletes a stream sets the mark `deleted` in its head and wakes all who wait. Each operation
//! of a stream asks [`Region::check`] first, and who has waited asks it again; here that looks at
//! the mark. So whoever has come to a stream by its name, in whatever process, is told; who has
//! opened the file itself goes on in memory that has no name any more.
//!
//! Race: A has asked, B deletes, A puts. The put is done in memory that A maps, and is there for
//! nobody but those who have asked before, as if it had come before the deletion.

use super::layout::DELETED;
use super::memory::{StreamPlace, StreamWish};
use super::site::Site;
use crate::error::Error;
use crate::region::home::{Intent, Region, Tended, Wish};
use crate::region::layout::DURABILITY_PROCESS;
use crate::region::memory::Place;
use crate::region::shelf::{Home, Shelf};
use crate::region::store::Store;
use crate::sync::{Ordering, store_load};
use core::fmt;

/// A stream's region with its name. See [`EngineStream`](crate::EngineStream).
pub struct NamedStream<H: Home> {
    site: Site<H::Region>,
    name: Box<str>,
}

impl StreamWish {
    /// The wish of who opens what is there: nobody looks at it.
    pub const NONE: Self = Self {
        shards: 1,
        places: None,
        segment_bytes: None,
        readers: 1,
        consumers: 0,
        data_bytes_max: None,
        checksum: None,
        evict: false,
        quota: false,
        on_demand: false,
        md5: false,
        retention_ms: 0,
        durability: DURABILITY_PROCESS,
    };
}

impl<H: Home> NamedStream<H> {
    /// A region with a stream in it.
    pub(crate) fn new(region: H::Region, name: &str) -> Result<Self, Error> {
        Ok(Self {
            site: Site::new(region, Intent::Open, &StreamWish::NONE)?,
            name: name.into(),
        })
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the region.
    pub fn bytes(&self) -> u64 {
        H::Shelf::bytes(self.site.region())
    }

    /// Where the stream lies.
    pub(crate) fn place_here(&self) -> &StreamPlace {
        self.site.place()
    }

    /// Whether it is marked as deleted.
    pub(crate) fn is_deleted(&self) -> bool {
        self.site.region().check().is_ok() && marked(&self.site)
    }

    /// Marks the stream as deleted, and wakes all who wait at it. May be done again.
    pub(crate) fn mark_deleted(&self) -> Result<(), Error> {
        mark_deleted(self.site.region())
    }
}

/// Whether the stream of a site is marked as deleted.
#[inline(always)]
fn marked<R: Region>(site: &Site<R>) -> bool {
    // ORDERING: Relaxed; the mark publishes nothing but itself.
    site.head().notes.deleted.load(Ordering::Relaxed) == DELETED
}

/// Whether the stream in a region is marked as deleted.
pub fn is_deleted<R: Region>(region: &R) -> Result<bool, Error> {
    let site = Site::new(region, Intent::Open, &StreamWish::NONE)?;
    Ok(marked(&site))
}

/// Marks the stream in a region as deleted, and wakes all who wait at it.
pub fn mark_deleted<R: Region>(region: &R) -> Result<(), Error> {
    region.check()?;
    let site = Site::new(region, Intent::Open, &StreamWish::NONE)?;
    site.head().notes.deleted.store(DELETED, Ordering::Release);
    // ORDERING: [sleeper-flag], [waiting-bit]: the mark is set before it is asked who sleeps. Who
    // goes to sleep says so and then looks at the mark.
    store_load();
    let shared = region.is_shared();
    for place in 0..site.place().shape.places {
        if let Some(shard) = site.shard(place, 0) {
            let event = shard.event();
            event.wake(|word| crate::region::futex_wake(word, u32::MAX, shared));
        }
    }
    #[cfg(feature = "async")]
    region.wakers().wake(u32::MAX);
    Ok(())
}

impl<H: Home> fmt::Debug for NamedStream<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedStream")
            .field("name", &self.name)
            .field("region", self.site.region())
            .finish_non_exhaustive()
    }
}

// SAFETY: forwards to the region inside, which keeps the promise.
unsafe impl<H: Home> Region for NamedStream<H> {
    fn label(&self) -> &str {
        &self.name
    }

    #[inline(always)]
    fn check(&self) -> Result<(), Error> {
        self.site.region().check()?;
        match marked(&self.site) {
            true => Err(Error::Deleted),
            false => Ok(()),
        }
    }

    crate::region::home::forward_but_check!(self, self.site.region());
}
