//! The stage: what the traced process works with, and how it keeps the ledger.

use super::board::{Board, Entry, Fault, state, who};
use super::common::{fill, seed_of};
use super::ground::{Held, Jobs, open};
use ringmain::{Error, Receipt};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

pub struct Stage<'s> {
    pub board: &'static Board,
    pub path: &'s Path,
    /// Receipts of what the tracer holds.
    pub receipts: &'s [Receipt],
}

/// The seed at the start of a body; `u64::MAX` if it is too short for one.
pub fn seed_in(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk::<8>();
    first.map_or(u64::MAX, |first| u64::from_le_bytes(*first))
}

/// Checks a received body against the ledger; its entry and seed, if it is sound.
pub fn sound<'b>(board: &'b Board, bytes: &[u8]) -> Option<(&'b Entry, u64)> {
    let seed = seed_in(bytes);
    let known = board.entry(seed).filter(|entry| entry.has(state::SENDING));
    let Some(entry) = known else {
        board.fault(Fault::Damaged, seed, "a message that nobody sent");
        return None;
    };
    let len = entry.len.load(SeqCst) as usize;
    if bytes.len() != len || seed_of(bytes) != Some(seed) {
        board.fault(Fault::Damaged, seed, "a body is not what was sent");
        return None;
    }
    Some((entry, seed))
}

impl Stage<'_> {
    pub fn open(&self) -> Jobs {
        open(self.board, self.path)
    }

    /// Receives a message before the operation: it must be there.
    pub fn take<'q>(&self, queue: &'q Jobs) -> Held<'q> {
        let held = queue
            .receive()
            .expect("received")
            .expect("the ground has one");
        self.holds(held.body());
        held
    }

    /// As [`take`](Self::take), copied out: not read in place.
    pub fn take_copy(&self, queue: &Jobs) -> Receipt {
        let mut buffer = [0; 512];
        let copied = queue.receive_into(&mut buffer).expect("received");
        let copied = copied.expect("the ground has one");
        self.holds(&buffer[..copied.len]);
        copied.receipt
    }

    /// Notes that the traced one holds this body's message.
    pub fn holds(&self, bytes: &[u8]) -> u64 {
        let seed = seed_in(bytes);
        if let Some(entry) = self.board.entry(seed) {
            entry.holder.store(who::TRACED, SeqCst);
            entry.add(state::HELD);
        }
        seed
    }

    /// The body of a message to send, entered as begun.
    ///
    /// It begins with a page, since the C library copies by another path when it lies elsewhere.
    pub fn sending(&self, seed: u64, len: usize) -> &'static [u8] {
        const PAGE: usize = 4096;
        let entry = self.board.known(seed);
        entry.len.store(len as u32, SeqCst);
        entry.add(state::SENDING);
        let room = vec![0; len + PAGE].leak(); // this process will not live long
        let at = room.as_ptr().align_offset(PAGE);
        fill(seed, &mut room[at..at + len]);
        &room[at..at + len]
    }

    pub fn sent<T>(&self, seed: u64, sent: &Result<T, Error>) {
        let entry = self.board.known(seed);
        entry.add(if sent.is_ok() {
            state::SENT
        } else {
            state::REFUSED
        });
    }

    /// Notes that a message is about to be deleted.
    pub fn deleting(&self, seed: u64) -> u64 {
        if let Some(entry) = self.board.entry(seed) {
            entry.holder.store(0, SeqCst);
            entry.add(state::DELETING);
        }
        seed
    }

    pub fn deleted(&self, seed: u64, deleted: &Result<(), Error>) {
        if let Some(entry) = self.board.entry(seed) {
            match deleted {
                Ok(()) => entry.add(state::DELETED),
                Err(_) => entry.take_away(state::DELETING),
            }
        }
    }

    /// Notes that others may hold a message from now on.
    pub fn lets_go(&self, seed: u64) -> u64 {
        self.board.known(seed).holder.store(0, SeqCst);
        seed
    }

    /// Undisturbed, the operation has to succeed.
    pub fn must(&self, right: bool, seed: u64, what: &'static str) {
        if !right && self.board.alone.load(SeqCst) != 0 {
            self.board.fault(Fault::Stuck, seed, what);
        }
    }

    /// After the operation: checks what is held and deletes it.
    pub fn settle(&self, held: Held<'_>) {
        if let Some((_, seed)) = sound(self.board, held.body()) {
            self.deleting(seed);
            let deleted = held.delete();
            self.deleted(seed, &deleted);
            self.must(deleted.is_ok(), seed, "what it holds cannot be deleted");
        }
    }
}
