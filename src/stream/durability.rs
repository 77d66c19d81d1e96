//! What of a stream survives the machine: levels, positions, and waiting for the disk.

use super::put::Put;
use super::shared::{Stream, StreamSequence};
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::Shard;
use crate::ring::log;
use crate::time::Clock;
#[cfg(feature = "mapped")]
use crate::{
    region::mapped::Until,
    region::{Durability, Position},
    ring::shards::Shards,
    sync::{Ordering, store_load},
};

#[cfg(feature = "mapped")]
impl<R: Region, C: Clock> Stream<R, C> {
    /// The level of this handle: that of the stream, or the one that [`at`](Stream::at) gave it.
    pub fn durability(&self) -> Durability {
        Durability::decode(self.durability)
    }

    /// A handle to the same stream with another level, for the calls that need it.
    ///
    /// A stream that was created with [`Durability::Process`] has no mirror, and allows that level
    /// alone. The interval of a mirror is fixed at creation.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::OptionsDiffer`] (another interval), [`Error::OutOfRange`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("ringmain-doc-kept-{}", std::process::id()));
    /// # std::fs::create_dir_all(&dir).unwrap();
    /// # let path = dir.join("telemetry.ring");
    /// use ringmain::{Durability, Mapped, Stream, StreamOptions};
    /// use std::time::Duration;
    ///
    /// let every = Durability::Interval(Duration::from_millis(50));
    /// let region = Mapped::create(&path, 1 << 20)?;
    /// let telemetry = Stream::create(&region, StreamOptions::new().durability(every))?;
    /// telemetry.put("boiler-7", b"81.5")?; // on the disk within 50 ms
    /// telemetry.at(Durability::BeforeOk)?.put("boiler-7", b"trip")?; // on the disk
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn at(&self, level: Durability) -> Result<Stream<&R, &C>, Error> {
        let wanted = level.beside(self.site.place().durability)?;
        Ok(self.by_ref(wanted))
    }

    /// The position of what has been put so far, through any handle: once
    /// [`durable_position`](Stream::durable_position) has reached it, all of that is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn position(&self) -> Result<Position, Error> {
        Ok(Position(self.keep()?.head.position()))
    }

    /// The position up to which everything is on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::NoJournal`], [`Error::Forked`].
    pub fn durable_position(&self) -> Result<Position, Error> {
        Ok(Position(self.keep()?.head.durable_position()))
    }

    /// Waits until everything up to `position` is on the disk. Who waits writes: one of those that
    /// wait does it for all.
    ///
    /// # Errors
    ///
    /// [`Error::NotDurable`]: the disk refused, or somebody has claimed a record and not committed
    /// it in 2 s (`ETIMEDOUT`); what was put stays in the stream, survives the process, and the
    /// next commit tries again. [`Error::OutOfRange`]: no such position yet. [`Error::NoJournal`],
    /// [`Error::Forked`].
    ///
    /// # Progress
    ///
    /// Blocks: on the disk, on another participant that is writing, and on records that are claimed
    /// and not yet committed. If one of those dies, the kernel lets the next one in; if it is
    /// stopped, this waits.
    pub fn wait_durable(&self, position: Position) -> Result<(), Error> {
        position.check(self.keep()?.head.position())?;
        let until = Until::Commit(position.0);
        self.region().commit_stream(self.site.place(), until)
    }

    /// Makes everything that has been put so far, through any handle, survive the machine.
    ///
    /// # Errors
    ///
    /// As [`wait_durable`](Stream::wait_durable).
    ///
    /// # Progress
    ///
    /// As [`wait_durable`](Stream::wait_durable).
    pub fn sync(&self) -> Result<Position, Error> {
        let position = self.position()?;
        self.wait_durable(position)?;
        Ok(position)
    }

    fn keep(&self) -> Result<crate::region::stream::Keep<'_>, Error> {
        self.region().check()?;
        self.site.places().keep().ok_or(Error::NoJournal)
    }
}

#[cfg(feature = "mapped")]
impl<R: Region, C: Clock> Stream<R, C> {
    /// Whether this handle waits for the disk.
    #[inline(always)]
    pub(super) fn waits_for_disk(&self) -> bool {
        self.site.place().is_kept() && self.durability() == Durability::BeforeOk
    }

    /// What follows a put whose last record is at `at`, behind the fence of `wake`.
    #[inline(always)]
    pub(super) fn make_durable(&self, shard: &Shard<'_>, at: log::Position) -> Result<(), Error> {
        match self.site.place().is_kept() {
            true => self.wait_for_disk(shard, at),
            false => Ok(()),
        }
    }

    #[inline(never)]
    fn wait_for_disk(&self, shard: &Shard<'_>, at: log::Position) -> Result<(), Error> {
        if self.durability() == Durability::BeforeOk {
            let until = Until::Record(shard.number(), at);
            return self.region().commit_stream(self.site.place(), until);
        }
        self.rouse();
        Ok(())
    }

    /// The same for a record of which the place was told.
    pub(super) fn make_put_durable(&self, put: Put) -> Result<(), Error> {
        if !self.site.place().is_kept() {
            return Ok(());
        }
        let place = Shards(&self.site.places()).place_of(put.shard.0);
        match self.site.shard(place, put.shard.0) {
            Some(shard) => self.wait_for_disk(&shard, put.sequence.0),
            None => Ok(()),
        }
    }

    /// Tells the timed committer of a batch.
    #[inline(always)]
    pub(super) fn rouse_committer(&self) {
        if self.site.place().is_kept() {
            self.rouse();
        }
    }

    /// What follows a change of shards or consumers.
    pub(super) fn make_change_durable(&self) -> Result<(), Error> {
        if !self.site.place().is_kept() {
            return Ok(());
        }
        if self.durability() == Durability::BeforeOk {
            return self.sync().map(|_| ());
        }
        store_load();
        self.rouse();
        Ok(())
    }

    /// Tells the timed committer, unless somebody has. Behind a fence.
    #[inline(never)]
    fn rouse(&self) {
        let place = self.site.place();
        let timed = matches!(
            Durability::decode(place.durability),
            Durability::Interval(_)
        );
        if timed
            && let Some(keep) = self.site.places().keep()
            && !keep.head.is_pending()
        {
            self.region().rouse_stream(place);
        }
    }

    /// Before the oldest segment of a shard is given up: what there is not on the disk goes there.
    pub(super) fn keep_oldest(&self, shard: &Shard<'_>, oldest: log::Position) {
        let Some((kept, _)) = self.kept(shard.number()) else {
            return;
        };
        let next = shard.shape().ring.next(oldest);
        if next.is_some_and(|next| kept.0 < next) {
            // If the disk refuses, the segment is given up all the same; and if a claim is in the
            // way, that is told.
            let _ = self.region().commit_stream(self.site.place(), Until::Now);
        }
    }

    /// Up to where a place is on the disk, and how many holes it had; `None` without a mirror.
    pub(super) fn kept(&self, place: usize) -> Option<(StreamSequence, u64)> {
        let keep = self.site.places().keep()?;
        let kept = keep.shards.get(place)?;
        Some((
            StreamSequence(kept.position()),
            kept.damaged.load(Ordering::Relaxed),
        ))
    }
}

/// Without files nothing survives the machine.
#[cfg(not(feature = "mapped"))]
impl<R: Region, C: Clock> Stream<R, C> {
    #[inline(always)]
    pub(super) fn waits_for_disk(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn make_durable(&self, _: &Shard<'_>, _: log::Position) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn make_put_durable(&self, _: Put) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn rouse_committer(&self) {}

    #[inline(always)]
    pub(super) fn make_change_durable(&self) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn keep_oldest(&self, _: &Shard<'_>, _: log::Position) {}

    #[inline(always)]
    pub(super) fn kept(&self, _: usize) -> Option<(StreamSequence, u64)> {
        None
    }
}
