//! The heap home: one allocation for the threads of one process.

use super::borrowed::Borrowed;
use super::home::{Intent, Region, Wish};
use super::memory::Place;
use super::store::Store;
#[cfg(feature = "stream")]
use super::stream::{StreamPlace, StreamWish};
use crate::error::Error;
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;

/// One zeroed allocation that holds one queue. Nothing is allocated after [`Heap::new`].
///
/// ```
/// use ringmain::{Heap, Queue, QueueOptions};
/// let region = Heap::new(1 << 20)?;
/// let queue = Queue::create(&region, QueueOptions::new())?;
/// queue.send(b"hello")?;
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct Heap {
    memory: Borrowed<'static>,
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: `base` is only used to free the allocation in `drop`; the rest is Send and Sync.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    /// Allocates `bytes` bytes, zeroed.
    ///
    /// # Errors
    ///
    /// [`Error::RegionTooSmall`] for zero bytes, [`Error::RegionTooLarge`] when there is not that
    /// much memory.
    pub fn new(bytes: usize) -> Result<Self, Error> {
        if bytes == 0 {
            return Err(Error::RegionTooSmall {
                len: 0,
                needed: 4096,
            });
        }
        let too_large = Error::RegionTooLarge {
            len: bytes as u64,
            max: isize::MAX as u64 - 4096,
        };
        let layout = Layout::from_size_align(bytes, 4096).map_err(|_| too_large.clone())?;
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(too_large)?;
        // SAFETY: `bytes` zeroed bytes, aligned to a page, ours until `drop`; the region hands out
        // nothing that outlives it.
        let memory = unsafe { Borrowed::over(base.as_ptr(), bytes, true) };
        Ok(Self {
            memory,
            base,
            layout,
        })
    }

    /// Bytes of the region.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; no store outlives the region.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

// SAFETY: the memory is this allocation, which lives as long as the region and is private to it.
unsafe impl Region for Heap {
    fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
        self.memory.place(intent, wish)
    }

    #[cfg(feature = "stream")]
    fn stream_place(&self, intent: Intent, wish: &StreamWish) -> Result<StreamPlace, Error> {
        self.memory.stream_place(intent, wish)
    }

    #[inline(always)]
    fn store<'s>(&'s self, place: &'s Place) -> Store<'s> {
        self.memory.store(place)
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        self.memory.wakers()
    }
}
