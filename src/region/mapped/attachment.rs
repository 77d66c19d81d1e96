//! One attachment: a mapping, its descriptor, and its place in the registry.

use super::committer;
use super::header::{ENTRIES, Entry, Header, KIND_VACANT, REGISTRY_OFFSET, SECTIONS_OFFSET};
use super::journal::{self, Journal};
#[cfg(feature = "stream")]
use super::mirror::Mirror;
use super::os::{self, ForkMark};
use super::owners;
use crate::error::Error;
use crate::region::home::Wish;
use crate::region::layout::{
    DURABILITY_INTERVAL, DURABILITY_PROCESS, KIND_FIFO, KIND_QUEUE, QueueHead, Settings, Shape,
};
use crate::region::memory::{self, Place};
use crate::region::section::Section;
use crate::region::store::Store;
#[cfg(feature = "stream")]
use crate::region::stream;
use crate::region::verify::verify;
use crate::region::word::{Phase, Word};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::time::{Clock, SystemClock, wall_ms};
use crate::trace::{event, span};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// How far region time moves over a restart, at least: no receive after it is in the same
/// millisecond as one before, although the coarse clock lags behind the wall's by a tick.
const RESTART_MS: u64 = 1000;

/// The latest region time that a journal is believed, ms: in the year 2248. Stamps have twice that.
const JOURNAL_MS_MAX: u64 = 1 << 43;

/// The interval of a durability that has one.
pub fn interval(durability: u64) -> Option<Duration> {
    let timed = durability & 3 == DURABILITY_INTERVAL;
    timed.then(|| Duration::from_millis(durability >> 2))
}

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
    /// What it holds, once verified: what the file says of it later is not believed.
    section: OnceLock<Section>,
    setup: Mutex<()>,
    journal: OnceLock<Journal>,
    #[cfg(feature = "stream")]
    pub(super) mirror: OnceLock<Mirror>,
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
            section: OnceLock::new(),
            setup: Mutex::new(()),
            journal: OnceLock::new(),
            #[cfg(feature = "stream")]
            mirror: OnceLock::new(),
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
        // Before it attaches: after a restart whoever is attached has settled the time.
        attachment.time_base_ms = attachment.with_setup(Self::settle_time)?;
        attachment.attach()?;
        let owner = attachment.owner;
        event!(DEBUG, "region opened", owner = owner; path = path.display());
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

    /// An error if this attachment may not go on: a forked child, or the file was cut short.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.fork.is_sound() {
            return Ok(());
        }
        Err(self.stopped())
    }

    #[cold]
    fn stopped(&self) -> Error {
        if self.fork.is_child() {
            return Error::Forked;
        }
        Error::Truncated {
            found: os::file_len(&self.file).unwrap_or(0),
            expected: self.map.len() as u64,
        }
    }

    /// Asks the kernel whether the file is still as long as its mapping. If it is not, the next
    /// touch of what is gone would end the process: this attachment does nothing any more.
    ///
    /// A question with an answer of that moment: who cuts the file short just after it still ends
    /// this process.
    pub(super) fn look_at_file(&self) -> Result<(), Error> {
        self.check()?;
        if os::file_len(&self.file)? < self.map.len() as u64 {
            event!(ERROR, "the file was cut short"; path = self.path.display());
            self.fork.cut();
        }
        self.check()
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
    /// time neither runs backwards nor falls behind the wall clock. The first opener after a
    /// restart also makes a journaled queue again from its journal.
    fn settle_time(&self) -> Result<u64, Error> {
        let header = self.header();
        let place = self.existing().or_else(|damage| self.rebuild(damage))?;
        let journaled = place.filter(Place::is_journaled);
        if let Some(place) = &journaled {
            self.open_journal(place)?;
        }
        #[cfg(feature = "stream")]
        let kept = self.kept_stream()?;
        #[cfg(feature = "stream")]
        if let Some(kept) = &kept {
            self.open_mirror(kept)?;
        }
        let boot = os::boot_id();
        let same = (0..2).all(|i| header.boot[i].load(Ordering::Acquire) == boot[i]);
        let base = header.time_base_ms.load(Ordering::Acquire);
        let sound = header.time_check.load(Ordering::Acquire) == Header::time_checksum(boot, base);
        if same && sound && boot != [0, 0] {
            return Ok(base);
        }
        let mut high = match place {
            Some(place) => self.latest_ms(&place),
            #[cfg(feature = "stream")]
            None => self.latest_of_stream_ms(),
            #[cfg(not(feature = "stream"))]
            None => 0,
        };
        #[cfg(feature = "stream")]
        if let Some(kept) = kept.filter(|_| !same || boot == [0, 0]) {
            self.may_recover(boot)?;
            high = self.recover_stream(&kept)?;
        }
        // A wrong time alone, in the same boot, is damage: the queue is as its participants know
        // it.
        let restarted = journaled.filter(|_| !same || boot == [0, 0]);
        if let Some(place) = &restarted {
            self.may_recover(boot)?;
            high = self.recover(place, high)?;
        }
        let now_ms = wall_ms().max(high).saturating_add(RESTART_MS);
        let base = now_ms.saturating_sub(SystemClock.now_ms());
        if let Some(place) = &restarted {
            let seldom = &self.store_at(place).head().seldom;
            seldom.recovered_ms.store(now_ms, Ordering::Relaxed);
            seldom.time_high_ms.store(now_ms, Ordering::Relaxed);
        }
        header.time_base_ms.store(base, Ordering::Release);
        let check = Header::time_checksum(boot, base);
        header.time_check.store(check, Ordering::Release);
        for (word, id) in header.boot.iter().zip(boot) {
            word.store(id, Ordering::Release);
        }
        Ok(base)
    }

    /// An error unless this is a restart of the machine.
    fn may_recover(&self, boot: [u64; 2]) -> Result<(), Error> {
        if boot == [0, 0] {
            // Without it a restart of the machine looks like one of the process.
            return Err(Error::Os {
                doing: "reading the boot id, which a journal needs",
                errno: libc::ENOENT,
            });
        }
        if self.is_attached_elsewhere() {
            // Nobody can be after a restart, so the boot id in the header is wrong.
            return Err(Error::Damaged { field: "boot id" });
        }
        Ok(())
    }

    /// The latest time seen in a queue, unless it cannot be true, ms.
    fn latest_ms(&self, place: &Place) -> u64 {
        let seldom = &self.store_at(place).head().seldom;
        let high = seldom.time_high_ms.load(Ordering::Relaxed);
        if high > wall_ms() + (400 * 86_400_000) {
            0
        } else {
            high
        }
    }

    fn nonces(&self, place: &Place) -> [u64; 2] {
        // ORDERING: Relaxed; written before the file had a name, and before the section was ready.
        let region = self.header().birth[3].load(Ordering::Relaxed);
        let config = &self.store_at(place).head().config;
        [region, config.nonce.load(Ordering::Relaxed)]
    }

    /// Opens the journal of a queue, once.
    fn open_journal(&self, place: &Place) -> Result<&Journal, Error> {
        if self.journal.get().is_none() {
            let journal = Journal::open(&self.path, self.nonces(place), &place.shape)?;
            let _ = self.journal.set(journal); // who sets it holds the set-up lock
        }
        self.journal.get().ok_or(Error::NoJournal)
    }

    /// Opens the journal if the queue has one: it may have been made after this attachment.
    pub(super) fn with_journal(&self, place: &Place) -> Result<(), Error> {
        if place.is_journaled() {
            self.with_setup(|region| region.open_journal(place).map(|_| ()))?;
        }
        Ok(())
    }

    /// Lays an empty queue out in the section.
    ///
    /// # Safety
    ///
    /// The shape fits the section, and nobody else uses it.
    unsafe fn format(&self, shape: Shape, settings: Settings, clean: bool) {
        let base = self.memory().0;
        // SAFETY: the caller's promise; the section is mapped and aligned to a page.
        unsafe { memory::format(base, shape, settings, clean) };
        // SAFETY: laid out just now; it consists of atomics.
        let config = unsafe { &(*(base as *const QueueHead)).config };
        config.check.store(config.checksum(), Ordering::Release);
    }

    /// After a restart of the machine: writes the head of a queue that is damaged anew, as its
    /// journal has it. The set-up lock is the caller's.
    ///
    /// # Errors
    ///
    /// `damage`, unless a journal of this region says what was there, and nobody uses it.
    fn rebuild(&self, damage: Error) -> Result<Option<Place>, Error> {
        let header = self.header();
        let boot = os::boot_id();
        let same = (0..2).all(|i| header.boot[i].load(Ordering::Acquire) == boot[i]);
        if same || boot == [0, 0] || self.is_attached_elsewhere() {
            return Err(damage);
        }
        // ORDERING: Relaxed; written before the file had a name.
        let region = header.birth[3].load(Ordering::Relaxed);
        #[cfg(feature = "stream")]
        if self.rebuild_stream(region) {
            return self.existing();
        }
        let Some((shape, settings)) = journal::kept(&self.path, region) else {
            return Err(damage);
        };
        let head = self.memory().0 as *mut QueueHead;
        // SAFETY: a section has room for a head, and is aligned to a page. Nobody else uses it:
        // nobody is attached, and who wants to be settles the time first; that lock is ours.
        unsafe { head.write(QueueHead::new(shape, settings)) };
        // SAFETY: written just now; it consists of atomics.
        let config = unsafe { &(*head).config };
        config.check.store(config.checksum(), Ordering::Release);
        // ORDERING: Release; [section-ready]. It is looked at as if it had always been there.
        let kind = match shape.fifo.is_fifo() {
            true => KIND_FIFO,
            false => KIND_QUEUE,
        };
        header.section.kind.store(kind, Ordering::Release);
        event!(
            WARN,
            "the head of a queue was damaged, and is as the journal has it";
            path = self.path.display(),
            error = damage
        );
        self.existing()
    }

    /// Makes a queue again from its journal after the machine has stopped; the latest time in it.
    fn recover(&self, place: &Place, high: u64) -> Result<u64, Error> {
        let _span = span!(INFO, "recovery"; path = self.path.display());
        let journal = self.open_journal(place)?;
        let head = self.store_at(place).head();
        let config = &head.config;
        let settings = Settings {
            policy: head.policy.numbers(),
            flags: config.flags.load(Ordering::Relaxed),
            nonce: config.nonce.load(Ordering::Relaxed),
            durability: config.durability.load(Ordering::Relaxed),
            window: config.window.load(Ordering::Relaxed),
        };
        // SAFETY: the shape was verified to fit the section. Nobody else uses it: nobody is
        // attached, and who wants to be settles the time first; the set-up lock for it is ours.
        unsafe { self.format(place.shape, settings, false) };
        let store = self.store_at(place);
        let recovered = journal.recover(&store)?;
        let damaged = store.head().counters.damaged.load(Ordering::Relaxed);
        let messages = recovered.messages;
        event!(
            INFO,
            "made again from the journal",
            messages = messages,
            damaged = damaged
        );
        // A time that no stamp can go on from is none.
        let told = Some(recovered.time_ms).filter(|ms| *ms <= JOURNAL_MS_MAX);
        let high = high.max(told.unwrap_or(0));
        store
            .head()
            .seldom
            .time_high_ms
            .store(high, Ordering::Relaxed);
        Ok(high)
    }

    /// Waits until commit `until` of the queue is on the disk.
    pub(super) fn commit(&self, place: &Place, until: u64) -> Result<(), Error> {
        let journal = self.journal.get().ok_or(Error::NoJournal)?;
        let committed = journal.commit(&self.file, &self.store_at(place), until);
        if let Err(error) = &committed {
            let path = self.path.display();
            event!(ERROR, "a commit to the journal failed"; path = path, error = error);
        }
        committed
    }

    /// After a death: what its commit left is marked again, and another committer is woken.
    pub(super) fn restore_journal(&self, place: &Place) {
        if let Some(journal) = self.journal.get() {
            journal.restore(&self.file, &self.store_at(place));
            committer::rouse(self, &Section::Queue(*place), u32::MAX);
        }
    }

    /// Commits what a timed committer would have, before this attachment goes. Who commits at this
    /// moment lives, and finds the rest pending.
    pub(super) fn commit_last(&self) {
        if let (Some(journal), Ok(Some(place))) = (self.journal.get(), self.existing())
            && interval(place.durability).is_some()
            && self.store_at(&place).is_pending()
        {
            journal.commit_if_free(&self.file, &self.store_at(&place));
        }
    }

    /// Where the section lies, and how long it is.
    pub(super) fn memory(&self) -> (*mut u8, usize) {
        let offset = SECTIONS_OFFSET as usize;
        (
            self.map.as_mut_ptr().wrapping_add(offset),
            self.map.len() - offset,
        )
    }

    /// The queue in this region, verified once; `None` if there is none.
    pub(super) fn existing(&self) -> Result<Option<Place>, Error> {
        match self.section()? {
            Some(Section::Queue(place)) => Ok(Some(place)),
            _ => Ok(None),
        }
    }

    /// What is in this region, verified once; `None` if there is nothing yet.
    pub(super) fn section(&self) -> Result<Option<Section>, Error> {
        if let Some(section) = self.section.get() {
            return Ok(Some(*section));
        }
        let (base, len) = self.memory();
        // ORDERING: Acquire; [section-ready] the section was laid out before.
        match self.header().section.kind.load(Ordering::Acquire) {
            KIND_VACANT => Ok(None),
            kind @ (KIND_QUEUE | KIND_FIFO) => {
                // SAFETY: the section is mapped, aligned to a page, and shared memory is reached
                // through atomics only.
                let place = unsafe { verify(base, len, SECTIONS_OFFSET as usize, kind) }?;
                Ok(Some(*self.section.get_or_init(|| Section::Queue(place))))
            }
            #[cfg(feature = "stream")]
            stream::KIND_STREAM => {
                // SAFETY: as above; granules are reached by the protocol of streams only.
                let place = unsafe { stream::verify(base, len) }?;
                Ok(Some(*self.section.get_or_init(|| Section::Stream(place))))
            }
            found => Err(Error::Kind {
                found,
                expected: KIND_QUEUE,
            }),
        }
    }

    /// What is in this region is as its only holder says.
    #[cfg(feature = "stream")]
    pub(super) fn keep_section(&mut self, section: Section) {
        self.section = OnceLock::from(section);
    }

    #[inline(always)]
    pub(super) fn store_at<'s>(&'s self, place: &'s Place) -> Store<'s> {
        // SAFETY: the place was verified against this mapping, which lives as long as `self`.
        unsafe { memory::store(self.map.as_mut_ptr(), place) }
    }

    /// Writes all pages of the region to the disk; a journaled queue's journal in their stead.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.look_at_file()?;
        match self.section()? {
            Some(Section::Queue(place)) if self.journal.get().is_some() => {
                self.commit(&place, self.store_at(&place).position())
            }
            #[cfg(feature = "stream")]
            Some(Section::Stream(place)) if place.is_kept() => self.sync_stream(&place),
            _ => self.flush(self.map.len()),
        }
    }

    /// The word of a section by which its committers are told; `None` if it has none.
    pub(super) fn pending<'s>(&'s self, section: &'s Section) -> Option<&'s AtomicU32> {
        match section {
            Section::Queue(place) => Some(&self.store_at(place).head().seldom.pending),
            #[cfg(feature = "stream")]
            Section::Stream(place) => self.pending_of_stream(place),
        }
    }

    /// Commits what is there, for the thread that does so from time to time.
    pub(super) fn commit_timed(&self, section: &Section) -> Result<(), Error> {
        match section {
            Section::Queue(place) => self.commit(place, u64::MAX),
            #[cfg(feature = "stream")]
            Section::Stream(place) => self.commit_some(place),
        }
    }

    /// Writes the head of a queue that has a journal to the disk: its settings are there and not in
    /// the journal, and each word tells for itself whether it is whole.
    pub(super) fn keep_head(&self, place: &Place) -> Result<(), Error> {
        if !place.is_journaled() {
            return Ok(());
        }
        self.map
            .flush_range(SECTIONS_OFFSET as usize, size_of::<QueueHead>())
            .map_err(|e| Error::NotDurable {
                errno: e.raw_os_error().unwrap_or(libc::EIO),
            })
    }

    /// Writes the first `len` bytes to the disk.
    pub(super) fn flush(&self, len: usize) -> Result<(), Error> {
        self.map
            .flush_range(0, len)
            .map_err(|e| os::error("syncing the region", &e))
    }

    /// Whether a section that calls itself vacant has a whole queue or stream with something in it.
    /// A layout that a death left half-made has not.
    pub(super) fn is_in_use(&self) -> bool {
        #[cfg(feature = "stream")]
        if self.has_records() {
            return true;
        }
        let (base, len) = self.memory();
        [KIND_QUEUE, KIND_FIFO].into_iter().any(|kind| {
            // SAFETY: as in `existing`.
            let place = unsafe { verify(base, len, SECTIONS_OFFSET as usize, kind) };
            place.is_ok_and(|place| {
                let mut words = self.store_at(&place).words().iter();
                words.any(|word| Word(word.load(Ordering::Relaxed)).phase() != Phase::Free)
            })
        })
    }

    pub(super) fn lay_out(&self, wish: &Wish) -> Result<Place, Error> {
        let (_, len) = self.memory();
        let (shape, mut settings) = memory::fit(wish, len, true)?;
        settings.nonce = os::random();
        let section = &self.header().section;
        if section.dirty.load(Ordering::Acquire) != 0 && self.is_in_use() {
            return Err(Error::Damaged {
                field: "section kind",
            });
        }
        let region = self.header().birth[3].load(Ordering::Relaxed);
        let journaled = settings.durability != DURABILITY_PROCESS;
        let stale = Journal::remove_stale(&self.path, region);
        if journaled {
            stale?; // in the way; else it is none of ours
        }
        // A death in here leaves a vacant section that is no longer clean, and perhaps a journal
        // that the next one removes.
        let clean = section.dirty.swap(1, Ordering::AcqRel) == 0;
        // SAFETY: the section is vacant and the set-up lock is ours, so nobody else uses it; `fit`
        // has made the shape fit its length.
        unsafe { self.format(shape, settings, clean) };
        self.flush(self.map.len())?;
        if journaled {
            let journal = Journal::create(&self.path, region, &shape, &settings)?;
            let _ = self.journal.set(journal);
        }
        let kind = match wish.fifo {
            Some(_) => KIND_FIFO,
            None => KIND_QUEUE,
        };
        // ORDERING: Release; [section-ready].
        section.kind.store(kind, Ordering::Release);
        // Others may use it by now, so it stays, and the error says so.
        self.map
            .flush_range(0, SECTIONS_OFFSET as usize)
            .map_err(|e| os::sync_error("syncing the region; the queue is there", &e))?;
        self.existing()?.ok_or(Error::Vacant)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // A forked child shares its parent's locks and leaves them alone. Of a file that is cut
        // short nothing is touched: to the others this is a death.
        if self.look_at_file().is_ok() {
            self.detach();
        }
    }
}
