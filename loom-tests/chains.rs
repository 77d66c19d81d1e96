//! Chains: two who insert one key, and elements that are removed and used again under a walker.

use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::chains::{Chained, Chains, Found};
use ringmain::sync::{AtomicU64, Ordering};

struct Element {
    chain: AtomicU64,
    key: AtomicU64,
}

impl Chained for Element {
    fn chain(&self) -> &AtomicU64 {
        &self.chain
    }
}

/// Some buckets, three elements.
struct Table {
    buckets: Vec<AtomicU64>,
    elements: Vec<Element>,
}

impl Table {
    fn new() -> Arc<Self> {
        Self::with(1)
    }

    fn with(buckets: usize) -> Arc<Self> {
        let element = |_| Element {
            chain: AtomicU64::new(0),
            key: AtomicU64::new(0),
        };
        Arc::new(Self {
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
            elements: (0..3).map(element).collect(),
        })
    }

    fn chains(&self) -> Chains<'_, Element> {
        Chains {
            buckets: &self.buckets,
            elements: &self.elements,
        }
    }

    fn find(&self, key: u64) -> Found<'_> {
        let is = |element: &Element| element.key.load(Ordering::SeqCst) == key;
        self.chains().find(key, is)
    }

    /// Inserts an element that is the caller's under a key, unless that is there; which one is.
    fn insert(&self, index: usize, key: u64) -> usize {
        self.elements[index].key.store(key, Ordering::SeqCst);
        loop {
            match self.find(key) {
                Found::At(at) => return at,
                Found::Absent(absent) => {
                    if self.chains().insert(&absent, index) {
                        return index;
                    }
                }
            }
        }
    }

    fn remove(&self, index: usize) -> bool {
        let hash = self.elements[index].key.load(Ordering::SeqCst);
        self.chains().remove(hash, index, self.chains().life(index))
    }

    fn has(&self, key: u64) -> bool {
        matches!(self.find(key), Found::At(_))
    }
}

/// Two insert one key: one of them is in, and both know which.
fn inserted(second: fn(&Table) -> usize) {
    let table = Table::new();
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || table.insert(0, 7))
    };
    let mine = second(&table);
    assert_eq!(mine, other.join().unwrap(), "one key, two elements");
}

#[test]
fn one_key_is_there_once() {
    check(|| inserted(|table| table.insert(1, 7)));
}

#[test]
fn twin_one_key_is_there_once() {
    must_fail(
        "chains: an insertion under a word that was read again",
        || {
            inserted(|table| {
                table.elements[1].key.store(7, Ordering::SeqCst);
                if let Found::At(at) = table.find(7) {
                    return at;
                }
                loop {
                    if let Found::Absent(absent) = table.find(8)
                        && table.chains().insert(&absent, 1)
                    {
                        return 1;
                    }
                }
            })
        },
    );
}

/// An element is removed and used again under another key, while the one before it is removed too:
/// what should be there is, and nothing else.
fn reused(reuse: fn(&Table)) {
    let table = Table::new();
    for index in [0, 1] {
        table.insert(index, index as u64 + 1);
    }
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || assert!(table.remove(1) || table.remove(1)))
    };
    reuse(&table);
    other.join().unwrap();
    assert!(table.has(5), "inserted, and not there");
    assert!(!table.has(1) && !table.has(2), "removed, and there");
}

#[test]
fn elements_are_used_again() {
    check(|| {
        reused(|table| {
            assert!(table.remove(0) || table.remove(0));
            assert_eq!(table.insert(0, 5), 0);
        })
    });
}

#[test]
fn twin_elements_are_used_again() {
    must_fail(
        "chains: an element used again before it is unlinked",
        || {
            reused(|table| {
                let Found::Absent(absent) = table.find(5) else {
                    return;
                };
                let chain = &table.elements[0].chain;
                chain.fetch_or(1 << 63, Ordering::SeqCst);
                table.elements[0].key.store(5, Ordering::SeqCst);
                let inserted = table.chains().insert(&absent, 0);
                assert!(inserted || table.insert(0, 5) == 0);
            })
        },
    );
}

/// A remover dies after its mark: the next walk unlinks the element, and its owner's repair finds
/// it in no chain.
#[test]
fn a_remover_dies() {
    check(|| {
        let table = Table::new();
        for index in [0, 1] {
            table.insert(index, index as u64 + 1);
        }
        table.elements[0].chain.fetch_or(1 << 63, Ordering::SeqCst);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || assert_eq!(table.insert(2, 3), 2))
        };
        assert!(!table.has(1));
        other.join().unwrap();
        assert!(table.has(2) && table.has(3));
        assert!(!table.chains().is_chained(0, 0));
    });
}

/// A walker stands at an element that is removed and inserted into another chain: it still finds
/// what was behind.
fn moved(moves: fn(&Table)) {
    let table = Table::with(2);
    table.insert(1, 2);
    table.insert(0, 4); // before the other
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || moves(&table))
    };
    assert!(table.has(2), "led into another chain");
    other.join().unwrap();
    assert!(table.has(2) && table.has(5) && !table.has(4));
}

#[test]
fn an_element_changes_chains() {
    check(|| {
        moved(|table| {
            assert!(table.remove(0));
            assert_eq!(table.insert(0, 5), 0);
        })
    });
}

#[test]
fn twin_an_element_changes_chains() {
    must_fail("chains: a remover that does not unlink", || {
        moved(|table| {
            table.elements[0].chain.fetch_or(1 << 63, Ordering::SeqCst);
            assert_eq!(table.insert(0, 5), 0); // and here it is still in the first chain
        })
    });
}

/// An owner takes its element out of a chain while the other one of the chain is removed and used
/// again: each is in the chain of its key, and in no other.
fn taken_out(owner: fn(&Table), other: fn(&Table)) {
    let table = Table::with(2);
    table.insert(0, 4);
    table.insert(1, 2); // before it
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || other(&table))
    };
    owner(&table);
    other.join().unwrap();
    assert!(table.has(5) && table.has(6), "inserted, and not there");
    assert!(!table.has(4) && !table.has(2), "removed, and there");
    let five = [0, 1].map(|index| table.chains().is_chained(5, index));
    let six = [0, 1].map(|index| table.chains().is_chained(6, index));
    assert!(five[0] != five[1] && six[0] != six[1], "in two chains");
}

#[test]
fn the_last_is_taken_out_unmarked() {
    check(|| {
        taken_out(
            |table| {
                table.chains().unchain(4, 0);
                assert_eq!(table.insert(0, 5), 0);
            },
            |table| {
                assert!(table.remove(1) || table.remove(1));
                assert_eq!(table.insert(1, 6), 1);
            },
        )
    });
}

#[test]
fn twin_the_last_is_taken_out_unmarked() {
    must_fail(
        "chains: an element taken out unmarked that is not the last",
        || {
            taken_out(
                |table| {
                    let next = table.elements[1].chain.load(Ordering::SeqCst) & 0xffff_ffff;
                    let bucket = &table.buckets[0];
                    let seen = bucket.load(Ordering::SeqCst);
                    let turned = ((seen >> 32) + 1) << 32 | next;
                    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
                    let _ = bucket.compare_exchange(seen, turned, done, failed);
                    table.insert(1, 6);
                },
                |table| {
                    assert!(table.remove(0) || table.remove(0));
                    table.insert(0, 5);
                },
            )
        },
    );
}

/// One has found a key absent; meanwhile another inserts it, and the bucket leads to the same
/// element as before.
fn come_back(afterwards: fn(&AtomicU64)) {
    let table = Table::new();
    table.insert(0, 1);
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            assert!(table.remove(0) || table.remove(0));
            let other = table.insert(2, 7);
            table.insert(0, 1);
            afterwards(&table.buckets[0]);
            other
        })
    };
    let mine = table.insert(1, 7);
    assert_eq!(mine, other.join().unwrap(), "one key, two elements");
}

#[test]
fn a_word_that_comes_back_is_another() {
    check(|| come_back(|_| ()));
}

#[test]
fn twin_a_word_that_comes_back_is_another() {
    must_fail("chains: words without versions", || {
        come_back(|bucket| {
            // One insertion, which is the version under which the other one looked.
            let seen = bucket.load(Ordering::SeqCst);
            let next = 1 << 32 | seen & 0xffff_ffff;
            let _ = bucket.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst);
        })
    });
}

/// One is about to remove an element whose life it has seen; another one removes it and uses it
/// again under the same key.
fn outlived(second: fn(&Table, u64) -> bool) {
    let table = Table::new();
    table.insert(0, 1);
    let life = table.chains().life(0);
    let other = {
        let table = Arc::clone(&table);
        thread::spawn(move || {
            let removed = table.chains().remove(1, 0, life);
            if removed {
                assert_eq!(table.insert(0, 1), 0);
            }
            removed
        })
    };
    let mine = second(&table, life);
    assert!(mine != other.join().unwrap(), "one life, two removers");
    assert_eq!(table.has(1), !mine);
}

#[test]
fn a_life_ends_once() {
    check(|| outlived(|table, life| table.chains().remove(1, 0, life)));
}

#[test]
fn twin_a_life_ends_once() {
    must_fail("chains: a life that is read after the look", || {
        outlived(|table, _| table.remove(0))
    });
}

/// An inserter dies before the bucket leads to its element: a survivor sees that it is in no chain
/// and uses it, while others come and go.
#[test]
fn an_inserter_dies() {
    check(|| {
        let table = Table::new();
        table.insert(1, 1);
        table.elements[0].key.store(7, Ordering::SeqCst);
        let link = 1 << 32 | 2; // before element 1; and here it dies
        table.elements[0].chain.store(link, Ordering::SeqCst);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                assert!(table.remove(1) || table.remove(1));
                assert_eq!(table.insert(1, 3), 1);
            })
        };
        assert!(!table.chains().is_chained(7, 0));
        table.chains().unchain(7, 0);
        assert_eq!(table.insert(0, 5), 0);
        other.join().unwrap();
        assert!(table.has(3) && table.has(5));
        assert!(!table.has(1) && !table.has(7));
    });
}
