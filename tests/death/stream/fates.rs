//! Records that were prepared, by who is dead or stopped: the survivor asks what became of them, as
//! one does who goes on for the dead, and holds what it is told against what is read.

use super::super::board::{Board, Fault, state};
use super::ledger::{SURVIVOR, TRACED};
use super::survivor::Survivor;
use ringmain::{Error, Fate, Put, ShardId, StreamSequence};
use std::sync::atomic::Ordering::SeqCst;

/// Enters where a record will be, or that it was refused.
pub fn noted(board: &Board, seed: u64, outcome: &Result<Put, Error>) {
    let entry = board.known(seed);
    match outcome {
        Ok(put) => {
            entry.sequence.store(put.sequence.as_u64(), SeqCst);
            entry.id.store(put.shard.number(), SeqCst);
            entry.add(state::PLACED);
        }
        Err(_) => entry.add(state::REFUSED),
    }
}

/// Where a record is, or will be.
pub fn place_of(board: &Board, seed: u64) -> Put {
    let entry = board.known(seed);
    Put {
        shard: ShardId::from_number(entry.id.load(SeqCst)),
        sequence: StreamSequence::from_u64(entry.sequence.load(SeqCst)),
    }
}

impl Survivor<'_> {
    /// The records that are prepared, and whether their places are known.
    fn prepared(&self, is_placed: bool) -> Vec<u64> {
        let of = |seed: &u64| {
            let entry = self.board.known(*seed);
            entry.has(state::PREPARED) && entry.has(state::PLACED) == is_placed
        };
        (TRACED..SURVIVOR).filter(of).collect()
    }

    /// Asks about the first record of each shard: what becomes of it becomes of those behind it.
    fn asks(&self, each: impl Fn(&[u64], Fate)) {
        let mut left = self.prepared(true);
        while let Some(&one) = left.first() {
            let shard = place_of(self.board, one).shard;
            let of_it = |seed: &u64| place_of(self.board, *seed).shard == shard;
            let (group, others): (Vec<_>, Vec<_>) = left.into_iter().partition(of_it);
            left = others;
            let places = group.iter().map(|seed| place_of(self.board, *seed));
            let first = places.min_by_key(|put| put.sequence).expect("one");
            match self.stream.fate(first) {
                Ok(fate) => each(&group, fate),
                Err(_) => self.fault(Fault::Damaged, one, "its fate is an error"),
            }
        }
    }

    /// Whoever prepared is dead: each record is there or will never be. The readers have to say the
    /// same from here on.
    pub fn fates_are_settled(&self) {
        // Its writer did not know where it would be, so it had not committed it.
        for seed in self.prepared(false) {
            self.board.known(seed).add(state::REFUSED);
        }
        self.asks(|group, fate| match fate {
            Fate::Record => {
                for &seed in group {
                    let entry = self.board.known(seed);
                    let own = self.stream.fate(place_of(self.board, seed));
                    if entry.has(state::REFUSED) || own != Ok(Fate::Record) {
                        self.fault(Fault::Damaged, seed, "it is said to be a record");
                    }
                    entry.add(state::SENT);
                }
            }
            Fate::GivenUp => {
                for &seed in group {
                    let entry = self.board.known(seed);
                    if entry.has(state::SENT) {
                        self.fault(Fault::Lost, seed, "committed, and said to be given up");
                    }
                    entry.add(state::REFUSED);
                }
            }
            Fate::Claimed => self.fault(Fault::Stuck, group[0], "the dead one still claims it"),
            _ => self.fault(Fault::Damaged, group[0], "nobody knows what became of it"),
        });
    }

    /// Whoever prepares is stopped: it may still commit, and nobody may say that it will not.
    pub fn fates_are_open(&self) {
        self.asks(|group, fate| {
            let entry = self.board.known(group[0]);
            if entry.has(state::HELD) {
                return; // by one who was dead before
            }
            let (gives_up, commits) = (entry.has(state::REFUSED), !entry.has(state::REFUSED));
            match fate {
                Fate::Claimed => {}
                Fate::Record if commits => {}
                Fate::GivenUp if gives_up => {}
                Fate::GivenUp => self.fault(Fault::Taken, group[0], "said to be given up"),
                _ => self.fault(Fault::Damaged, group[0], "another fate than it can have"),
            }
        });
    }
}
