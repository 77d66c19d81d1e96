//! One attachment: a mapping, its descriptor, and its place in the registry.

use super::header::{
    ENTRIES, Entry, Header, KIND_QUEUE, KIND_VACANT, REGISTRY_OFFSET, SECTIONS_OFFSET,
};
use super::os::{self, ForkMark};
use super::owners;
use crate::error::Error;
use crate::region::home::Wish;
use crate::region::memory::{self, Place};
use crate::region::store::Store;
use crate::region::verify::verify;
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use crate::time::{Clock, SystemClock, wall_ms};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What a [`Mapped`](super::Mapped) shares with its sleeper. Dropped, it detaches.
#[derive(Debug)]
pub struct Attachment {
    pub(super) map: MmapRaw,
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) owner: u32,
    pub(super) time_base_ms: u64,
    pub(super) fork: ForkMark,
    pub(super) tending: AtomicBool,
    pub(super) tended: AtomicU64,
    setup: Mutex<()>,
    #[cfg(feature = "async")]
    pub(super) wakers: crate::sync::WakerSet,
}

impl Attachment {
    /// Opens the file, checks it, and takes a place in its registry.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = os::open(path)?;
        let (birth, file_len) = os::read_birth(&file)?;
        birth.verify(file_len)?;
        let too_large = Error::RegionTooLarge {
            len: birth.len,
            max: isize::MAX as u64,
        };
        let len = usize::try_from(birth.len).map_err(|_| too_large)?;
        let map = MmapOptions::new()
            .len(len)
            .map_raw(&file)
            .map_err(|e| os::error("mapping the file", &e))?;
        let mut attachment = Self {
            map,
            file,
            path: path.to_path_buf(),
            owner: 0,
            time_base_ms: 0,
            fork: ForkMark::new()?,
            tending: AtomicBool::new(false),
            tended: AtomicU64::new(0),
            setup: Mutex::new(()),
            #[cfg(feature = "async")]
            wakers: crate::sync::WakerSet::new(),
        };
        if attachment
            .header()
            .reserved
            .iter()
            .any(|word| word.load(Ordering::Acquire) != 0)
        {
            return Err(Error::Damaged {
                field: "reserved words",
            });
        }
        attachment.existing()?; // damage is told before anything is touched
        attachment.attach()?;
        attachment.time_base_ms = attachment.with_setup(Self::settle_time)?;
        Ok(attachment)
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the mapping has at least REGION_BYTES_MIN bytes, is aligned to a page, and Header
        // consists of atomics.
        unsafe { &*(self.map.as_ptr() as *const Header) }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        // SAFETY: as above; the registry ends where the sections begin.
        unsafe {
            let at = self.map.as_ptr().add(REGISTRY_OFFSET as usize) as *const Entry;
            core::slice::from_raw_parts(at, ENTRIES)
        }
    }

    /// Does `f` while nobody else lays out a section or sets the time.
    pub(super) fn with_setup<T>(
        &self,
        f: impl FnOnce(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // Threads of this attachment share its locks, so they exclude each other here.
        let _guard = self
            .setup
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        os::lock(&self.file, owners::SETUP_BYTE)?;
        let result = f(self);
        os::unlock(&self.file, owners::SETUP_BYTE);
        result
    }

    /// The region's time base: kept during one boot, moved on over a restart so that the region's
    /// time neither runs backwards nor falls behind the wall clock.
    fn settle_time(&self) -> Result<u64, Error> {
        let header = self.header();
        let boot = os::boot_id();
        let same = (0..2).all(|i| header.boot[i].load(Ordering::Acquire) == boot[i]);
        if same && boot != [0, 0] {
            return Ok(header.time_base_ms.load(Ordering::Acquire));
        }
        let place = self.existing()?;
        let high = place.map_or(0, |place| {
            self.store_at(&place)
                .head
                .seldom
                .time_high_ms
                .load(Ordering::Relaxed)
        });
        let high = if high > wall_ms() + (400 * 86_400_000) {
            0
        } else {
            high
        };
        let base = wall_ms().max(high + 1).saturating_sub(SystemClock.now_ms());
        header.time_base_ms.store(base, Ordering::Release);
        for (word, id) in header.boot.iter().zip(boot) {
            word.store(id, Ordering::Release);
        }
        Ok(base)
    }

    fn section(&self) -> (*mut u8, usize) {
        let offset = SECTIONS_OFFSET as usize;
        (
            self.map.as_mut_ptr().wrapping_add(offset),
            self.map.len() - offset,
        )
    }

    /// The queue in this region, verified; `None` if there is none yet.
    pub(super) fn existing(&self) -> Result<Option<Place>, Error> {
        // ORDERING: Acquire; [section-ready] the section was laid out before.
        match self.header().section.kind.load(Ordering::Acquire) {
            KIND_VACANT => Ok(None),
            KIND_QUEUE => {
                let (base, len) = self.section();
                // SAFETY: the section is mapped, aligned to a page, and shared memory is reached
                // through atomics only.
                unsafe { verify(base, len, SECTIONS_OFFSET as usize) }.map(Some)
            }
            found => Err(Error::Kind {
                found,
                expected: KIND_QUEUE,
            }),
        }
    }

    #[inline(always)]
    pub(super) fn store_at(&self, place: &Place) -> Store<'_> {
        // SAFETY: the place was verified against this mapping, which lives as long as `self`.
        unsafe { memory::store(self.map.as_mut_ptr(), place) }
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.map
            .flush()
            .map_err(|e| os::error("syncing the region", &e))
    }

    pub(super) fn lay_out(&self, wish: &Wish) -> Result<Place, Error> {
        let (base, len) = self.section();
        let (shape, mut settings) = memory::fit(wish, len, true)?;
        settings.nonce = os::random();
        let section = &self.header().section;
        // A death in here leaves a vacant section that is no longer clean.
        let clean = section.dirty.swap(1, Ordering::AcqRel) == 0;
        // SAFETY: the section is vacant and the set-up lock is ours, so nobody else uses it; `fit`
        // has made the shape fit its length.
        unsafe { memory::format(base, shape, settings, clean) };
        self.sync()?;
        // ORDERING: Release; [section-ready].
        section.kind.store(KIND_QUEUE, Ordering::Release);
        self.existing()?.ok_or(Error::Vacant)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // A forked child shares its parent's locks and leaves them alone.
        if !self.fork.is_child() {
            self.detach();
        }
    }
}
