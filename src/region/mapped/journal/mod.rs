//! The journal of a queue: a ring in a file beside the region, from which the queue is made again
//! when the machine has stopped.
//!
//! Pages of the region reach the disk in whatever order the kernel likes, so after a power loss
//! nothing in it is believed. The journal is: it is only ever appended to, in *frames*, and a frame
//! is begun when the one before it is on the disk.
//!
//! # What is written
//!
//! Not what was done, but what is there. A *commit* takes the marks of all blocks
//! (`region::marks`) and writes for each slot a *record*: the message that lies there now, or that
//! there is none. A message that came and went between two commits costs a record of eight bytes.
//! One participant commits at a time, under the lock of [`COMMIT_BYTE`](super::companion) that the
//! kernel frees at its death; whoever wants durability queues for that lock, and finds most of the
//! time that the one before has written for it as well. That is the group commit.
//!
//! # Ring
//!
//! A position counts the bytes ever written; its place in the ring is the position modulo the
//! ring's length. Frames are aligned to 4 KiB, since a disk may damage the sector that it is
//! writing when the power goes, and that must not be one with older frames. The ring wraps round
//! and overwrites the oldest frames, so every message is written anew from time to time: the
//! *sweep* visits the blocks in turn, as far as [`Sizes::visits_at`](file::Sizes) says for a
//! position, and writes what is there.
//!
//! # Why nothing durable is overwritten
//!
//! Let C be the longest frame, P the positions in which the sweep goes round once, and D what the
//! slots of one block take in frames. A run of several blocks takes C at most besides. The sweep is
//! looked at after each block, so a visit that is due begins at most D + C late, and one before it
//! may have met a long run: C. Skipping the end of the ring costs at most C, the visit itself at
//! most D, and the last record may lie C before the visit that it belongs to was due. So when the
//! frame with the new record of a live message begins, its last one is at most P + 4 C + 2 D
//! behind. The ring has P + 7 C + 2 D: what is being written, with the part skipped (2 C), does not
//! reach it. The ids of a FIFO queue lie in blocks as slots do, and are visited in their turn.
//!
//! # Frames that are given up
//!
//! A committer may die, or its disk fail, when a frame is written and not known to be on the disk.
//! Perhaps it is. The next commit writes its own at the same position, over it: so a frame that
//! counts is never older than another one of a lesser position. That is why `journal_end` is moved
//! over a skipped end of the ring *before* the frame is written. Where that leaves a position
//! without a frame, nobody minds.
//!
//! # Recovery
//!
//! All frames whose checksum holds and that are at most P + 5 C + 2 D behind the newest are read,
//! newest first; an older one may lie in the part that was being overwritten, and its successor may
//! be gone. A record decides for its slot unless a newer one has. A message is there if its record
//! is the newest for its first slot, and no newer message lies over one of its slots: slots of a
//! message are reused only when it is gone. A record that a slot has no message speaks of messages
//! that begin in that slot, not of a run that lies over it.
//!
//! A message that is left out because a newer one lies over it has the newest record of its slot
//! still, and would come back when the newer one is deleted. So recovery marks that slot, and the
//! next commit says that there is none.
//!
//! A frame that is damaged, or that the disk cannot read, is passed over. Where whole frames lie
//! behind it, its loss is counted in `QueueStats::damaged` (gaps.rs).
//!
//! Of the region recovery needs the header and the length. What the region says of its queue may be
//! damaged: the journal's first page has the same.
//!
//! A death in recovery leaves the old boot id, so the next opener begins anew.

mod file;
mod frame;
mod gaps;
mod recover;
#[cfg(test)]
mod tests;

pub use file::kept;

use super::companion::{Companion, tell_last};
use crate::error::Error;
use crate::region::fifo::kept::{KeptId, MARKED};
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use file::{JournalHead, RING_OFFSET};
use frame::Frame;
use std::fs::File;

/// The journal of a queue.
pub type Journal = Companion<JournalHead>;

impl Journal {
    /// Waits until commit `until` is on the disk, and writes if nobody has.
    pub fn commit(&self, region: &File, store: &Store<'_>, until: u64) -> Result<(), Error> {
        let is_done = || store.durable_position() >= until;
        if is_done() {
            return Ok(());
        }
        self.in_turn(region, |frame| match is_done() {
            true => Ok(()), // who was before us has written it
            false => self.commit_now(store, frame),
        })
    }

    /// Commits, unless somebody does so at this moment.
    pub fn commit_if_free(&self, region: &File, store: &Store<'_>) {
        self.if_free(region, |frame| tell_last(self.commit_now(store, frame)));
    }

    /// Makes dirty again what a dead committer left, if nobody commits now.
    pub fn restore(&self, region: &File, store: &Store<'_>) {
        self.if_free(region, |_| store.restore_marks(extent(store)));
    }

    /// Writes all that is marked. The commit lock is ours.
    fn commit_now(&self, store: &Store<'_>, frame: &mut Frame) -> Result<(), Error> {
        let seldom = &store.head().seldom;
        if seldom.begun.load(Ordering::Acquire) != store.durable_position() {
            store.restore_marks(store.blocks().len());
        }
        let number = store.begin_commit();
        let mut commit = Commit {
            journal: self,
            store,
            frame,
            number,
            position: aligned(seldom.journal_end.load(Ordering::Acquire)),
            swept: seldom.swept.load(Ordering::Acquire),
        };
        commit.frame.clear();
        commit.frame.swept = commit.swept;
        commit.write_all()?;
        store.end_commit(number);
        Ok(())
    }
}

/// Positions are multiples of a frame's alignment, whatever the shared memory says.
const fn aligned(position: u64) -> u64 {
    position & (frame::POSITION_MAX - frame::ALIGN as u64)
}

/// One commit.
struct Commit<'c, 's> {
    journal: &'c Journal,
    store: &'c Store<'s>,
    frame: &'c mut Frame,
    number: u64,
    position: u64,
    swept: u64,
}

impl Commit<'_, '_> {
    fn write_all(&mut self) -> Result<(), Error> {
        let mut block = 0;
        // The extent may grow meanwhile; what is marked there later is the next commit's.
        while block < extent(self.store) {
            let slots = self.store.take_marks(block);
            if slots != 0 {
                self.frame.take(block, slots);
                self.write_slots(block, slots)?;
            }
            block += 1;
            self.sweep()?;
        }
        // After the slots: see `region::fifo::kept`.
        for block in 0..self.store.id_marks().len() {
            let ids = self.store.take_id_marks(block);
            if ids != 0 {
                self.write_ids(block, ids)?;
                self.sweep()?;
            }
        }
        self.flush()
    }

    /// Writes those of 64 marked ids whose message has gone; the others that count stay marked.
    fn write_ids(&mut self, block: usize, ids: u64) -> Result<(), Error> {
        let (mut there, mut told, mut over, mut left) = (0, 0, 0, ids);
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let entry = block * MARKED + left.trailing_zeros() as usize;
            left ^= bit;
            match self.store.kept_id(entry) {
                Some(id) if self.store.has_message(&id) => there |= bit,
                Some(id) => {
                    if !self.has_written(&id, block, told)? {
                        told = 0;
                    }
                    told |= bit;
                }
                None if self.store.is_coming_id(entry) => there |= bit,
                None => over |= bit,
            }
        }
        self.frame.take_ids(block, told);
        self.store.put_id_marks(block, there);
        self.store.settle_id_marks(block, over);
        Ok(())
    }

    /// Writes an id. `false`: into another frame than the ids in `told` are in.
    fn has_written(&mut self, id: &KeptId, block: usize, told: u64) -> Result<bool, Error> {
        let max = self.journal.sizes.frame_max;
        if self.frame.push_id(id, max) {
            return Ok(true);
        }
        self.frame.take_ids(block, told);
        self.flush()?;
        self.frame.push_id(id, max);
        Ok(false)
    }

    /// Writes anew what is in the blocks whose turn it is.
    fn sweep(&mut self) -> Result<(), Error> {
        let of_slots = self.store.blocks().len();
        let blocks = (of_slots + self.store.id_marks().len()) as u64;
        let visits = |commit: &Self| {
            let position = commit.position.saturating_add(commit.frame.len() as u64);
            commit.journal.sizes.visits_at(position, blocks)
        };
        // Shared memory, or a frame, may say anything: never more than a round behind, nor ahead.
        let due = visits(self);
        self.swept = self.swept.clamp(due.saturating_sub(blocks), due);
        self.frame.swept = self.swept;
        while self.swept < visits(self) {
            let block = (self.swept % blocks) as usize;
            if let Some(block) = block.checked_sub(of_slots) {
                self.sweep_ids(block)?;
            } else if block < extent(self.store) {
                let live = self.store.live_slots(block);
                if live != 0 {
                    self.write_slots(block, live)?;
                }
            }
            self.swept += 1;
            self.frame.swept = self.swept;
        }
        Ok(())
    }

    fn sweep_ids(&mut self, block: usize) -> Result<(), Error> {
        for entry in block * MARKED..(block + 1) * MARKED {
            if let Some(id) = self.store.kept_id(entry)
                && !self.store.is_told_with_message(&id)
            {
                self.has_written(&id, block, 0)?;
            }
        }
        Ok(())
    }

    fn write_slots(&mut self, block: usize, mut slots: u64) -> Result<(), Error> {
        while slots != 0 {
            let (store, frame) = (self.store, &mut *self.frame);
            let max = self.journal.sizes.frame_max;
            let is_fifo = store.shape().fifo.is_fifo();
            slots = store.copy_slots(block, slots, |index, look| match look {
                None => frame.push_none(index as u32, max),
                Some(look) if is_fifo => match store.kept_order(index, look.stamp) {
                    Some(order) => {
                        let body = store.copied_body(index, look.len());
                        frame.push(index as u32, (&look, Some(&order)), body, max)
                    }
                    None => frame.push_none(index as u32, max), // not yet
                },
                Some(look) => {
                    let body = store.copied_body(index, look.len());
                    frame.push(index as u32, (&look, None), body, max)
                }
            });
            if slots != 0 {
                let done = !slots;
                self.frame.part(block, done);
                self.flush()?;
                self.frame.take(block, slots);
            }
        }
        Ok(())
    }

    /// Writes the frame, if it has anything, and waits for the disk.
    fn flush(&mut self) -> Result<(), Error> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let ring = self.journal.sizes.ring;
        let seldom = &self.store.head().seldom;
        let len = self.frame.padded_len() as u64;
        if self.position > frame::POSITION_MAX - 2 * ring {
            // Nobody writes as much, but a forged frame may say so. None is believed there.
            return Err(Error::NotDurable { errno: libc::EFBIG });
        }
        let left = ring - self.position % ring;
        if len > left {
            self.position += left; // a frame lies in one piece
            // Before it is written: see "Frames that are given up".
            seldom.journal_end.store(self.position, Ordering::Release);
        }
        let time_ms = seldom.time_high_ms.load(Ordering::Relaxed);
        if self.store.shape().fifo.is_fifo() {
            self.frame.say_once(self.store.kept_head());
        }
        let bytes = self
            .frame
            .seal(self.position, self.number, time_ms, self.journal.seed);
        self.journal
            .write(bytes, RING_OFFSET + self.position % ring)?;
        self.journal.sync()?;
        self.position += len;
        seldom.journal_end.store(self.position, Ordering::Release);
        seldom.swept.store(self.frame.swept, Ordering::Release);
        for &(block, slots) in self.frame.taken() {
            self.store.settle_marks(block as usize, slots);
        }
        for &(block, ids) in self.frame.taken_ids() {
            self.store.settle_id_marks(block as usize, ids);
        }
        self.frame.clear();
        Ok(())
    }
}

const _: () = assert!(BLOCK_SLOTS == 64);
