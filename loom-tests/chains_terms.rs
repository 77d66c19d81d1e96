//! Chains whose elements have terms: the last of a chain is used again without leaving it.

use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::chains::{Chained, Chains, Found};
use ringmain::sync::{AtomicU64, Ordering};

struct Element {
    chain: AtomicU64,
    term: AtomicU64,
    key: AtomicU64,
}

impl Chained for Element {
    const TERMS: bool = true;

    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }

    fn term(&self) -> u64 {
        self.term.load(Ordering::Acquire)
    }
}

/// Two buckets, three elements.
struct Table {
    buckets: Vec<AtomicU64>,
    elements: Vec<Element>,
}

impl Table {
    /// With these keys, of which the first is the last of its chain.
    fn with(keys: &[u64]) -> Arc<Self> {
        let element = |_| Element {
            chain: AtomicU64::new(0),
            term: AtomicU64::new(0),
            key: AtomicU64::new(0),
        };
        let table = Self {
            buckets: (0..2).map(|_| AtomicU64::new(0)).collect(),
            elements: (0..3).map(element).collect(),
        };
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(table.insert(index, *key), index);
        }
        Arc::new(table)
    }

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

    fn has(&self, key: u64) -> bool {
        matches!(self.find(key), Found::At(_))
    }

    fn write(&self, index: usize, key: u64) {
        self.elements[index].key.store(key, Ordering::Release);
    }

    /// Inserts an element that is the caller's under a key, unless that is there; which one is.
    fn insert(&self, index: usize, key: u64) -> usize {
        self.write(index, key);
        let mut absent = self.chains().absent(key);
        loop {
            if let Some(absent) = absent
                && self.chains().insert(&absent, index)
            {
                return index;
            }
            absent = match self.find(key) {
                Found::At(at) => return at,
                Found::Absent(absent) => Some(absent),
            };
        }
    }

    fn begin_term(&self, index: usize) {
        let word = &self.elements[index].term;
        word.store(word.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Begins the next term of an element that is the caller's.
    fn renew(&self, index: usize) {
        if !self.chains().is_last(&self.elements[index]) {
            let key = self.elements[index].key.load(Ordering::Relaxed);
            self.chains().unchain(key, index);
        }
        self.begin_term(index);
    }

    fn remove(&self, index: usize) -> bool {
        let key = self.elements[index].key.load(Ordering::Relaxed);
        let remove = || self.chains().remove(key, index, self.chains().life(index));
        remove() || remove()
    }
}

/// A walker is at an element whose next key is written, and that comes into no chain: it does not
/// find it, and all else.
fn written_anew(write: fn(&Table)) {
    let table = Table::with(&[4, 2]);
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || write(&table))
    };
    let found = table.has(6);
    other.join().unwrap();
    assert!(!found, "found, and in no chain");
    assert!(table.has(2) && !table.has(4) && !table.has(6));
}

#[test]
fn a_term_comes_before_its_key() {
    check(|| {
        written_anew(|table| {
            table.renew(0);
            table.write(0, 6);
        })
    });
}

#[test]
fn twin_a_term_comes_before_its_key() {
    must_fail(
        "chains: a term that begins after its key is written",
        || {
            written_anew(|table| {
                table.write(0, 6);
                table.renew(0);
            })
        },
    );
}

/// Elements are used again under a walker, in another chain and in the same one.
#[test]
fn a_walker_is_at_what_is_used_again() {
    for (index, key) in [(0, 5), (0, 8), (1, 5), (1, 8)] {
        check(move || {
            let table = Table::with(&[4, 2, 6]);
            let other = {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    table.renew(index);
                    assert_eq!(table.insert(index, key), index);
                })
            };
            let left = [4, 2].map(|left| left != [4, 2][index]);
            let found = table.has(6) && table.has([2, 4][index]);
            other.join().unwrap();
            assert!(found, "cut off");
            assert!(table.has(6) && table.has(key));
            assert_eq!([4, 2].map(|key| table.has(key)), left);
        });
    }
}

/// The middle one of three is taken out and its next term begins, while the one before it is used
/// again: the last one stays.
fn used_before_others(renew: fn(&Table)) {
    let table = Table::with(&[2, 4, 6]);
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            renew(&table);
            let found = table.has(2);
            assert_eq!(table.insert(2, 5), 2);
            found
        })
    };
    assert!(table.remove(1));
    table.begin_term(1);
    assert!(other.join().unwrap(), "cut off");
    assert!(table.has(2) && table.has(5));
    assert!(!table.has(4) && !table.has(6));
}

#[test]
fn what_follows_is_not_cut_off() {
    check(|| used_before_others(|table| table.renew(2)));
}

#[test]
fn twin_what_follows_is_not_cut_off() {
    must_fail("chains: a term that begins before others", || {
        used_before_others(|table| table.begin_term(2))
    });
}

#[test]
fn twin_what_followed_is_looked_at_again() {
    must_fail(
        "chains: a follower whose term is over, looked at once",
        || {
            used_before_others(|table| {
                let link = table.elements[2].chain.load(Ordering::SeqCst);
                let next = (link & 0xffff_ffff) as usize;
                if next > 0 && table.elements[next - 1].term() == link >> 32 & 0xfff {
                    table.renew(2);
                } else {
                    table.begin_term(2);
                }
            })
        },
    );
}

/// One is used again by its owner while the one before it is removed and used again: each is in the
/// chain of its key, and in no other.
#[test]
fn two_are_used_again() {
    check(|| {
        let table = Table::with(&[4, 2]);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                assert!(table.remove(1));
                table.begin_term(1);
                assert_eq!(table.insert(1, 6), 1);
            })
        };
        table.renew(0);
        assert_eq!(table.insert(0, 5), 0);
        other.join().unwrap();
        assert!(table.has(5) && table.has(6), "inserted, and not there");
        assert!(!table.has(4) && !table.has(2), "removed, and there");
        assert!(table.chains().is_chained(5, 0) && !table.chains().is_chained(6, 0));
        assert!(table.chains().is_chained(6, 1) && !table.chains().is_chained(5, 1));
    });
}

/// Two insert one key under a word that leads nowhere, or to what is used again at this moment by
/// one of them: one of them is in, and both know which.
fn inserted(tag: u64, first: usize, second: fn(&Table) -> usize) {
    let table = Table::with(&[tag | 1]);
    if first != 0 {
        table.renew(0);
    }
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            if first == 0 {
                table.renew(0);
            }
            table.insert(first, 7)
        })
    };
    let mine = second(&table);
    assert_eq!(mine, other.join().unwrap(), "one key, two elements");
    assert!(!table.has(tag | 1) && table.has(7));
}

#[test]
fn one_key_is_there_once() {
    for (tag, first) in [(0, 0), (1 << 63, 0), (0, 1), (1 << 63, 1)] {
        check(move || inserted(tag, first, |table| table.insert(2, 7)));
    }
}

#[test]
fn twin_one_key_is_there_once() {
    must_fail(
        "chains: a word that was read again and says nothing",
        || {
            inserted(1 << 63, 1, |table| {
                table.write(2, 7);
                if let Found::At(at) = table.find(7) {
                    return at;
                }
                loop {
                    if let Found::Absent(absent) = table.find(1 << 63 | 3)
                        && table.chains().insert(&absent, 2)
                    {
                        return 2;
                    }
                }
            })
        },
    );
}

/// An owner dies after some steps: 0 it has claimed, 1 begun the next term, 2 written the key, 3
/// the element's own word. A survivor sees that it is in no chain, and uses it.
#[test]
fn an_owner_dies() {
    for steps in 0..4 {
        check(move || {
            let table = Table::with(&[4, 2]);
            if steps > 0 {
                table.renew(0);
            }
            if steps > 1 {
                table.write(0, 7);
            }
            if steps > 2 {
                table.elements[0].chain.fetch_add(1 << 50, Ordering::SeqCst);
            }
            let other = {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    assert_eq!(table.insert(2, 3), 2);
                    assert!(table.remove(1));
                })
            };
            let (chains, key) = (table.chains(), [4, 4, 7, 7][steps]);
            assert_eq!(chains.is_chained(key, 0), steps == 0);
            let free = || chains.remove(key, 0, chains.life(0)) || !chains.is_chained(key, 0);
            while !free() {}
            table.begin_term(0);
            assert_eq!(table.insert(0, 5), 0);
            other.join().unwrap();
            assert!(table.has(3) && table.has(5));
            assert!(!table.has(2) && !table.has(4) && !table.has(7));
        });
    }
}
