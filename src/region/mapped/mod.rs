//! The mapped home: a file that processes share.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("feature `mapped` needs a 64-bit target: locks lie beyond 2 GiB of file offsets");

mod attachment;
mod committer;
mod companion;
mod directory;
mod header;
mod inspect;
mod journal;
#[cfg(feature = "stream")]
mod keeping;
#[cfg(feature = "stream")]
mod mirror;
mod os;
mod owners;
#[cfg(feature = "stream")]
mod reading;
pub(crate) mod side;
#[cfg(feature = "async")]
mod sleeper;
#[cfg(feature = "stream")]
mod streams;
mod warden;
mod watch;

use super::home::{Intent, Region, Tended, Wish};
use super::memory::{self, Place};
use super::section::Section;
use super::store::Store;
#[cfg(feature = "stream")]
use super::stream::{StreamPlace, StreamWish};
use crate::error::Error;
use crate::pod::bytes_of;
use crate::time::wall_ms;
use crate::trace::event;
use attachment::Attachment;
use committer::Committer;
pub use directory::Directory;
use header::{Birth, REGION_BYTES_MAX, REGION_BYTES_MIN, SECTIONS_OFFSET};
#[cfg(feature = "stream")]
pub use mirror::Until;
#[cfg(feature = "async")]
use sleeper::Sleeper;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use warden::Warden;

/// A file in any directory, `/dev/shm` included, mapped into each process that takes part.
///
/// Creation is atomic: the file gets its name when it is complete, its space is reserved (a full
/// disk is an error here and not a signal later), and file and directory are synced. Only the owner
/// may read and write it (mode 0600); widen that with the operating system's means.
///
/// Each value is one *attachment*. When its process dies, at any instruction, the kernel frees the
/// attachment's lock, and the others take back what it held (see
/// [`Queue::tend`](crate::Queue::tend)). Dropping it does the same. A forked child has no
/// attachment of its own: its calls return [`Error::Forked`] until it opens the region again.
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
    // Before the attachment, so that their threads are gone when that detaches.
    #[cfg(feature = "async")]
    sleeper: Sleeper,
    warden: Arc<Warden>,
    committer: Committer,
    attachment: Arc<Attachment>,
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
            return Err(Error::RegionTooSmall {
                len: bytes,
                needed: REGION_BYTES_MIN,
            });
        }
        if bytes > REGION_BYTES_MAX {
            return Err(Error::RegionTooLarge {
                len: bytes,
                max: REGION_BYTES_MAX,
            });
        }
        if path.symlink_metadata().is_ok() {
            return Err(Error::Exists); // said before the space is reserved; `name` decides
        }
        let unnamed = os::Unnamed::new(path)?;
        os::reserve(&unnamed.file, bytes)?;
        let birth = Birth::new(bytes, os::random(), wall_ms());
        unnamed
            .file
            .write_all_at(bytes_of(&birth), 0)
            .and_then(|()| unnamed.file.sync_all())
            .map_err(|e| os::error("writing the header", &e))?;
        unnamed.name(path)?;
        event!(INFO, "region created", bytes = bytes; path = path.display());
        Self::open(path)
    }

    /// Opens a region that exists.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Permission`], [`Error::ReadOnly`], [`Error::NotARegion`],
    /// [`Error::Version`], [`Error::Truncated`], [`Error::Damaged`], [`Error::Attachments`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self::of(Attachment::open(path.as_ref())?))
    }

    fn of(attachment: Attachment) -> Self {
        let attachment = Arc::new(attachment);
        let warden = Arc::new(Warden::new(&attachment));
        Self {
            #[cfg(feature = "async")]
            sleeper: Sleeper::new(&attachment, &warden),
            warden,
            committer: Committer::new(&attachment),
            attachment,
        }
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
        &self.attachment.path
    }

    /// Bytes of the region.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> u64 {
        self.attachment.map.len() as u64
    }

    /// Writes everything to the disk and waits for it. With a queue or stream in it that survives
    /// the machine this is its `sync`. Without, it writes the pages of the region: what was there
    /// then survives the machine if nobody changes anything before it stops.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] with what the disk said; [`Error::NotDurable`].
    pub fn sync(&self) -> Result<(), Error> {
        self.attachment.sync()
    }
}

// SAFETY: the store is inside this mapping, which lives as long as the region; all participants
// reach it through the same protocol.
unsafe impl Region for Mapped {
    fn place(&self, intent: Intent, wish: &Wish) -> Result<Place, Error> {
        self.attachment.look_at_file()?;
        let place = self
            .attachment
            .with_setup(|region| match (region.section()?, intent) {
                (Some(_), Intent::Create) => Err(Error::Occupied),
                (None, Intent::Open) => Err(Error::Vacant),
                (None, _) => region.lay_out(wish),
                (Some(section), Intent::Open) => {
                    let place = section.queue(wish)?;
                    place.check_kind(wish).map(|()| place)
                }
                (Some(section), Intent::OpenOrCreate) => {
                    let place = section.queue(wish)?;
                    memory::agree(wish, &place, &region.store_at(&place)).map(|()| place)
                }
            })?;
        self.attachment.with_journal(&place)?;
        if let Some(interval) = attachment::interval(place.durability) {
            self.committer
                .start(Section::Queue(place), interval)
                .map_err(|e| os::error("starting a thread", &e))?;
        }
        Ok(place)
    }

    #[cfg(feature = "stream")]
    fn stream_place(&self, intent: Intent, wish: &StreamWish) -> Result<StreamPlace, Error> {
        self.attachment.look_at_file()?;
        let place = self
            .attachment
            .with_setup(|region| match (region.section()?, intent) {
                (Some(_), Intent::Create) => Err(Error::Occupied),
                (None, Intent::Open) => Err(Error::Vacant),
                (None, _) => region.lay_out_stream(wish),
                (Some(section), Intent::Open) => section.stream(),
                (Some(section), Intent::OpenOrCreate) => {
                    let place = section.stream()?;
                    place.agree(wish).map(|()| place)
                }
            })?;
        self.attachment.with_mirror(&place)?;
        if let Some(interval) = attachment::interval(place.durability) {
            self.committer
                .start(Section::Stream(place), interval)
                .map_err(|e| os::error("starting a thread", &e))?;
        }
        Ok(place)
    }

    #[cfg(feature = "stream")]
    fn commit_stream(&self, place: &StreamPlace, until: Until) -> Result<(), Error> {
        self.attachment.commit_stream(place, until)
    }

    #[cfg(feature = "stream")]
    #[cold]
    fn rouse_stream(&self, place: &StreamPlace) {
        committer::rouse(&self.attachment, &Section::Stream(*place), 1);
    }

    #[cfg(feature = "stream")]
    fn with_writable(
        &self,
        place: &StreamPlace,
        act: &mut dyn FnMut(&StreamPlace),
    ) -> Result<(), Error> {
        self.attachment.with_writable(place, act)
    }

    #[inline(always)]
    fn store<'s>(&'s self, place: &'s Place) -> Store<'s> {
        self.attachment.store_at(place)
    }

    #[inline(always)]
    fn owner(&self) -> u32 {
        self.attachment.owner
    }

    #[inline(always)]
    fn time_base_ms(&self) -> u64 {
        self.attachment.time_base_ms
    }

    #[inline(always)]
    fn is_shared(&self) -> bool {
        true
    }

    #[inline(always)]
    fn check(&self) -> Result<(), Error> {
        self.attachment.check()
    }

    fn tend(&self) -> Tended {
        self.attachment.tend_owners()
    }

    #[cold]
    fn wait_begins(&self) {
        self.warden.wait_begins();
    }

    #[cold]
    fn wait_ends(&self) {
        self.warden.wait_ends();
    }

    fn is_watched(&self) -> bool {
        self.warden.is_watching()
    }

    fn commit(&self, place: &Place, until: u64) -> Result<(), Error> {
        self.attachment.commit(place, until)
    }

    fn keep_settings(&self, place: &Place) -> Result<(), Error> {
        self.attachment.keep_head(place)
    }

    #[cold]
    fn rouse(&self, place: &Place) {
        committer::rouse(&self.attachment, &Section::Queue(*place), 1);
    }

    #[cfg(feature = "async")]
    #[inline(always)]
    fn wakers(&self) -> &crate::sync::WakerSet {
        &self.attachment.wakers
    }

    #[cfg(feature = "async")]
    fn arm(&self, _place: &Place) {
        self.sleeper.start();
    }

    #[cfg(all(feature = "async", feature = "stream"))]
    fn arm_stream(&self) {
        self.sleeper.start_at_stream();
    }

    fn attachments(&self) -> u64 {
        self.attachment.attached()
    }
}
