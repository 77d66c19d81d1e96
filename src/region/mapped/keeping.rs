//! Streams that survive the machine: an attachment, and the mirror beside its region.

use super::attachment::{Attachment, interval};
use super::committer;
use super::mirror::{self, Ground, Mirror, Outcome, Stuck, Until};
use crate::error::Error;
use crate::region::futex_wait;
use crate::region::section::Section;
use crate::region::stream::{self, KIND_STREAM, Places, StreamPlace, StreamSettings};
use crate::ring::log::Step;
use crate::sync::{AtomicU32, Ordering};
use crate::time::{Deadline, wall_ms};
use crate::trace::{event, span};
use std::time::Duration;

/// How long one waits for claims of others that are in the way.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest sleep meanwhile: then it is asked who has died.
const NAP: Duration = Duration::from_millis(8);

impl Attachment {
    fn places<'s>(&self, place: &'s StreamPlace) -> Places<'s> {
        // SAFETY: the place was verified against this mapping, which lives as long as `self`; the
        // value does not leave this file.
        unsafe { Places::new(place) }
    }

    /// Does something that needs the ground of commits.
    pub(super) fn on_ground<T>(
        &self,
        place: &StreamPlace,
        act: impl FnOnce(&Ground<'_>) -> T,
    ) -> T {
        act(&Ground {
            region: &self.file,
            places: self.places(place),
            owner: self.owner,
            is_on_demand: place.is_on_demand(),
            tend: &|| {
                self.tend_owners();
            },
            rouse: &|| self.rouse_of_stream(place),
        })
    }

    fn nonces_of_stream(&self, place: &StreamPlace) -> [u64; 2] {
        // ORDERING: Relaxed; written before the file had a name, and before the section was ready.
        let region = self.header().birth[3].load(Ordering::Relaxed);
        [region, self.places(place).nonce()]
    }

    /// The stream of this region, if it survives the machine.
    pub(super) fn kept_stream(&self) -> Result<Option<StreamPlace>, Error> {
        match self.section()? {
            Some(Section::Stream(place)) if place.is_kept() => Ok(Some(place)),
            _ => Ok(None),
        }
    }

    /// Opens the mirror of a stream, once.
    pub(super) fn open_mirror(&self, place: &StreamPlace) -> Result<&Mirror, Error> {
        if self.mirror.get().is_none() {
            let mirror = Mirror::open(&self.path, self.nonces_of_stream(place), place)?;
            let _ = self.mirror.set(mirror); // who sets it holds the set-up lock
        }
        self.mirror.get().ok_or(Error::NoJournal)
    }

    /// Opens the mirror if the stream has one: it may have been made after this attachment.
    pub(super) fn with_mirror(&self, place: &StreamPlace) -> Result<(), Error> {
        if place.is_kept() && self.mirror.get().is_none() {
            self.with_setup(|region| region.open_mirror(place).map(|_| ()))?;
        }
        Ok(())
    }

    /// Makes the mirror of a stream that was just laid out.
    pub(super) fn make_mirror(&self, place: &StreamPlace) -> Result<(), Error> {
        let nonces = self.nonces_of_stream(place);
        let made = self.on_ground(place, |ground| {
            Mirror::create(&self.path, nonces, place, ground)
        });
        let _ = self.mirror.set(made?);
        Ok(())
    }

    /// Removes a mirror that is left of a stream before. An error only if it is in the way.
    pub(super) fn remove_stale_mirror(&self, region: u64, is_kept: bool) -> Result<(), Error> {
        match Mirror::remove_stale(&self.path, region) {
            Err(error) if is_kept => Err(error),
            _ => Ok(()),
        }
    }

    /// After a restart of the machine: lays a stream out anew whose head is damaged, as its mirror
    /// has it. Whether there was one. The set-up lock is the caller's, and nobody is attached.
    pub(super) fn rebuild_stream(&self, region: u64) -> bool {
        let Some(settings) = mirror::kept(&self.path, region) else {
            return false;
        };
        let (_, len) = self.memory();
        let offsets = settings.shape.offsets();
        if offsets.is_none_or(|offsets| offsets.end > len) {
            return false;
        }
        self.lay_out_anew(&settings);
        // ORDERING: Release; [section-ready]. It is looked at as if it had always been there.
        let kind = &self.header().section.kind;
        let before = kind.swap(KIND_STREAM, Ordering::AcqRel);
        let found = matches!(self.kept_stream(), Ok(Some(_)));
        if found {
            event!(
                WARN,
                "the head of a stream was damaged, and is as the mirror has it";
                path = self.path.display()
            );
        } else {
            kind.store(before, Ordering::Release); // what the mirror says is no stream
        }
        found
    }

    fn lay_out_anew(&self, settings: &StreamSettings) {
        // SAFETY: the shape fits the section. Nobody else uses it: nobody is attached, and who
        // wants to be settles the time first; the set-up lock for it is ours.
        unsafe { stream::format(self.memory().0, settings, false) };
    }

    /// Makes a stream again from its mirror after the machine has stopped; the latest time in it.
    pub(super) fn recover_stream(&self, place: &StreamPlace) -> Result<u64, Error> {
        let _span = span!(INFO, "recovery"; path = self.path.display());
        let mirror = self.open_mirror(place)?;
        let settings = StreamSettings {
            shape: place.shape,
            flags: place.flags,
            retention_ms: place.retention_ms,
            durability: place.durability,
            nonce: self.places(place).nonce(),
        };
        // Whoever deleted it had not removed its files.
        let mark = self.places(place).deleted().load(Ordering::Relaxed);
        self.lay_out_anew(&settings);
        let restored = self.on_ground(place, |ground| mirror.restore(ground, wall_ms()))?;
        if mark == stream::DELETED {
            let deleted = self.places(place);
            deleted.deleted().store(mark, Ordering::Relaxed);
        }
        let (records, damaged) = (restored.records, restored.damaged);
        event!(
            INFO,
            "made again from the mirror",
            records = records,
            damaged = damaged
        );
        Ok(restored.time_ms)
    }

    /// Waits until something of a stream is on the disk.
    pub(super) fn commit_stream(&self, place: &StreamPlace, until: Until) -> Result<(), Error> {
        let mirror = self.mirror.get().ok_or(Error::NoJournal)?;
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.on_ground(place, |ground| mirror.commit(ground, until)) {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Stuck(stuck)) => {
                    self.check()?;
                    if deadline.left().is_zero() || matches!(until, Until::Now) {
                        return Err(Error::NotDurable {
                            errno: libc::ETIMEDOUT,
                        });
                    }
                    self.wait_for_claim(place, stuck, deadline.left().min(NAP));
                }
                Err(error) => {
                    let path = self.path.display();
                    event!(ERROR, "a commit to the mirror failed"; path = path, error = error);
                    return Err(error);
                }
            }
        }
    }

    /// Sleeps until the claim that is in the way is none any more, but not longer than `nap`.
    fn wait_for_claim(&self, place: &StreamPlace, stuck: Stuck, nap: Duration) {
        self.tend_owners(); // perhaps the claimant has died
        let places = self.places(place);
        let (Some(shard), Some(at)) = (places.shard(stuck.place), stuck.at) else {
            return;
        };
        let sequence = shard.event().prepare();
        if matches!(shard.log().step(at), Step::Claimed(_)) {
            futex_wait(&shard.event().sequence, sequence, nap, true);
        }
    }

    /// Commits what is there; what is still claimed is pending.
    pub(super) fn commit_some(&self, place: &StreamPlace) -> Result<(), Error> {
        let mirror = self.mirror.get().ok_or(Error::NoJournal)?;
        // ORDERING: behind the clearing of `pending`; [pending].
        crate::sync::store_load();
        let committed = self.on_ground(place, |ground| mirror.commit(ground, Until::Now));
        if let Err(error) = &committed {
            let path = self.path.display();
            event!(ERROR, "a commit to the mirror failed"; path = path, error = error);
        }
        match committed? {
            Outcome::Done => Ok(()),
            Outcome::Stuck(_) => Err(Error::NotDurable {
                errno: libc::EAGAIN,
            }),
        }
    }

    /// Makes all that is in a stream survive the machine.
    pub(super) fn sync_stream(&self, place: &StreamPlace) -> Result<(), Error> {
        let number = self
            .places(place)
            .keep()
            .map_or(0, |keep| keep.head.position());
        self.commit_stream(place, Until::Commit(number))
    }

    /// The word by which committers are told.
    pub(super) fn pending_of_stream<'s>(&self, place: &'s StreamPlace) -> Option<&'s AtomicU32> {
        Some(&self.places(place).keep()?.head.pending.0[0])
    }

    /// After a death: what the dead one had put may be pending with nobody awake.
    pub(super) fn rouse_committers(&self, place: &StreamPlace) {
        if self.mirror.get().is_some() {
            committer::rouse(self, &Section::Stream(*place), u32::MAX);
        }
    }

    /// Commits what a timed committer would have, before this attachment goes.
    pub(super) fn commit_stream_last(&self) {
        if let (Some(mirror), Ok(Some(place))) = (self.mirror.get(), self.kept_stream())
            && interval(place.durability).is_some()
            && self
                .pending_of_stream(&place)
                .is_some_and(|pending| pending.load(Ordering::SeqCst) != 0)
        {
            self.on_ground(&place, |ground| mirror.commit_if_free(ground));
        }
    }
}
