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

/// One bucket, three elements.
struct Table {
    buckets: Vec<AtomicU64>,
    elements: Vec<Element>,
}

impl Table {
    fn new() -> Arc<Self> {
        let element = |_| Element {
            chain: AtomicU64::new(0),
            key: AtomicU64::new(0),
        };
        Arc::new(Self {
            buckets: vec![AtomicU64::new(0)],
            elements: (0..3).map(element).collect(),
        })
    }

    fn chains(&self) -> Chains<'_, Element> {
        Chains {
            buckets: &self.buckets,
            elements: &self.elements,
        }
    }

    fn find(&self, key: u64) -> Found {
        let is = |element: &Element| element.key.load(Ordering::SeqCst) == key;
        self.chains().find(0, is)
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
        self.chains().remove(0, index, self.chains().life(index))
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
