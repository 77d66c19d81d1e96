//! The audit's memory: for each producer's incarnation, which sequence numbers were sent, which
//! were processed, and the hash of the bytes.
//!
//! Sequence numbers are dense, so a log is a row of chunks. A chunk all of whose messages were both
//! sent and processed is forgotten some way behind the newest: memory follows the messages under
//! way, not the length of the run.

use std::collections::HashMap;

use super::super::submit::BATCH_ENTRIES_MAX;
use super::wire::{Author, NOBODY};

const CHUNK_MESSAGES: usize = 1024;
const CHUNK_WORDS: usize = CHUNK_MESSAGES / 64;
/// Complete chunks this far behind the newest are forgotten.
const KEPT_CHUNKS: usize = 256;
/// A sequence number this far beyond the newest chunk is not believed.
const AHEAD_CHUNKS: usize = 4096;

/// What was sent and what was processed.
#[derive(Debug)]
pub(super) struct Ledger {
    logs: HashMap<Author, Log>,
    /// How many messages of an incarnation may be processed that nobody says were sent.
    unvouched_max: u64,
    /// Sends that returned `Ok` and were journaled.
    pub(super) sent: u64,
    /// Different messages processed.
    pub(super) processed: u64,
    /// Processings beyond the first.
    pub(super) duplicates: u64,
    damaged: u64,
}

#[derive(Debug, Default)]
struct Log {
    /// `None`: complete and forgotten.
    chunks: Vec<Option<Box<Chunk>>>,
}

#[derive(Debug)]
struct Chunk {
    hashes: [u64; CHUNK_MESSAGES],
    sent: [u64; CHUNK_WORDS],
    processed: [u64; CHUNK_WORDS],
}

impl Chunk {
    fn empty() -> Box<Self> {
        Box::new(Self {
            hashes: [0; CHUNK_MESSAGES],
            sent: [0; CHUNK_WORDS],
            processed: [0; CHUNK_WORDS],
        })
    }

    fn is_complete(&self) -> bool {
        self.sent
            .iter()
            .chain(&self.processed)
            .all(|&word| word == u64::MAX)
    }

    fn count(&self, choose: impl Fn(u64, u64) -> u64) -> u64 {
        let pairs = self.sent.iter().zip(&self.processed);
        pairs
            .map(|(&sent, &processed)| u64::from(choose(sent, processed).count_ones()))
            .sum()
    }
}

impl Log {
    /// The chunk of a sequence number; `None` inside: forgotten; `None` outside: not believed.
    fn chunk(&mut self, seq: u64) -> Option<Option<&mut Chunk>> {
        let index = usize::try_from(seq / CHUNK_MESSAGES as u64).ok()?;
        if index > self.chunks.len() + AHEAD_CHUNKS {
            return None;
        }
        while self.chunks.len() <= index {
            self.chunks.push(Some(Chunk::empty()));
            if let Some(old) = self.chunks.len().checked_sub(KEPT_CHUNKS) {
                self.forget(old);
            }
        }
        Some(self.chunks[index].as_deref_mut())
    }

    fn forget(&mut self, index: usize) {
        if self.chunks[index]
            .as_ref()
            .is_some_and(|chunk| chunk.is_complete())
        {
            self.chunks[index] = None;
        }
    }

    /// After a bit was set: a straggler may have completed an old chunk.
    fn tidy(&mut self, seq: u64) {
        let index = (seq / CHUNK_MESSAGES as u64) as usize;
        if index + KEPT_CHUNKS < self.chunks.len() {
            self.forget(index);
        }
    }
}

impl Ledger {
    /// Of a standard queue. A producer that died between a send and its journal leaves at most one
    /// batch that nobody can vouch for.
    pub(super) fn new() -> Self {
        Self::with(BATCH_ENTRIES_MAX as u64)
    }

    /// Of a FIFO queue, where a successor sends that batch again, and vouches for it.
    pub(super) fn of_fifo() -> Self {
        Self::with(0)
    }

    fn with(unvouched_max: u64) -> Self {
        Self {
            logs: HashMap::new(),
            unvouched_max,
            sent: 0,
            processed: 0,
            duplicates: 0,
            damaged: 0,
        }
    }

    /// A send returned `Ok`. What is sent again under its own id counts once.
    pub(super) fn note_sent(&mut self, author: Author, seq: u64, hash: u64) {
        let log = self.logs.entry(author).or_default();
        let Some(Some(chunk)) = log.chunk(seq) else {
            self.sent += 1;
            self.damaged += 1;
            return;
        };
        let (at, word, bit) = place(seq);
        self.sent += u64::from(chunk.sent[word] & bit == 0);
        if (chunk.sent[word] | chunk.processed[word]) & bit == 0 {
            chunk.hashes[at] = hash;
        } else if chunk.hashes[at] != hash {
            self.damaged += 1;
        }
        chunk.sent[word] |= bit;
        log.tidy(seq);
    }

    /// A worker processed a message. Returns whether it was the first to do so.
    pub(super) fn note_processed(&mut self, author: Author, seq: u64, hash: u64) -> bool {
        if author == NOBODY {
            self.damaged += 1;
            return false;
        }
        let log = self.logs.entry(author).or_default();
        let chunk = match log.chunk(seq) {
            Some(Some(chunk)) => chunk,
            Some(None) => {
                self.duplicates += 1;
                return false;
            }
            None => {
                self.damaged += 1;
                return false;
            }
        };
        let (at, word, bit) = place(seq);
        let known = (chunk.sent[word] | chunk.processed[word]) & bit != 0;
        if !known {
            chunk.hashes[at] = hash;
        } else if chunk.hashes[at] != hash {
            self.damaged += 1;
        }
        let first = chunk.processed[word] & bit == 0;
        chunk.processed[word] |= bit;
        log.tidy(seq);
        *(if first {
            &mut self.processed
        } else {
            &mut self.duplicates
        }) += 1;
        first
    }

    /// Sent and never processed.
    pub(super) fn lost(&self) -> u64 {
        self.sum(|sent, processed| sent & !processed)
    }

    /// Processed with other bytes than sent, or without ever having been sent, as far as that is
    /// more than nobody can vouch for.
    pub(super) fn damaged(&self) -> u64 {
        let unknown = |log: &Log| {
            let chunks = log.chunks.iter().flatten();
            let unknown: u64 = chunks.map(|chunk| chunk.count(|s, p| p & !s)).sum();
            unknown.saturating_sub(self.unvouched_max)
        };
        self.damaged + self.logs.values().map(unknown).sum::<u64>()
    }

    fn sum(&self, choose: impl Fn(u64, u64) -> u64) -> u64 {
        let chunks = self
            .logs
            .values()
            .flat_map(|log| log.chunks.iter().flatten());
        chunks.map(|chunk| chunk.count(&choose)).sum()
    }
}

fn place(seq: u64) -> (usize, usize, u64) {
    let at = (seq % CHUNK_MESSAGES as u64) as usize;
    (at, at / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNE: Author = Author {
        producer: 0,
        incarnation: 0,
    };
    const BERT: Author = Author {
        producer: 1,
        incarnation: 3,
    };

    #[test]
    fn either_journal_may_come_first() {
        let mut ledger = Ledger::new();
        ledger.note_sent(ANNE, 0, 11);
        assert!(ledger.note_processed(ANNE, 0, 11));
        assert!(ledger.note_processed(ANNE, 1, 12));
        ledger.note_sent(ANNE, 1, 12);
        assert_eq!(
            (ledger.sent, ledger.processed, ledger.duplicates),
            (2, 2, 0)
        );
        assert_eq!((ledger.lost(), ledger.damaged()), (0, 0));
    }

    #[test]
    fn loss_is_found() {
        let mut ledger = Ledger::new();
        for seq in 0..5000 {
            ledger.note_sent(ANNE, seq, seq);
            if seq != 17 {
                ledger.note_processed(ANNE, seq, seq);
            }
        }
        ledger.note_sent(BERT, 0, 0);
        assert_eq!((ledger.lost(), ledger.damaged()), (2, 0));
    }

    #[test]
    fn damage_is_found_on_each_side() {
        let mut ledger = Ledger::new();
        ledger.note_sent(ANNE, 0, 1);
        ledger.note_processed(ANNE, 0, 2);
        ledger.note_processed(ANNE, 1, 3);
        ledger.note_sent(ANNE, 1, 4);
        ledger.note_processed(NOBODY, 0, 0);
        ledger.note_processed(ANNE, u64::MAX, 0);
        assert_eq!((ledger.lost(), ledger.damaged()), (0, 4));
        for seq in 0..12 {
            ledger.note_processed(BERT, seq, 0);
        }
        assert_eq!(ledger.damaged(), 6);
    }

    #[test]
    fn duplicates_are_compared_too() {
        let mut ledger = Ledger::new();
        ledger.note_sent(ANNE, 0, 1);
        assert!(ledger.note_processed(ANNE, 0, 1));
        assert!(!ledger.note_processed(ANNE, 0, 1));
        assert!(!ledger.note_processed(ANNE, 0, 2));
        assert_eq!(
            (ledger.processed, ledger.duplicates, ledger.damaged()),
            (1, 2, 1)
        );
    }

    #[test]
    fn what_is_sent_again_counts_once() {
        let mut ledger = Ledger::of_fifo();
        ledger.note_sent(ANNE, 0, 1);
        ledger.note_sent(ANNE, 0, 1);
        assert_eq!((ledger.sent, ledger.damaged()), (1, 0));
        ledger.note_sent(ANNE, 0, 2);
        assert_eq!((ledger.sent, ledger.damaged()), (1, 1));
        ledger.note_processed(BERT, 0, 1);
        assert_eq!(ledger.damaged(), 2, "nobody has sent it");
    }

    #[test]
    fn complete_chunks_are_forgotten() {
        let mut ledger = Ledger::new();
        let messages = 2 * (KEPT_CHUNKS * CHUNK_MESSAGES) as u64;
        for seq in 0..messages {
            ledger.note_sent(ANNE, seq, seq);
            ledger.note_processed(ANNE, seq, seq);
        }
        let kept = ledger.logs[&ANNE].chunks.iter().flatten().count();
        assert!(kept <= KEPT_CHUNKS + 1, "{kept}");
        ledger.note_processed(ANNE, 0, 0);
        assert_eq!((ledger.processed, ledger.duplicates), (messages, 1));
        assert_eq!((ledger.lost(), ledger.damaged()), (0, 0));
    }
}
