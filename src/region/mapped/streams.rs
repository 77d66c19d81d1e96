//! Streams in a mapped region: laying one out, and taking back what the dead have left.

use super::attachment::Attachment;
use super::header::SECTIONS_OFFSET;
use super::journal::Journal;
use super::os;
use crate::error::Error;
use crate::region::futex_wake;
use crate::region::section::Section;
use crate::region::stream::{self, KIND_STREAM, Places, Shard, StreamPlace, StreamWish};
use crate::ring::log::Position;
use crate::ring::shards::Shards;
use crate::sync::{Ordering, left_out};
use crate::time::wall_ms;

/// A latest time that is further ahead of the wall clock cannot be true, ms.
const AHEAD_MS_MAX: u64 = 400 * 86_400_000;

impl Attachment {
    pub(super) fn lay_out_stream(&self, wish: &StreamWish) -> Result<StreamPlace, Error> {
        let (base, len) = self.memory();
        let mut settings = stream::fit(wish, len, true)?;
        settings.nonce = os::random();
        let section = &self.header().section;
        if section.dirty.load(Ordering::Acquire) != 0 && self.is_in_use() {
            return Err(Error::Damaged {
                field: "section kind",
            });
        }
        // One that is left of a queue before: none of this stream's.
        let region = self.header().birth[3].load(Ordering::Relaxed);
        let _ = Journal::remove_stale(&self.path, region);
        self.remove_stale_mirror(region, settings.shape.kept)?;
        // A death in here leaves a vacant section that is no longer clean.
        let clean = section.dirty.swap(1, Ordering::AcqRel) == 0;
        // SAFETY: the section is vacant and the set-up lock is ours, so nobody else uses it; `fit`
        // has made the shape fit its length.
        let place = unsafe { stream::format(base, &settings, clean) };
        if let Some(place) = place.filter(StreamPlace::is_kept) {
            self.make_mirror(&place)?;
        }
        self.flush(self.map.len())?;
        // ORDERING: Release; [section-ready].
        section.kind.store(KIND_STREAM, Ordering::Release);
        // Others may use it by now, so it stays, and the error says so.
        self.map
            .flush_range(0, SECTIONS_OFFSET as usize)
            .map_err(|e| os::sync_error("syncing the region; the stream is there", &e))?;
        self.section()?.ok_or(Error::Vacant)?.stream()
    }

    fn shards<'s>(&'s self, place: &'s StreamPlace) -> impl Iterator<Item = Shard<'s>> {
        // SAFETY: the place was verified against this mapping, which lives as long as `self`.
        (0..place.shape.places).filter_map(|number| unsafe { Shard::new(place, number, 0) })
    }

    /// Whether a section that calls itself vacant has a stream with something in it.
    pub(super) fn has_records(&self) -> bool {
        let (base, len) = self.memory();
        // SAFETY: the section is mapped, aligned to a page, and shared memory is reached through
        // atomics only.
        let place = unsafe { stream::verify(base, len) };
        place.is_ok_and(|place| {
            let tail = |shard: Shard<'_>| shard.log().tail(Position::FIRST);
            self.shards(&place)
                .any(|shard| tail(shard) != Ok(Position::FIRST))
        })
    }

    /// The latest time in the stream of this region, unless it cannot be true, ms; 0 if there is
    /// none.
    pub(super) fn latest_of_stream_ms(&self) -> u64 {
        let Ok(Some(Section::Stream(place))) = self.section() else {
            return 0;
        };
        let shards = self.shards(&place);
        let latest = |shard: Shard<'_>| shard.head().writers.latest_ms.load(Ordering::Relaxed);
        let sound = |ms: &u64| *ms <= wall_ms() + AHEAD_MS_MAX;
        shards.map(latest).filter(sound).max().unwrap_or(0)
    }

    /// Takes back what `dead` had claimed and pinned: how many claims there were. Then it wakes all
    /// who wait for records: some of them may stand before what was claimed, and `dead` may have
    /// committed and woken nobody. Who dies in here does not set `dead` free, so the next one does
    /// it all again.
    ///
    /// # Errors
    ///
    /// Those of [`with_writable`](Self::with_writable); nothing was done then.
    pub(super) fn take_back_of_stream(&self, dead: u32) -> Result<u64, Error> {
        let Ok(Some(Section::Stream(place))) = self.section() else {
            return Ok(0);
        };
        let claims = self.with_writable(&place, |place| {
            let repair = |shard: Shard<'_>| u64::from(shard.log().repair(dead));
            let claims = self.shards(place).map(repair).sum();
            // SAFETY: as in `shards`.
            let places = unsafe { Places::new(place) };
            Shards(&places).repair(dead);
            if !left_out!("consumers") {
                places.repair_consumers(dead);
            }
            claims
        })?;
        self.rouse_of_stream(&place);
        if dead != self.owner {
            self.rouse_committers(&place);
        }
        Ok(claims)
    }

    /// Wakes all who wait for records, in all processes.
    pub(super) fn rouse_of_stream(&self, place: &StreamPlace) {
        for shard in self.shards(place) {
            if shard.event().has_sleepers_behind_stores() {
                shard.event().wake(|word| {
                    let woken = futex_wake(word, u32::MAX, true);
                    #[cfg(feature = "async")]
                    let woken = woken + shard.wake_futures(&self.wakers);
                    woken
                });
            }
        }
    }

    /// Wakes all who wait for records, whatever their flags say, and lets none of them go on
    /// sleeping.
    pub(super) fn shake_stream(&self, place: &StreamPlace) {
        for shard in self.shards(place) {
            let word = &shard.event().sequence;
            word.fetch_add(1, Ordering::SeqCst);
            futex_wake(word, u32::MAX, true);
        }
    }

    /// Wakes all who wait for records of a file that was cut short, without touching it.
    pub(super) fn wake_cut_stream(&self, place: &StreamPlace) {
        for shard in self.shards(place) {
            futex_wake(&shard.event().sequence, u32::MAX, true);
        }
        #[cfg(feature = "async")]
        self.wakers.wake(u32::MAX);
    }

    /// The shard of this number, if there is one.
    #[cfg(feature = "async")]
    pub(super) fn shard_of<'s>(
        &'s self,
        place: &'s StreamPlace,
        number: usize,
    ) -> Option<Shard<'s>> {
        // SAFETY: as above.
        unsafe { Shard::new(place, number, 0) }
    }
}
