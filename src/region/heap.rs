//! The heap home: one allocation for the threads of one process.

use super::home::{Intent, Region, Wish};
use super::layout::queue_bytes;
use super::memory::{self, Place};
use super::store::Store;
use crate::error::Error;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ptr::NonNull;

const VACANT: u64 = 0;
const BUSY: u64 = 1;
const READY: u64 = 2;

/// One zeroed allocation that holds one queue. Nothing is allocated after [`Heap::new`].
///
/// ```
/// use ringmain::{Heap, Queue, QueueOptions};
/// let region = Heap::new(1 << 20)?;
/// let queue = Queue::create(&region, QueueOptions::new())?;
/// queue.send(b"hello")?;
/// # Ok::<(), ringmain::Error>(())
/// ```
pub struct Heap {
    base: NonNull<u8>,
    layout: Layout,
    state: AtomicU64,
    place: UnsafeCell<Option<Place>>,
    #[cfg(feature = "async")]
    wakers: crate::sync::WakerSet,
}

// SAFETY: the memory is reached through stores, whose protocol orders it; `place` is written once
// before `state` becomes READY.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl core::fmt::Debug for Heap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Heap")
            .field("len", &self.layout.size())
            .finish_non_exhaustive()
    }
}

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
        Ok(Self {
            base,
            layout,
            state: AtomicU64::new(VACANT),
            place: UnsafeCell::new(None),
            #[cfg(feature = "async")]
            wakers: crate::sync::WakerSet::new(),
        })
    }

    /// Bytes of the region.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    fn existing(&self) -> Option<Place> {
        // ORDERING: Acquire; [heap-ready] the place was written before.
        if self.state.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: READY: it was written once before and is never written again.
        self.place.with(|place| unsafe { *place })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

// SAFETY: the memory is this allocation, which lives as long as the region and is private to it.
unsafe impl Region for Heap {
    fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
        loop {
            if let Some(place) = self.existing() {
                if intent == Intent::Create {
                    return Err(Error::Occupied);
                }
                if intent == Intent::OpenOrCreate {
                    memory::agree(wish, self.store(&place).head)?;
                }
                return Ok(place);
            }
            if intent == Intent::Open {
                return Err(Error::Vacant);
            }
            let (shape, mut settings) = memory::fit(wish, self.layout.size(), false)?;
            let Some(offsets) = queue_bytes(shape) else {
                return Err(Error::Damaged {
                    field: "queue size",
                });
            };
            // ORDERING: Acquire; only one thread lays the queue out.
            let won =
                self.state
                    .compare_exchange(VACANT, BUSY, Ordering::Acquire, Ordering::Relaxed);
            if won.is_err() {
                crate::sync::spin_hint(); // another thread is laying it out: microseconds
                continue;
            }
            settings.nonce = nonce(self.base.as_ptr() as u64);
            let checksum = settings.flags != 0;
            let place = Place {
                offset: 0,
                offsets,
                shape,
                checksum,
            };
            // SAFETY: BUSY is ours alone: nobody uses the memory or `place` now.
            unsafe {
                memory::format(self.base.as_ptr(), shape, settings, true);
                self.place.with_mut(|cell| *cell = Some(place));
            }
            // ORDERING: Release; [heap-ready].
            self.state.store(READY, Ordering::Release);
            return Ok(place);
        }
    }

    #[inline(always)]
    fn store(&self, place: &Place) -> Store<'_> {
        // SAFETY: the place is this region's, made in `place`.
        unsafe { memory::store(self.base.as_ptr(), place) }
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        &self.wakers
    }
}

/// A name that no other queue of this process has had lately.
fn nonce(address: u64) -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    crate::hash::xxh3_64(&[address.to_le_bytes(), made.to_le_bytes()].concat())
}
