//! What has become of a record whose place somebody has noted.

use super::put::Put;
use super::shared::Stream;
use crate::error::Error;
use crate::region::Region;
use crate::ring::log::Step;
use crate::ring::shards::Shards;
use crate::time::Clock;

/// What has become of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was committed: the record is there, or was.
    Record,
    /// It was dropped, or its claimant died: there never was a record, and will be none.
    GivenUp,
    /// It is claimed, as far as the kernel has said.
    Claimed,
    /// Nobody has claimed this place yet.
    Unclaimed,
    /// Its place has been written anew: nobody can tell.
    Unknown,
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// What has become of a claim that is or was at this place, also in a shard that has gone. Of a
    /// place at which none ever began it tells nonsense.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Damaged`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn fate(&self, put: Put) -> Result<Fate, Error> {
        self.region().check()?;
        // A place's laps only grow, over all of its shards, and a header changes only when
        // something begins at its granule: one of this lap is the claim's.
        let (id, at) = (put.shard.0, put.sequence.0);
        let place = Shards(&self.site.places()).place_of(id);
        let log = match self.site.shard(place, id) {
            Some(shard) if shard.log().shape.has(at) => shard.log(),
            _ => return Ok(Fate::Unclaimed),
        };
        let mut step = log.step(at);
        // Perhaps the claimant has died. If somebody else has just asked, he may have been told.
        if matches!(step, Step::Claimed(_)) {
            self.ask(self.now_ms());
            step = log.step(at);
        }
        match step {
            Step::Record { .. } => Ok(Fate::Record),
            Step::Skip(_) => Ok(Fate::GivenUp),
            Step::Claimed(_) => Ok(Fate::Claimed),
            Step::Empty => Ok(Fate::Unclaimed),
            Step::Passed => Ok(Fate::Unknown),
            Step::End | Step::Damaged => Err(Error::Damaged {
                field: "header of a record",
            }),
        }
    }
}
