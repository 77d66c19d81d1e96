//! Waiting for records, and waking those who wait.
//!
//! # Protocol
//!
//! Each shard has an event count ([`region::event`](crate::region::event)). A *waiter* prepares
//! there, looks at its cursor's boundary once more, and sleeps. Whoever changes what readers see of
//! a shard does so by a plain store, then reads the flag behind a fence, and if it is set wakes
//! all: a record is for each of them. That is a commit; a claim that is given up, for readers go on
//! behind it; and the end of a shard that is split or merged.
//!
//! `[sleeper-flag]`: the waiter sets the flag and then looks; the committer stores the header and
//! then reads the flag, a fence between. One of the two sees the other.
//!
//! A look is at headers alone, from the cursor's boundary over padding to the next thing. It needs
//! no pin: a header says of which lap it is, and a record that is gone by then is told by the read.
//!
//! # Deaths
//!
//! - *A waiter* leaves nothing but the flag: the shard's next writer makes a system call.
//! - *A committer, between commit and wake*: its commit stands, and whoever slept there sleeps on.
//!   But who takes back what a dead participant held wakes all sleepers of the stream before it
//!   says that it is done, whatever it has found. If it dies too, the next one does it again. So
//!   sleepers are woken as soon as the kernel confirms the death: by the warden of any of them.
//! - *A claimant*: its claim becomes padding in the same repair, so readers behind it are woken.
//!
//! One that stands still between commit and wake is no death, and nobody is told. For that sleeps
//! are bounded: 4 s, where wardens watch, and 8 ms where deaths have to be asked for.

#[cfg(any(feature = "std", feature = "async"))]
use super::cursor::Cursor;
use super::shared::Stream;
#[cfg(any(feature = "std", feature = "async"))]
use crate::error::Error;
use crate::region::Region;
use crate::region::stream::Shard;
#[cfg(any(feature = "std", feature = "async"))]
use crate::ring::log::Step;
use crate::time::Clock;

#[cfg(feature = "std")]
use super::records::Records;
#[cfg(feature = "std")]
use super::shared::TEND_EVERY_MS;
#[cfg(feature = "std")]
use crate::region::{Futex, futex_wait};
#[cfg(feature = "std")]
use crate::time::{Deadline, spins};
#[cfg(feature = "std")]
use crate::wait::{WAIT_MS_MAX, Waiting, check_wait};
#[cfg(feature = "std")]
use core::time::Duration;

/// The longest sleep of one that is told of deaths, ms.
#[cfg(feature = "std")]
const SLEEP_MS_MAX: u64 = 4096;

impl<R: Region, C: Clock> Stream<R, C> {
    /// Wakes whoever waits for records of a shard: after each change of it that readers see.
    #[inline(always)]
    pub(super) fn wake(&self, shard: &Shard<'_>) {
        #[cfg(any(feature = "std", feature = "async"))] // elsewhere nobody waits
        if shard.event().has_sleepers_behind_stores() {
            self.wake_sleepers(shard);
        }
        let _ = shard;
    }

    /// Wakes whoever waits anywhere: after shards were closed.
    pub(super) fn wake_all(&self) {
        for place in 0..self.site.place().shape.places {
            if let Some(shard) = self.site.shard(place, 0) {
                self.wake(&shard);
            }
        }
    }

    #[cfg(any(feature = "std", feature = "async"))]
    #[cold]
    fn wake_sleepers(&self, shard: &Shard<'_>) {
        shard.event().wake(|word| {
            let _ = word;
            let mut woken = 0;
            #[cfg(feature = "std")]
            {
                woken += crate::region::futex_wake(word, u32::MAX, self.region().is_shared());
            }
            #[cfg(feature = "async")]
            {
                woken += shard.wake_futures(self.region().wakers());
            }
            woken
        });
    }
}

#[cfg(any(feature = "std", feature = "async"))]
impl<R: Region, C: Clock> Cursor<'_, R, C> {
    /// Whether the next read has something to give or to tell. Where nobody watches, it asks the
    /// kernel now and then who has died, and whether the file is cut short.
    pub(super) fn look(&self) -> Result<bool, Error> {
        let region = self.stream.region();
        region.check()?;
        #[cfg(feature = "std")]
        if !region.is_watched() && self.stream.ask(self.stream.now_ms()) {
            region.check()?; // before anything of a file that is cut short is touched
        }
        Ok(self.has_more() || self.is_over())
    }

    /// Whether it reads for a consumer no more.
    fn is_over(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_some_and(|reader| reader.check(self.stream.now_ms()).is_err())
    }

    /// Whether there is something at the boundary, or behind the padding there.
    fn has_more(&self) -> bool {
        let (log, mut at) = (self.shard.log(), self.at);
        loop {
            match log.step(at) {
                Step::Skip(next) => at = next,
                step => return !matches!(step, Step::Empty | Step::Claimed(_)),
            }
        }
    }
}

#[cfg(feature = "std")]
impl<'s, R: Region, C: Clock> Cursor<'s, R, C> {
    /// [`read`](Cursor::read) that waits up to `timeout` (0 to 20 s) for the first record. It is
    /// empty if the time is over.
    ///
    /// It spins briefly if the machine has a second core, then sleeps; a put in this shard wakes
    /// all who wait there. It also ends when the shard is closed, and when the file is cut short.
    /// While it sleeps over shared memory, a thread of its attachment watches for the deaths of
    /// others; where the kernel does not tell of them it wakes every 8 ms to look.
    ///
    /// ```
    /// use ringmain::{Heap, Start, Stream, StreamOptions};
    /// use std::time::Duration;
    ///
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let shard = stream.shard_of(0)?;
    /// let mut cursor = stream.cursor(shard, Start::Latest)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| stream.put("boiler-7", b"81.5"));
    ///     let records = cursor.read_timeout(100, Duration::from_secs(20))?;
    ///     assert_eq!(records.len(), 1);
    ///     Ok::<(), ringmain::Error>(())
    /// })?;
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`read`](Cursor::read), and [`Error::OutOfRange`] for a timeout beyond 20 s.
    ///
    /// # Progress
    ///
    /// Waits for a record, for nothing else.
    pub fn read_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Records<'_, R, C>, Error> {
        Self::check_max(max)?;
        check_wait(timeout)?;
        self.stream.region().check()?;
        if !timeout.is_zero() && !self.has_more() {
            self.wait(timeout)?;
        }
        self.read(max)
    }

    pub(super) fn wait(&self, timeout: Duration) -> Result<(), Error> {
        let region = self.stream.region();
        let deadline = Deadline::after(timeout);
        for _ in 0..spins() {
            crate::sync::spin_hint();
        }
        let mut waiting = None;
        while !self.look()? && !deadline.left().is_zero() {
            waiting.get_or_insert_with(|| Waiting::at(region));
            let sequence = self.shard.event().prepare();
            if self.look()? {
                break;
            }
            self.sleep(sequence, deadline.left().min(self.nap()));
        }
        Ok(())
    }

    /// Sleeps until woken, but not longer.
    fn sleep(&self, sequence: u32, nap: Duration) {
        let shared = self.stream.region().is_shared();
        futex_wait(&self.shard.event().sequence, sequence, nap, shared);
    }

    /// How long a thread may sleep here that has read the sequence and has found nothing.
    fn nap(&self) -> Duration {
        let region = self.stream.region();
        Duration::from_millis(match region.is_shared() {
            // All who put are threads of this process: if one dies, all do.
            false => WAIT_MS_MAX,
            // [warden-lost] looked at after the sequence was read.
            true if region.is_watched() => SLEEP_MS_MAX,
            true => TEND_EVERY_MS,
        })
    }
}

#[cfg(any(feature = "std", feature = "async"))]
impl<R: Region + Sync, C: Clock + Sync> crate::wait::Waitable for Cursor<'_, R, C> {}

#[cfg(any(feature = "std", feature = "async"))]
impl<R: Region, C: Clock> crate::wait::sealed::Waiting for Cursor<'_, R, C> {
    fn look(&self) -> Result<bool, Error> {
        Cursor::look(self)
    }

    fn pass_on(&self) {}

    #[cfg(feature = "std")]
    fn prepare(&self) -> u32 {
        self.shard.event().prepare()
    }

    #[cfg(feature = "std")]
    fn bed(&self, sequence: u32) -> (Futex, Duration) {
        let (word, shared) = (
            &self.shard.event().sequence,
            self.stream.region().is_shared(),
        );
        (Futex::new(word, sequence, shared), self.nap())
    }

    #[cfg(feature = "std")]
    fn sleep_here(&self, sequence: u32, nap: Duration) {
        self.sleep(sequence, nap);
    }

    #[cfg(feature = "std")]
    fn begin(&self) {
        self.stream.region().wait_begins();
    }

    #[cfg(feature = "std")]
    fn end(&self) {
        self.stream.region().wait_ends();
    }

    #[cfg(feature = "async")]
    fn wakers(&self) -> &crate::sync::WakerSet {
        self.stream.region().wakers()
    }

    #[cfg(feature = "async")]
    fn arm(&self, slot: usize) {
        let region = self.stream.region();
        self.shard.prepare_future(region.wakers(), slot);
        region.arm_stream();
    }
}
