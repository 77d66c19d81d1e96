//! What a child tells, and what follows from it: which messages have to be there after a crash at
//! some moment, and which must not be.

use crate::tale::{self, NOW};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a child says before or after it does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It is about to send these.
    Sending(Vec<u64>),
    /// They are in the queue, for good once this position is on the disk.
    Sent(u64, Vec<u64>),
    /// It is about to delete these.
    Deleting(Vec<u64>),
    /// They are gone, for good once this position is on the disk.
    Deleted(u64, Vec<u64>),
    /// It is about to delete all.
    Purging(u64),
    /// It has.
    Purged(u64, u64),
    /// This position is on the disk.
    Durable(u64),
    /// These were there when it began.
    Seen(Vec<u64>),
    /// No others were, and that is on the disk.
    Looked,
}

impl tale::Note for Note {
    fn words(&self) -> Vec<u64> {
        let (kind, number, seeds): (u64, u64, &[u64]) = match self {
            Self::Sending(seeds) => (1, 0, seeds),
            Self::Sent(position, seeds) => (2, *position, seeds),
            Self::Deleting(seeds) => (3, 0, seeds),
            Self::Deleted(position, seeds) => (4, *position, seeds),
            Self::Purging(who) => (5, 0, &[*who]),
            Self::Purged(position, who) => (6, *position, &[*who]),
            Self::Durable(position) => (7, *position, &[]),
            Self::Seen(seeds) => (8, 0, seeds),
            Self::Looked => (9, 0, &[]),
        };
        let mut words = vec![kind, number];
        words.extend_from_slice(seeds);
        words
    }

    fn read(words: &[u64]) -> Self {
        let (number, seeds) = (words[1], words[2..].to_vec());
        match words[0] {
            1 => Self::Sending(seeds),
            2 => Self::Sent(number, seeds),
            3 => Self::Deleting(seeds),
            4 => Self::Deleted(number, seeds),
            5 => Self::Purging(seeds[0]),
            6 => Self::Purged(number, seeds[0]),
            7 => Self::Durable(number),
            8 => Self::Seen(seeds),
            9 => Self::Looked,
            other => panic!("no note {other}"),
        }
    }

    fn has_looked(&self) -> bool {
        *self == Self::Looked
    }
}

/// The process ended.
#[derive(Debug)]
pub struct Ended;

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Its send has returned.
    sent: bool,
    /// It survives a crash.
    safe: bool,
    /// Somebody has begun to delete it.
    leaving: bool,
    /// It stays away after a crash.
    gone: bool,
    /// Its id counts after a crash.
    accepted: bool,
    /// A purge may have taken it, and forgotten its id.
    purged: bool,
}

/// What is known of each message at some moment.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    states: HashMap<u64, State>,
    /// What holds from a position on: sent (false) or deleted (true).
    later: BTreeMap<u64, Vec<(u64, bool)>>,
    /// Who purges now, and what was there when it began.
    purges: HashMap<u64, Vec<u64>>,
}

/// What an image has to hold.
#[derive(Debug, Default)]
pub struct Expected {
    /// Has to be there.
    pub safe: HashSet<u64>,
    /// Must not be there.
    pub gone: HashSet<u64>,
    /// Was ever sent.
    pub known: HashSet<u64>,
    /// Its id counts.
    pub accepted: HashSet<u64>,
    /// Nobody has begun to delete it: so it is there, or its id does not count.
    pub staying: HashSet<u64>,
}

impl Ledger {
    /// The machine starts again from an image, in which a child will find `seen`.
    pub fn boot(&mut self, seen: &HashSet<u64>) {
        self.later.clear();
        self.purges.clear();
        for (seed, state) in &mut self.states {
            state.sent = seen.contains(seed);
            state.safe = state.sent;
            state.leaving = !state.sent;
            state.purged &= !state.sent;
            state.accepted |= state.sent;
            // What is gone stays so.
        }
    }

    fn state(&mut self, seed: u64) -> &mut State {
        self.states.entry(seed).or_default()
    }

    fn settle(&mut self, position: u64, seeds: &[u64], deleted: bool) {
        if position == NOW {
            seeds.iter().for_each(|&seed| self.holds(seed, deleted));
        } else {
            let later = self.later.entry(position).or_default();
            later.extend(seeds.iter().map(|&seed| (seed, deleted)));
        }
    }

    fn holds(&mut self, seed: u64, deleted: bool) {
        let state = self.state(seed);
        if deleted {
            state.gone = true;
        } else {
            state.safe = true;
            state.accepted |= !state.purged;
        }
    }

    /// Takes in what a child said.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Sending(seeds) => {
                let leaving = !self.purges.is_empty();
                for &seed in seeds {
                    let state = self.state(seed);
                    state.leaving |= leaving;
                    state.purged |= leaving;
                }
            }
            Note::Sent(position, seeds) => {
                seeds.iter().for_each(|&seed| self.state(seed).sent = true);
                self.settle(*position, seeds, false);
            }
            Note::Deleting(seeds) => {
                let leave = |&seed: &u64| self.state(seed).leaving = true;
                seeds.iter().for_each(leave);
            }
            Note::Deleted(position, seeds) => self.settle(*position, seeds, true),
            Note::Purging(who) => {
                let there = self.states.iter().filter(|(_, state)| state.sent);
                let there = there.map(|(&seed, _)| seed).collect();
                self.purges.insert(*who, there);
                for state in self.states.values_mut() {
                    (state.leaving, state.purged, state.accepted) = (true, true, false);
                }
            }
            Note::Purged(position, who) => {
                let there = self.purges.remove(who).expect("a purge that began");
                self.settle(*position, &there, true);
            }
            Note::Durable(position) => {
                let rest = self.later.split_off(&(position + 1));
                let now = std::mem::replace(&mut self.later, rest);
                for (seed, deleted) in now.into_values().flatten() {
                    self.holds(seed, deleted);
                }
            }
            Note::Seen(_) => {}
            Note::Looked => {
                for state in self.states.values_mut().filter(|state| !state.sent) {
                    state.gone = true;
                }
            }
        }
    }

    /// The process ended; what it had begun ends with it.
    pub fn end(&mut self) {
        self.purges.clear();
    }

    /// What has to hold if the power goes now.
    pub fn expected(&self) -> Expected {
        let all = |which: fn(&State) -> bool| {
            let found = self.states.iter().filter(|(_, state)| which(state));
            found.map(|(&seed, _)| seed).collect()
        };
        Expected {
            safe: all(|state| state.safe && !state.leaving),
            gone: all(|state| state.gone),
            known: all(|_| true),
            accepted: all(|state| state.accepted),
            staying: all(|state| !state.leaving),
        }
    }
}
