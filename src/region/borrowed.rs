//! A borrowed home: a queue in a caller's bytes, laid out at run time, without a heap.

use super::home::{Intent, Region, Wish};
use super::layout::{DURABILITY_PROCESS, FLAG_CHECKSUM, Offsets};
use super::memory::{self, Place};
use super::section::Section;
use super::store::Store;
#[cfg(feature = "stream")]
use super::stream::{self, StreamPlace, StreamWish};
use crate::error::Error;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use core::marker::PhantomData;

const VACANT: u64 = 0;
const BUSY: u64 = 1;
const READY: u64 = 2;
/// What the layout of a queue is aligned to.
const ALIGN: usize = 128;

/// A caller's bytes as memory for one queue: a buffer of the stack, a section that a linker script
/// sets aside, memory from an allocator of one's own.
///
/// ```
/// use ringmain::{Borrowed, Queue, QueueOptions};
/// let mut bytes = [0u8; 8192];
/// let queue = Queue::create(Borrowed::new(&mut bytes), QueueOptions::new())?;
/// queue.send(b"hello")?;
/// # Ok::<(), ringmain::Error>(())
/// ```
pub struct Borrowed<'a> {
    base: *mut u8,
    len: usize,
    clean: bool,
    state: AtomicU64,
    section: UnsafeCell<Option<Section>>,
    #[cfg(feature = "async")]
    wakers: crate::sync::WakerSet,
    memory: PhantomData<&'a mut [u8]>,
}

// SAFETY: the memory is exclusive to this value and reached through stores, whose protocol orders
// it; `section` is written once before `state` becomes READY.
unsafe impl Send for Borrowed<'_> {}
// SAFETY: as above.
unsafe impl Sync for Borrowed<'_> {}

impl core::fmt::Debug for Borrowed<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Borrowed")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<'a> Borrowed<'a> {
    /// Takes the bytes, whatever they hold. Up to 127 of them go to alignment.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        let skip = bytes.as_ptr().align_offset(ALIGN).min(bytes.len());
        let bytes = &mut bytes[skip..];
        // SAFETY: exclusive for 'a, initialised, and aligned by the skip (or empty).
        unsafe { Self::over(bytes.as_mut_ptr(), bytes.len(), false) }
    }

    /// Memory by its address; `clean` says that it is zero.
    ///
    /// # Safety
    ///
    /// `len` initialised bytes at `base`, aligned to 128, are valid for reads and writes during
    /// `'a`, and nobody else's.
    pub(super) unsafe fn over(base: *mut u8, len: usize, clean: bool) -> Self {
        Self {
            base,
            len,
            clean,
            state: AtomicU64::new(VACANT),
            section: UnsafeCell::new(None),
            #[cfg(feature = "async")]
            wakers: crate::sync::WakerSet::new(),
            memory: PhantomData,
        }
    }

    /// Bytes that a queue may use.
    #[allow(clippy::len_without_is_empty)] // a region without bytes holds no queue
    pub fn len(&self) -> usize {
        self.len
    }

    fn existing(&self) -> Option<Section> {
        // ORDERING: Acquire; [heap-ready] the section was written before.
        if self.state.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: READY: it was written once before and is never written again.
        self.section.with(|section| unsafe { *section })
    }

    fn lay_out(&self, wish: &Wish) -> Result<Option<Place>, Error> {
        let (shape, mut settings) = memory::fit(wish, self.len, false)?;
        let Some(offsets) = Offsets::of(shape) else {
            return Err(Error::Damaged {
                field: "queue size",
            });
        };
        if !self.begins() {
            return Ok(None);
        }
        settings.nonce = nonce(self.base.addr() as u64);
        let place = Place {
            offset: 0,
            offsets,
            blocks: shape.blocks(),
            groups: shape.groups(),
            shape,
            checksum: settings.flags & FLAG_CHECKSUM != 0,
            flags: settings.flags,
            window: settings.window,
            durability: DURABILITY_PROCESS,
        };
        // SAFETY: BUSY is ours alone: nobody uses the memory now; `fit` has made the shape fit the
        // length.
        unsafe { memory::format(self.base, shape, settings, self.clean) };
        self.is_ready(Section::Queue(place));
        Ok(Some(place))
    }

    /// Makes a stream; `None` if another thread lays something out.
    #[cfg(feature = "stream")]
    fn lay_out_stream(&self, wish: &StreamWish) -> Result<Option<StreamPlace>, Error> {
        let mut settings = stream::fit(wish, self.len, false)?;
        if !self.begins() {
            return Ok(None);
        }
        settings.nonce = nonce(self.base.addr() as u64);
        // SAFETY: as in `lay_out`.
        let place = unsafe { stream::format(self.base, &settings, self.clean) };
        let place = place.ok_or(Error::Damaged {
            field: "stream size",
        })?;
        self.is_ready(Section::Stream(place));
        Ok(Some(place))
    }

    /// Whether this thread is the one that lays something out.
    fn begins(&self) -> bool {
        // ORDERING: Acquire; only one thread does.
        let (done, failed) = (Ordering::Acquire, Ordering::Relaxed);
        self.state
            .compare_exchange(VACANT, BUSY, done, failed)
            .is_ok()
    }

    /// Tells the others what was laid out.
    fn is_ready(&self, section: Section) {
        // SAFETY: BUSY is ours alone: nobody uses `section` now.
        self.section
            .with_mut(|cell| unsafe { *cell = Some(section) });
        // ORDERING: Release; [heap-ready].
        self.state.store(READY, Ordering::Release);
    }
}

// SAFETY: the memory is exclusive to this value while it lives.
unsafe impl Region for Borrowed<'_> {
    fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
        loop {
            match (self.existing(), intent) {
                (Some(_), Intent::Create) => return Err(Error::Occupied),
                (None, Intent::Open) => return Err(Error::Vacant),
                (Some(section), Intent::Open) => {
                    let place = section.queue(wish)?;
                    return place.check_kind(wish).map(|()| place);
                }
                (Some(section), Intent::OpenOrCreate) => {
                    let place = section.queue(wish)?;
                    let store = self.store(&place);
                    return memory::agree(wish, &place, &store).map(|()| place);
                }
                (None, _) => {
                    if let Some(place) = self.lay_out(wish)? {
                        return Ok(place);
                    }
                    crate::sync::spin_hint(); // another thread is laying it out: microseconds
                }
            }
        }
    }

    #[cfg(feature = "stream")]
    fn stream_place(&self, intent: Intent, wish: &StreamWish) -> Result<StreamPlace, Error> {
        loop {
            match (self.existing(), intent) {
                (Some(_), Intent::Create) => return Err(Error::Occupied),
                (None, Intent::Open) => return Err(Error::Vacant),
                (Some(section), Intent::Open) => return section.stream(),
                (Some(section), Intent::OpenOrCreate) => {
                    let place = section.stream()?;
                    return place.agree(wish).map(|()| place);
                }
                (None, _) => {
                    if let Some(place) = self.lay_out_stream(wish)? {
                        return Ok(place);
                    }
                    crate::sync::spin_hint(); // another thread is laying it out: microseconds
                }
            }
        }
    }

    #[inline(always)]
    fn store<'s>(&'s self, place: &'s Place) -> Store<'s> {
        // SAFETY: the place is this region's, made in `lay_out`.
        unsafe { memory::store(self.base, place) }
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        &self.wakers
    }
}

/// A name that no other queue of this process has had lately; not zero.
fn nonce(address: u64) -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..].copy_from_slice(&made.to_le_bytes());
    crate::hash::xxh3_64(&bytes) | 1
}
