//! What a child tells of a stream, and what follows from it: which records have to be there after a
//! crash at some moment, where, and which may be missing.

use crate::tale::{self, NOW};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A record: its shard, its sequence number, and the seed of its data.
pub type Told = (u64, u64, u64);

/// What a child says before or after it does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It is about to put these.
    Putting(Vec<u64>),
    /// They are in the stream, for good once this position is on the disk.
    Put(u64, Vec<Told>),
    /// These shards were opened, for good once this position is on the disk.
    Opened(u64, Vec<u64>),
    /// It is about to register or to remove this consumer.
    Naming(u64),
    /// It is registered or removed, for good once this position is on the disk.
    Named(u64, u64, bool),
    /// This position is on the disk.
    Durable(u64),
    /// These records were there when it began.
    Seen(Vec<Told>),
    /// And these consumers, and nothing else.
    Looked(Vec<u64>),
}

/// Consumers that come and go.
pub const NAMES: usize = 4;

fn flat(records: &[Told]) -> Vec<u64> {
    let words = records.iter();
    words
        .flat_map(|(shard, at, seed)| [*shard, *at, *seed])
        .collect()
}

fn triples(words: &[u64]) -> Vec<Told> {
    let triples = words.chunks_exact(3);
    triples
        .map(|words| (words[0], words[1], words[2]))
        .collect()
}

impl tale::Note for Note {
    fn words(&self) -> Vec<u64> {
        let (kind, number, rest) = match self {
            Self::Putting(seeds) => (1, 0, seeds.clone()),
            Self::Put(position, records) => (2, *position, flat(records)),
            Self::Opened(position, shards) => (3, *position, shards.clone()),
            Self::Naming(name) => (4, 0, vec![*name]),
            Self::Named(position, name, is) => (5, *position, vec![*name, u64::from(*is)]),
            Self::Durable(position) => (6, *position, Vec::new()),
            Self::Seen(records) => (7, 0, flat(records)),
            Self::Looked(names) => (8, 0, names.clone()),
        };
        let mut words = vec![kind, number];
        words.extend(rest);
        words
    }

    fn read(words: &[u64]) -> Self {
        let (number, rest) = (words[1], &words[2..]);
        match words[0] {
            1 => Self::Putting(rest.to_vec()),
            2 => Self::Put(number, triples(rest)),
            3 => Self::Opened(number, rest.to_vec()),
            4 => Self::Naming(rest[0]),
            5 => Self::Named(number, rest[0], rest[1] != 0),
            6 => Self::Durable(number),
            7 => Self::Seen(triples(rest)),
            8 => Self::Looked(rest.to_vec()),
            other => panic!("no note {other}"),
        }
    }

    fn has_looked(&self) -> bool {
        matches!(self, Self::Looked(_))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Entry {
    pub seed: u64,
    /// It survives a crash.
    pub safe: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Name {
    /// Whether it was registered when all that was done to it was on the disk.
    pub is: bool,
    /// What was done since.
    pub open: u64,
    /// How often something was done to it, and up to which of these it is on the disk.
    done: u64,
    safe: u64,
}

/// What holds from a position on.
#[derive(Debug, Clone)]
enum Promise {
    Record(u64, u64),
    Shard(u64),
    Name(u64, bool, u64),
}

/// What is known at some moment.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// What was put, by shard and sequence number, as far as that was told.
    pub shards: BTreeMap<u64, BTreeMap<u64, Entry>>,
    /// Whatever somebody began to put.
    pub known: HashSet<u64>,
    /// Shards that were opened for good.
    pub opened: BTreeSet<u64>,
    pub names: [Name; NAMES],
    /// Which shard each place has, and where it begins.
    pub places: Vec<(u64, u64)>,
    later: BTreeMap<u64, Vec<Promise>>,
}

impl Ledger {
    /// The machine has started again: what `seen` says is there, and nothing else.
    pub fn boot(&mut self, seen: &[Told], names: &[u64]) {
        self.shards.clear();
        self.later.clear();
        for &(shard, at, seed) in seen {
            let entry = Entry { seed, safe: true };
            self.shards.entry(shard).or_default().insert(at, entry);
        }
        for (name, state) in self.names.iter_mut().enumerate() {
            let is = names.contains(&(name as u64));
            *state = Name {
                is,
                ..Name::default()
            };
        }
    }

    /// Nothing that was put may be missing.
    pub fn all_safe(&mut self) {
        let entries = self.shards.values_mut().flat_map(BTreeMap::values_mut);
        entries.for_each(|entry| entry.safe = true);
    }

    fn keep(&mut self, position: u64, promise: Promise) {
        if position != NOW {
            self.later.entry(position).or_default().push(promise);
            return;
        }
        match promise {
            Promise::Record(shard, at) => {
                let of = self.shards.get_mut(&shard);
                if let Some(entry) = of.and_then(|shard| shard.get_mut(&at)) {
                    entry.safe = true;
                }
            }
            Promise::Shard(shard) => {
                self.opened.insert(shard);
            }
            Promise::Name(name, is, nth) => {
                let name = &mut self.names[name as usize];
                name.open -= 1;
                if nth > name.safe {
                    (name.is, name.safe) = (is, nth);
                }
            }
        }
    }

    /// Takes in what a child said.
    pub fn note(&mut self, note: &Note) {
        match note {
            Note::Putting(seeds) => self.known.extend(seeds),
            Note::Put(position, records) => {
                for &(shard, at, seed) in records {
                    let entry = Entry { seed, safe: false };
                    let before = self.shards.entry(shard).or_default().insert(at, entry);
                    assert!(before.is_none(), "{shard} {at:x} is two records");
                    self.keep(*position, Promise::Record(shard, at));
                }
            }
            Note::Opened(position, shards) => {
                for &shard in shards {
                    self.keep(*position, Promise::Shard(shard));
                }
            }
            Note::Naming(name) => self.names[*name as usize].open += 1,
            Note::Named(position, name, is) => {
                let state = &mut self.names[*name as usize];
                state.done += 1;
                let nth = state.done;
                self.keep(*position, Promise::Name(*name, *is, nth));
            }
            Note::Durable(position) => {
                let rest = self.later.split_off(&(position + 1));
                let now = std::mem::replace(&mut self.later, rest);
                for promise in now.into_values().flatten() {
                    self.keep(NOW, promise);
                }
            }
            Note::Seen(_) | Note::Looked(_) => {}
        }
    }
}
