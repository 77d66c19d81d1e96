//! The mirror of a stream: a file beside the region, from which the stream is made again when the
//! machine has stopped.
//!
//! Pages of the region reach the disk in whatever order the kernel likes, so after a power loss
//! nothing in it is believed. The mirror is: it has the same rings of records as the region's
//! shards, written by `pwrite` into blocks that were written when the file was made, and one
//! `fdatasync` for all who wait.
//!
//! # Parts
//!
//! - The *page*: what the stream was made with. Written once.
//! - Two *ledgers*, written in turn: the shards with their ranges, states and floors, who is
//!   registered, and the days of demand. The latest whole one counts.
//! - For each place two *slots*, and a *home* for each block of its ring.
//!
//! A *block* is 63 granules of a segment, and a head that says which: their position, where in them
//! something begins, what of that is padding, and the commit that wrote it. Its checksum is seeded
//! with a number that nobody is told, so nothing that was put looks like a block.
//!
//! # Commit
//!
//! One participant commits at a time, under the lock of [`COMMIT_BYTE`](super::companion) that the
//! kernel frees at its death. Whoever wants durability queues for it, and finds most of the time
//! that the one before has written for it as well. A commit has a number, greater than all before.
//! It copies what each shard has from the *kept* position on, which is what is on the disk, up to
//! the first claim: what begins there is not settled. Blocks that are complete go home; the last
//! one, if it is not, goes to a slot: the one that has nothing durable of it. Then it syncs, and
//! notes slots and kept positions in the region.
//!
//! If somebody stands before a claim for whom it is in the way, he waits for it, without the lock.
//!
//! # Why nothing durable is overwritten
//!
//! - A disk may damage the sector that it writes when the power goes. No block is written over that
//!   has anything durable: an incomplete block goes to its two slots by turns, and home when it is
//!   complete, while the slot has what was durable of it.
//! - In the home of a block there was one of the lap before. That is over when a floor beyond it is
//!   in a ledger that is on the disk: a commit that would write there writes the ledger first, and
//!   syncs it. The region's floor is beyond it by then, or nobody could have put there.
//! - A ledger is written over the one that does not count.
//! - A shard's place is another one's when a ledger says so that is on the disk; before, nothing of
//!   the new one is written there.
//!
//! What is given up before it was on the disk is passed over: the kept position moves to the floor,
//! when a ledger has it.
//!
//! # Commits that are given up
//!
//! A committer may die, or its disk fail, when some blocks are written and not known to be on the
//! disk. What it has not noted in the region the next one writes again: the same blocks, to the
//! same homes and to the same slot. A sync that failed may have made the kernel forget what it had
//! not written, so nothing of it is relied on.
//!
//! # Recovery
//!
//! The first who opens the region after a restart of the machine makes the stream again. The latest
//! whole ledger says which shards there are and where they begin. From there on, block by block:
//! the image with the greatest number counts, of the home and the slots, if it is whole, of this
//! position, and of no lesser number than the block before. (Behind a cut may be whole blocks of an
//! earlier life. Whatever is written before them has a greater number: a recovery begins a new
//! *life*, the high bits of the number.) The log ends behind the last boundary before the first
//! block that is missing.
//!
//! Each block and ledger says up to where its shard was durable before. If a block is missing
//! before the furthest of these, that is no torn tail but *damage*: it becomes padding, and is
//! counted (`ShardStats::damaged`), and the log goes on behind it.
//!
//! Then the last block of each shard is written to a slot as it is now, and a ledger of the new
//! life; these are synced. A death or another power loss in recovery leaves the old boot id in the
//! region, so the next opener begins anew; it finds what this one has found, since nothing is
//! written over that this one has read.
//!
//! # Edges
//!
//! - `[put-before-begun]`: who wants to know the number of a commit that has all he has put loads
//!   `begun` behind a fence; the committer moves `begun` on, and looks at the shards behind a
//!   fence. One of the two sees the other: the commit that had begun has the record, or the number
//!   that is told is a later one. A committer that dies has not ended its commit, so nobody takes
//!   its number for durable; the next one has a greater number, and looks anew.
//! - `[pending]`: told in `committer.rs`. Who puts stores the header, and looks at the word behind
//!   a fence; the committer clears it, and looks at the shards behind a fence. Who puts and dies
//!   before he has told, and a committer that dies when it has cleared the word, leave a record
//!   that nobody was told of: a repair after a death tells all committers.
//! - `[commit-lock]`, `[mirror-kept]`, `[mirror-durable]`, `[mirror-ledger]`: of the words in the
//!   region, told in `region/kept.rs`.

mod commit;
mod file;
mod layout;
mod ledger;
mod recover;

pub use file::kept;

use super::companion::{Companion, tell_last};
use crate::error::Error;
use crate::region::stream::{Keep, Places};
use crate::ring::log::Position;
use layout::MirrorHead;
use std::fs::File;

/// The mirror of a stream.
pub type Mirror = Companion<MirrorHead>;

/// What a commit needs of its participant.
pub struct Ground<'a> {
    /// The region's file, for the lock.
    pub region: &'a File,
    /// The stream.
    pub places: Places<'a>,
    /// Who commits.
    pub owner: u32,
    /// Whether the days of demand are of interest.
    pub is_on_demand: bool,
    /// Asks who has died.
    pub tend: &'a dyn Fn(),
    /// Wakes all who wait for records: a split or merge was completed.
    pub rouse: &'a dyn Fn(),
}

/// What has to be on the disk.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// The record at this position of a place.
    Record(usize, Position),
    /// All that was there when this commit began.
    Commit(u64),
    /// Whatever is there: nobody waits for what is claimed.
    Now,
}

/// Where a commit stopped that has not all it should.
#[derive(Debug, Clone, Copy)]
pub struct Stuck {
    /// In which place.
    pub place: usize,
    /// Before which claim; `None`: the next commit goes on.
    pub at: Option<Position>,
}

/// What came of a commit.
#[derive(Debug)]
pub enum Outcome {
    /// It is on the disk.
    Done,
    /// A part of it is.
    Stuck(Stuck),
}

impl Mirror {
    fn is_done(&self, keep: &Keep<'_>, until: Until) -> bool {
        match until {
            Until::Record(place, at) => {
                let kept = keep.shards.get(place);
                kept.is_some_and(|kept| kept.position() > at)
            }
            Until::Commit(number) => keep.head.durable_position() >= number,
            Until::Now => false,
        }
    }

    /// Waits for its turn and commits, unless somebody has.
    pub fn commit(&self, ground: &Ground<'_>, until: Until) -> Result<Outcome, Error> {
        let keep = ground.places.keep().ok_or(Error::NoJournal)?;
        if self.is_done(&keep, until) {
            return Ok(Outcome::Done);
        }
        self.in_turn(ground.region, |frame| match self.is_done(&keep, until) {
            true => Ok(Outcome::Done), // who was before us has written it
            false => self.commit_now(ground, frame, until),
        })
    }

    /// Commits, unless somebody does so at this moment.
    pub fn commit_if_free(&self, ground: &Ground<'_>) {
        self.if_free(ground.region, |frame| {
            tell_last(self.commit_now(ground, frame, Until::Now));
        });
    }
}
