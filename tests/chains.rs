//! Chains as a set: held against a plain one, and under threads. The library keeps the type to
//! itself, so its source comes in here.
#![cfg(not(ringmain_loom))]
#![allow(clippy::disallowed_types)] // stands in for the library's own `sync`

use std::collections::HashSet;
use std::thread;

#[allow(dead_code)] // hints that only the library has a use for
#[path = "../src/ring/chains.rs"]
mod chains;

/// What the source asks of the library.
mod sync {
    pub use std::sync::atomic::{AtomicU64, Ordering};
}

use chains::{Chained, Chains, Found};
use sync::{AtomicU64, Ordering};

const ELEMENTS: usize = 6;
const KEYS: u64 = 8;
const NOBODY: u64 = 0;

#[derive(Default)]
struct Element {
    chain: AtomicU64,
    key: AtomicU64,
    /// Who uses it.
    owner: AtomicU64,
}

impl Chained for Element {
    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }
}

#[derive(Default)]
struct Table {
    buckets: [AtomicU64; 2],
    elements: [Element; ELEMENTS],
}

impl Table {
    fn chains(&self) -> Chains<'_, Element> {
        Chains {
            buckets: &self.buckets,
            elements: &self.elements,
        }
    }

    fn find(&self, key: u64) -> Found<'_> {
        let is = |element: &Element| element.key.load(Ordering::Acquire) == key;
        self.chains().find(key, is)
    }

    /// Takes an element for a key, and inserts it unless the key is there.
    fn insert(&self, key: u64, owner: u64) -> bool {
        let take = |element: &Element| {
            let word = &element.owner;
            let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            word.compare_exchange(NOBODY, owner, done, failed).is_ok()
        };
        let Some(index) = self.elements.iter().position(take) else {
            return false;
        };
        self.elements[index].key.store(key, Ordering::Release);
        while let Found::Absent(absent) = self.find(key) {
            if self.chains().insert(&absent, index) {
                return true;
            }
        }
        self.elements[index].owner.store(NOBODY, Ordering::Release);
        false
    }

    /// Removes a key; its element is free at once.
    fn remove(&self, key: u64) -> bool {
        while let Found::At(index) = self.find(key) {
            let (chains, element) = (self.chains(), &self.elements[index]);
            let life = chains.life(index);
            // Still chained with this key, so `life` is that of the chain.
            let is_it = element.key.load(Ordering::Acquire) == key;
            if is_it && chains.is_chained(key, index) && chains.remove(key, index, life) {
                element.owner.store(NOBODY, Ordering::Release);
                return true;
            }
        }
        false
    }

    fn has(&self, key: u64) -> bool {
        matches!(self.find(key), Found::At(_))
    }
}

/// Marsaglia's xorshift.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn chains_are_a_set() {
    let (table, mut set) = (Table::default(), HashSet::new());
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..20_000 {
        let key = next(&mut seed) % KEYS;
        match next(&mut seed) % 3 {
            0 => {
                let fits = set.len() < ELEMENTS;
                assert_eq!(table.insert(key, 1), fits && set.insert(key));
            }
            1 => assert_eq!(table.remove(key), set.remove(&key)),
            _ => assert_eq!(table.has(key), set.contains(&key)),
        }
    }
    assert!((0..KEYS).all(|key| table.has(key) == set.contains(&key)));
}

/// Insertions and removals of each key come out even, and nothing is left over.
#[test]
fn threads_share_a_set() {
    let table = Table::default();
    let work = |owner: u64| {
        let (mut seed, mut balance) = (owner, [0_i64; KEYS as usize]);
        for _ in 0..400_000 {
            let key = next(&mut seed) % KEYS;
            if next(&mut seed).is_multiple_of(2) {
                balance[key as usize] += table.insert(key, owner) as i64;
            } else {
                balance[key as usize] -= table.remove(key) as i64;
            }
        }
        balance
    };
    let balances: Vec<_> = thread::scope(|threads| {
        let workers: Vec<_> = (1..5)
            .map(|owner| threads.spawn(move || work(owner)))
            .collect();
        workers.into_iter().map(|it| it.join().unwrap()).collect()
    });
    for key in 0..KEYS {
        let sum: i64 = balances.iter().map(|it| it[key as usize]).sum();
        assert_eq!(sum, table.has(key) as i64, "key {key}");
    }
    let used = |it: &&Element| it.owner.load(Ordering::Relaxed) != NOBODY;
    let used = table.elements.iter().filter(used).count();
    let there = (0..KEYS).filter(|key| table.has(*key)).count();
    assert_eq!(used, there, "an element that is in use and in no chain");
}

/// An element with terms: `{ phase, term }`, as an id's entry has them.
#[derive(Default)]
struct Termed {
    chain: AtomicU64,
    state: AtomicU64,
    key: AtomicU64,
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1 << 32;
const USED: u64 = 2 << 32;

impl Chained for Termed {
    const TERMS: bool = true;

    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }

    fn term(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }
}

#[derive(Default)]
struct Ring {
    buckets: [AtomicU64; 2],
    elements: [Termed; ELEMENTS],
}

impl Ring {
    fn chains(&self) -> Chains<'_, Termed> {
        Chains {
            buckets: &self.buckets,
            elements: &self.elements,
        }
    }

    fn find(&self, key: u64) -> Found<'_> {
        let is = |element: &Termed| element.key.load(Ordering::Acquire) == key;
        self.chains().find(key, is)
    }

    /// Uses an element again, for another key, unless that is there.
    fn renew(&self, index: usize, key: u64) {
        let (chains, element) = (self.chains(), &self.elements[index]);
        let seen = element.state.load(Ordering::Acquire);
        let is_last = seen & !(CLAIMED - 1) == FREE || chains.is_last(element);
        let term = |grown: u64| (seen + grown) & (CLAIMED - 1);
        let claimed = CLAIMED | term(is_last as u64);
        if seen & CLAIMED != 0 || !Self::change(element, seen, claimed) {
            return;
        }
        if !is_last {
            chains.unchain(element.key.load(Ordering::Relaxed), index);
            element.state.store(CLAIMED | term(1), Ordering::Release);
        }
        element.key.store(key, Ordering::Release);
        let mut phase = FREE;
        while let Found::Absent(absent) = self.find(key) {
            if chains.insert(&absent, index) {
                phase = USED;
                break;
            }
        }
        element.state.store(phase | term(1), Ordering::Release);
    }

    fn change(element: &Termed, seen: u64, next: u64) -> bool {
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let word = &element.state;
        word.compare_exchange(seen, next, done, failed).is_ok()
    }

    fn remove(&self, index: usize) {
        let (chains, element) = (self.chains(), &self.elements[index]);
        let life = chains.life(index);
        let seen = element.state.load(Ordering::Acquire);
        let key = element.key.load(Ordering::Acquire);
        if seen & USED != 0 && chains.remove(key, index, life) {
            Self::change(element, seen, FREE | seen & (CLAIMED - 1));
        }
    }
}

/// Elements are used again where they stand, and removed: what is in use is found by its key, once,
/// and nothing else is.
#[test]
fn threads_use_elements_again() {
    let ring = Ring::default();
    let work = |owner: u64| {
        let mut seed = owner;
        for _ in 0..400_000 {
            let index = next(&mut seed) as usize % ELEMENTS;
            match next(&mut seed) % 8 {
                0 => ring.remove(index),
                _ => ring.renew(index, next(&mut seed) % KEYS),
            }
        }
    };
    thread::scope(|threads| {
        let workers: Vec<_> = (1..5)
            .map(|owner| threads.spawn(move || work(owner)))
            .collect();
        workers.into_iter().for_each(|it| it.join().unwrap());
    });
    let mut keys = HashSet::new();
    for (index, element) in ring.elements.iter().enumerate() {
        let key = element.key.load(Ordering::Relaxed);
        let used = element.state.load(Ordering::Relaxed) & USED != 0;
        assert_eq!(
            ring.chains().is_chained(key, index),
            used,
            "element {index}"
        );
        assert!(!used || keys.insert(key), "key {key} is there twice");
    }
    for key in 0..KEYS {
        let there = matches!(ring.find(key), Found::At(_));
        assert_eq!(there, keys.contains(&key), "key {key}");
    }
}
