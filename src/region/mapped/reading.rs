//! Attachments that only read a stream: its records are mapped so that a store into them faults.
//!
//! # What is protected
//!
//! A stream's section begins with what readers write too: heads of places, pins, seats, feeds.
//! Behind that lie the index, the headers and the granules of records, and the words of demand. An
//! attachment for reading has the pages of all these read-only, from the first page on that begins
//! behind the feeds; so up to a page less a byte at the front stays writable: index, headers, and
//! of a stream with fewer granules than one page has headers (512, with pages of 4 KiB) some of its
//! records. To have the records of each stream on pages of their own, whatever its size, the index
//! would have to begin a page: another format, and up to 4095 bytes more for each stream.
//!
//! What a wild store does to a pin or a position is what damage does: bounded, and not undone.
//!
//! # Repair
//!
//! A reader helps after a death like anybody: what the dead had claimed becomes padding, and a
//! split or merge is completed, which ends the log of a parent. Both write headers. For as long as
//! that lasts it maps the file a second time, and writes there; the addresses that it has shown to
//! anybody stay read-only, for all its threads. If the kernel has no room for that, the dead stay
//! as they are, for the next one who asks.

use super::attachment::Attachment;
use super::header::SECTIONS_OFFSET;
use super::{Mapped, os};
use crate::error::Error;
use crate::region::section::Section;
use crate::region::stream::StreamPlace;
use memmap2::MmapOptions;
use std::path::Path;

impl Mapped {
    /// Opens a region with a stream in it to read that, with the records mapped read-only: a wild
    /// store of this process into them is a fault, and changes nothing.
    ///
    /// Cursors, subscriptions and waits work as ever, and so does help after a death; whatever
    /// would put, split or merge is [`Error::OpenedForReading`]. The words by which readers and
    /// writers know of each other stay writable, and so does the file itself, which has to be:
    /// this guards against faults of a program, not against a program that wants to do harm. So do
    /// the first bytes of index and headers, less than a page.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("ringmain-reading-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # let path = dir.join("telemetry.stream");
    /// use ringmain::{Error, Mapped, Start, Stream, StreamOptions};
    /// let writer = Stream::create(Mapped::create(&path, 1 << 20)?, StreamOptions::new())?;
    /// let put = writer.put("boiler-7", b"81.5")?;
    ///
    /// let reader = Stream::open(Mapped::open_for_reading(&path)?)?;
    /// let mut cursor = reader.cursor(put.shard, Start::Oldest)?;
    /// assert_eq!(cursor.read(10)?.len(), 1);
    /// assert_eq!(reader.put("boiler-7", b"81.7"), Err(Error::OpenedForReading));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`open`](Mapped::open); [`Error::Vacant`] if there is nothing in it yet,
    /// [`Error::Kind`] if it is a queue.
    pub fn open_for_reading(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut attachment = Attachment::open(path.as_ref())?;
        attachment.guard()?;
        Ok(Self::of(attachment))
    }
}

impl Attachment {
    /// Makes the records read-only. Nobody else has this attachment yet.
    fn guard(&mut self) -> Result<(), Error> {
        let section = self.section()?.ok_or(Error::Vacant)?;
        let place = section.stream()?.for_reading();
        let from = SECTIONS_OFFSET as usize + place.read_only_from();
        os::protect(&self.map, from.next_multiple_of(os::page_bytes()))?;
        self.keep_section(Section::Stream(place));
        Ok(())
    }

    /// Shows `act` the stream at a place where all of it can be written.
    pub(super) fn with_writable<T>(
        &self,
        place: &StreamPlace,
        act: impl FnOnce(&StreamPlace) -> T,
    ) -> Result<T, Error> {
        if !place.is_for_reading() {
            return Ok(act(place));
        }
        self.look_at_file()?;
        let again = MmapOptions::new()
            .len(self.map.len())
            .map_raw(&self.file)
            .map_err(|e| os::error("mapping the file again", &e))?;
        let base = again.as_mut_ptr().wrapping_add(SECTIONS_OFFSET as usize);
        // SAFETY: the same file at the same offset, as long, so what was verified holds; `again`
        // outlives the place, which `act` is shown and cannot keep.
        let moved = unsafe { place.moved(base) };
        Ok(act(&moved))
    }
}
