//! The mapped home: a file that processes share.

mod header;
mod os;
mod owners;

use super::home::{Intent, Region, Tended, Wish};
use super::layout::QueueHead;
use super::memory::{self, Place};
use super::store::Store;
use crate::error::Error;
use crate::pod::bytes_of;
use crate::sync::{AtomicBool, Ordering};
use crate::time::{Clock, SystemClock};
use header::{
    Birth, ENTRIES, Entry, Header, KIND_QUEUE, KIND_VACANT, REGION_BYTES_MAX, REGION_BYTES_MIN,
    REGISTRY_OFFSET, SECTIONS_OFFSET,
};
use memmap2::{MmapOptions, MmapRaw};
use os::ForkMark;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A file in any directory, `/dev/shm` included, mapped into each process that takes part.
///
/// Creation is atomic: the file gets its name when it is complete, its space is reserved (a full disk
/// is an error here and not a signal later), and file and directory are synced. Only the owner may
/// read and write it (mode 0600); widen that with the operating system's means.
///
/// Each value is one *attachment*. When its process dies, at any instruction, the kernel frees the
/// attachment's lock, and the others take back what it held (see [`Queue::tend`](crate::Queue::tend)).
/// Dropping it does the same. A forked child has no attachment of its own: its calls return
/// [`Error::Forked`] until it opens the region again.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("ringmain-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// # let path = dir.join("orders.ring");
/// use ringmain::{Mapped, Queue, QueueOptions};
/// let region = Mapped::open_or_create(&path, 1 << 20)?;
/// let orders = Queue::open_or_create(&region, QueueOptions::new())?;
/// orders.send(b"hello")?;
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug)]
pub struct Mapped {
    map: MmapRaw,
    file: File,
    path: PathBuf,
    owner: u32,
    time_base_ms: u64,
    fork: ForkMark,
    tending: AtomicBool,
    setup: Mutex<()>,
}

impl Mapped {
    /// Creates a region of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`], [`Error::NotFound`] (no such directory), [`Error::Permission`],
    /// [`Error::ReadOnly`], [`Error::NoSpace`], [`Error::RegionTooSmall`],
    /// [`Error::RegionTooLarge`]. Nothing half-made stays behind.
    pub fn create(path: impl AsRef<Path>, bytes: u64) -> Result<Self, Error> {
        let path = path.as_ref();
        if bytes < REGION_BYTES_MIN {
            return Err(Error::RegionTooSmall { len: bytes, needed: REGION_BYTES_MIN });
        }
        if bytes > REGION_BYTES_MAX {
            return Err(Error::RegionTooLarge { len: bytes, max: REGION_BYTES_MAX });
        }
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists); // said before the space is reserved; `name` decides
        }
        let unnamed = os::Unnamed::new(path)?;
        os::reserve(&unnamed.file, bytes)?;
        let birth = Birth::new(bytes, os::random(), os::wall_ms());
        unnamed
            .file
            .write_all_at(bytes_of(&birth), 0)
            .and_then(|()| unnamed.file.sync_all())
            .map_err(|e| os::error("writing the header", &e))?;
        unnamed.name(path)?;
        Self::open(path)
    }

    /// Opens a region that exists.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Permission`], [`Error::ReadOnly`], [`Error::NotARegion`],
    /// [`Error::Version`], [`Error::Truncated`], [`Error::Damaged`], [`Error::Attachments`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = os::open(path)?;
        let (birth, file_len) = os::read_birth(&file)?;
        birth.verify(file_len)?;
        let too_large = Error::RegionTooLarge { len: birth.len, max: isize::MAX as u64 };
        let len = usize::try_from(birth.len).map_err(|_| too_large)?;
        let map = MmapOptions::new()
            .len(len)
            .map_raw(&file)
            .map_err(|e| os::error("mapping the file", &e))?;
        let mut region = Self {
            map,
            file,
            path: path.to_path_buf(),
            owner: 0,
            time_base_ms: 0,
            fork: ForkMark::new()?,
            tending: AtomicBool::new(false),
            setup: Mutex::new(()),
        };
        region.existing()?; // damage is told before anything is touched
        region.attach()?;
        region.time_base_ms = region.with_setup(Self::settle_time)?;
        Ok(region)
    }

    /// Opens the region if the file exists, else creates it with `bytes` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Mapped::open) and [`create`](Mapped::create).
    pub fn open_or_create(path: impl AsRef<Path>, bytes: u64) -> Result<Self, Error> {
        let path = path.as_ref();
        for _ in 0..16 {
            match Self::open(path) {
                Err(Error::NotFound) => {}
                other => return other,
            }
            match Self::create(path, bytes) {
                Err(Error::Exists) => {} // somebody was faster
                other => return other,
            }
        }
        Err(Error::Exists) // it comes and goes: a dangling link, or a race that somebody drives
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the region.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Writes everything to the disk and waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with what the disk said.
    pub fn sync(&self) -> Result<(), Error> {
        self.map.flush().map_err(|e| os::error("syncing the region", &e))
    }

    fn header(&self) -> &Header {
        // SAFETY: the mapping has at least REGION_BYTES_MIN bytes, is aligned to a page, and Header
        // consists of atomics.
        unsafe { &*(self.map.as_ptr() as *const Header) }
    }

    fn entries(&self) -> &[Entry] {
        // SAFETY: as above; the registry ends where the sections begin.
        unsafe {
            let at = self.map.as_ptr().add(REGISTRY_OFFSET as usize) as *const Entry;
            core::slice::from_raw_parts(at, ENTRIES)
        }
    }

    /// Does `f` while nobody else lays out a section or sets the time.
    fn with_setup<T>(&self, f: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        // Threads of this attachment share its locks, so they exclude each other here.
        let _guard = self.setup.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
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
            self.store_at(&place).head.counters.time_high_ms.load(Ordering::Relaxed)
        });
        let high = if high > os::wall_ms() + (400 * 86_400_000) { 0 } else { high };
        let base = os::wall_ms().max(high + 1).saturating_sub(SystemClock.now_ms());
        header.time_base_ms.store(base, Ordering::Release);
        for (word, id) in header.boot.iter().zip(boot) {
            word.store(id, Ordering::Release);
        }
        Ok(base)
    }

    fn section(&self) -> (*mut u8, usize) {
        let offset = SECTIONS_OFFSET as usize;
        (self.map.as_mut_ptr().wrapping_add(offset), self.map.len() - offset)
    }

    /// The queue in this region, verified; `None` if there is none yet.
    fn existing(&self) -> Result<Option<Place>, Error> {
        // ORDERING: Acquire; [section-ready] the section was laid out before.
        match self.header().section.kind.load(Ordering::Acquire) {
            KIND_VACANT => Ok(None),
            KIND_QUEUE => {
                let (base, len) = self.section();
                // SAFETY: the section is mapped, aligned to a page, and shared memory is reached
                // through atomics only.
                unsafe { memory::verify(base, len, SECTIONS_OFFSET as usize) }.map(Some)
            }
            found => Err(Error::Kind { found, expected: KIND_QUEUE }),
        }
    }

    #[inline(always)]
    fn store_at(&self, place: &Place) -> Store<'_> {
        // SAFETY: the place was verified against this mapping, which lives as long as `self`.
        unsafe { memory::store(self.map.as_mut_ptr(), place) }
    }

    fn lay_out(&self, wish: &Wish) -> Result<Place, Error> {
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

impl Drop for Mapped {
    fn drop(&mut self) {
        // A forked child shares its parent's locks and leaves them alone.
        if !self.fork.is_child() {
            self.detach();
        }
    }
}

// SAFETY: the store is inside this mapping, which lives as long as the region; all participants
// reach it through the same protocol.
unsafe impl Region for Mapped {
    fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
        self.check()?;
        self.with_setup(|region| match (region.existing()?, intent) {
            (Some(_), Intent::Create) => Err(Error::Occupied),
            (None, Intent::Open) => Err(Error::Vacant),
            (None, _) => region.lay_out(wish),
            (Some(place), Intent::Open) => Ok(place),
            (Some(place), Intent::OpenOrCreate) => {
                let head: &QueueHead = region.store_at(&place).head;
                memory::agree(wish, head).map(|()| place)
            }
        })
    }

    #[inline(always)]
    fn store(&self, place: &Place) -> Store<'_> {
        self.store_at(place)
    }

    #[inline(always)]
    fn owner(&self) -> u32 {
        self.owner
    }

    #[inline(always)]
    fn time_base_ms(&self) -> u64 {
        self.time_base_ms
    }

    #[inline(always)]
    fn is_shared(&self) -> bool {
        true
    }

    #[inline(always)]
    fn check(&self) -> Result<(), Error> {
        if self.fork.is_child() { Err(Error::Forked) } else { Ok(()) }
    }

    fn tend(&self, _place: &Place) -> Tended {
        self.tend_owners()
    }

    fn attachments(&self) -> u64 {
        self.attached()
    }
}

// SAFETY: the fork mark's page is only read after it was made.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}
