//! Tests of the words of chains, as one thread sees them.

use super::*;

const ELEMENTS: usize = 3;

impl Chained for AtomicU64 {
    fn chain(&self) -> &AtomicU64 {
        self
    }
}

/// A link, and a term.
struct Termed(AtomicU64, AtomicU64);

impl Chained for Termed {
    const TERMS: bool = true;

    fn chain(&self) -> &AtomicU64 {
        &self.0
    }

    fn term(&self) -> u64 {
        self.1.load(Ordering::Acquire)
    }
}

/// One bucket, and elements that are nothing but their links.
struct Table<E> {
    bucket: [AtomicU64; 1],
    links: [E; ELEMENTS],
}

impl<E: Chained> Table<E> {
    fn new(bucket: u64, links: [u64; ELEMENTS], element: fn(u64) -> E) -> Self {
        Self {
            bucket: [AtomicU64::new(bucket)],
            links: links.map(element),
        }
    }

    fn chains(&self) -> Chains<'_, E> {
        Chains {
            buckets: &self.bucket,
            elements: &self.links,
        }
    }
}

fn termed(link: u64) -> Termed {
    Termed(AtomicU64::new(link), AtomicU64::new(0))
}

#[test]
fn versions_begin_anew() {
    let last = ((1 << 31) - 1) << 32;
    let table = Table::new(last, [last; ELEMENTS], AtomicU64::new);
    let chains = table.chains();
    let Found::Absent(absent) = chains.find(0, |_| true) else {
        panic!("in an empty chain");
    };
    assert!(chains.insert(&absent, 0));
    let life = chains.life(0);
    assert_eq!(life, 0);
    assert!(!chains.insert(&absent, 1), "of an old state");
    assert!(!chains.remove(0, 0, last), "of an old life");
    assert!(chains.remove(0, 0, life));
    assert!(!chains.is_chained(0, 0));
}

/// The first inserted is the last of its chain, and out of it in its next term; and a word says
/// of one hash that nothing has it, if it leads to one element with another tag.
#[test]
fn terms_end_chains() {
    let table = Table::new(0, [0; ELEMENTS], termed);
    let chains = table.chains();
    let insert = |hash: u64, index| {
        let Found::Absent(absent) = chains.find(hash, |_| false) else {
            panic!("at what is not it");
        };
        assert!(chains.insert(&absent, index));
    };
    let (hash, other) = (1 << 63, 0);
    assert!(chains.absent(hash).is_none(), "of a word that says nothing");
    insert(hash, 0);
    assert!(chains.absent(hash).is_none() && chains.absent(other).is_some());
    insert(other, 1);
    assert!(chains.absent(hash).is_none() && chains.absent(other).is_none());
    let [first, second, _] = chains.elements else {
        panic!("there are three");
    };
    assert!(chains.is_last(first) && !chains.is_last(second));
    for (index, term) in [(0, 1), (1, 4096 + 1)] {
        assert!(chains.is_chained(0, index));
        chains.elements[index].1.store(term, Ordering::Release);
        assert!(!chains.is_chained(0, index));
        assert!(chains.is_last(second), "of one whose follower is gone");
    }
    insert(hash, 2); // under a word that leads nowhere: nothing follows
    assert!(chains.absent(hash).is_none() && chains.absent(other).is_some());
    chains.elements[1].1.store(4096, Ordering::Release); // its term comes again
    assert!(chains.is_chained(0, 2) && !chains.is_chained(0, 1));
}

/// Each word of a chain may be anything: every call comes back.
fn damaged<E: Chained>(element: fn(u64) -> E, further: &[u64]) {
    let ends = [0, 1, 2, 3, ELEMENTS as u64 + 1, NEXT_MASK];
    let ends = || ends.iter().chain(further).copied();
    let words = || ends().flat_map(|next| [next, MARKED | next]);
    for bucket in words() {
        for links in words().flat_map(|a| words().map(move |b| [a, b, 0])) {
            for index in [0, 1, 2, ELEMENTS, usize::MAX] {
                let table = || Table::new(bucket, links, element);
                table().chains().is_chained(0, index);
                let last = table();
                if let Some(element) = last.chains().elements.get(index) {
                    last.chains().is_last(element);
                }
                table().chains().unchain(0, index);
                let (table, other) = (table(), table());
                let chains = table.chains();
                chains.remove(0, index, chains.life(index));
                let chains = other.chains();
                if let Some(absent) = chains.absent(0) {
                    chains.insert(&absent, index);
                }
                if let Found::Absent(absent) = chains.find(0, |_| false) {
                    chains.insert(&absent, index);
                }
                chains.is_chained(0, 2);
            }
        }
    }
}

#[test]
fn no_damage_holds_a_walk_up() {
    damaged(AtomicU64::new, &[]);
    damaged(
        termed,
        &[1 << TERM_SHIFT | 1, ONLY | 2, ONLY | TAG_MASK | 3],
    );
}
