//! What is known of a place.

use crate::ring::log::Position;
use crate::sync::{AtomicU64, Ordering};

/// What is known of a place.
#[derive(Debug)]
#[repr(C)]
pub struct Card {
    /// `{ id:32, state:2 }`
    pub name: AtomicU64,
    /// Where the shard's log begins.
    pub begin: AtomicU64,
    /// The first and the last hash, each low half first.
    pub range: [AtomicU64; 4],
    /// The ids of up to two parents, each and one, the first one in the low half.
    pub parents: AtomicU64,
    /// Those of up to two children, once it is closed; the first one has the lower hashes.
    pub children: AtomicU64,
}

/// What a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Never used.
    Vacant,
    /// Takes no records yet.
    Prepared,
    /// Takes records.
    Open,
    /// Takes none any more.
    Closed,
}

/// `{ id:32, state:2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(pub u64);

impl Name {
    /// The name of a shard in a state.
    pub const fn new(id: u32, state: State) -> Self {
        Self((id as u64) << 2 | state as u64)
    }

    /// The shard.
    #[inline(always)]
    pub const fn id(self) -> u32 {
        (self.0 >> 2) as u32
    }

    /// What it is.
    #[inline(always)]
    pub const fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Vacant,
            1 => State::Prepared,
            2 => State::Open,
            _ => State::Closed,
        }
    }
}

/// Up to two ids as a word.
pub(super) const fn pair(first: Option<u32>, second: Option<u32>) -> u64 {
    const fn half(id: Option<u32>) -> u64 {
        match id {
            Some(id) => id as u64 + 1,
            None => 0,
        }
    }
    half(first) | half(second) << 32
}

/// The ids in a word.
pub(super) fn ids(pair: u64) -> [Option<u32>; 2] {
    [pair as u32, (pair >> 32) as u32].map(|half| half.checked_sub(1))
}

/// A shard that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Which one.
    pub id: u32,
    /// Whether it takes records.
    pub is_open: bool,
    /// Its first and last hash.
    pub range: (u128, u128),
    /// Its parents.
    pub parents: [Option<u32>; 2],
    /// Its children, if it is closed.
    pub children: [Option<u32>; 2],
    /// Where its log begins.
    pub begin: Position,
}

impl Card {
    /// The name.
    #[inline(always)]
    pub fn name(&self) -> Name {
        // ORDERING: Acquire; [opened].
        Name(self.name.load(Ordering::Acquire))
    }

    /// The first and the last hash.
    #[inline(always)]
    fn range(&self) -> (u128, u128) {
        // ORDERING: Acquire; [renamed].
        let half = |n: usize| u128::from(self.range[n].load(Ordering::Acquire));
        (half(0) | half(1) << 64, half(2) | half(3) << 64)
    }

    /// The open shard that is here, if the hash is in its range.
    #[inline(always)]
    pub fn takes(&self, hash: u128) -> Option<u32> {
        let name = self.name();
        let (first, last) = self.range();
        let takes = name.state() == State::Open && first <= hash && hash <= last;
        takes.then_some(name.id())
    }

    /// What is here, unless it is becoming something else.
    pub fn known(&self) -> Option<Known> {
        let name = self.name();
        if matches!(name.state(), State::Vacant | State::Prepared) {
            return None;
        }
        let is_open = name.state() == State::Open;
        // ORDERING: Acquire; [renamed].
        let load = |word: &AtomicU64| word.load(Ordering::Acquire);
        let known = Known {
            id: name.id(),
            is_open,
            range: self.range(),
            parents: ids(load(&self.parents)),
            children: match is_open {
                true => [None; 2],
                false => ids(load(&self.children)),
            },
            begin: Position(load(&self.begin)),
        };
        (self.name().id() == known.id).then_some(known)
    }

    /// Makes one of this place in memory that nobody else uses.
    pub fn first(id: Option<u32>, (first, last): (u128, u128)) -> Self {
        let word = AtomicU64::new;
        let name = id.map_or(Name(0), |id| Name::new(id, State::Open));
        Self {
            name: word(name.0),
            begin: word(Position::FIRST.0),
            range: [
                word(first as u64),
                word((first >> 64) as u64),
                word(last as u64),
                word((last >> 64) as u64),
            ],
            parents: word(0),
            children: word(0),
        }
    }

    /// The words, the name first: for who keeps them elsewhere.
    #[cfg(all(feature = "mapped", not(ringmain_loom)))]
    pub fn words(&self) -> [&AtomicU64; 8] {
        let [a, b, c, d] = &self.range;
        let Self {
            name,
            begin,
            parents,
            children,
            ..
        } = self;
        [name, begin, a, b, c, d, parents, children]
    }

    /// Writes what a prepared shard is.
    pub(super) fn describe(&self, range: (u128, u128), parents: u64, begin: Position) {
        let (first, last) = range;
        let halves = [first, first >> 64, last, last >> 64];
        // ORDERING: Release; [renamed].
        for (word, half) in self.range.iter().zip(halves) {
            word.store(half as u64, Ordering::Release);
        }
        self.parents.store(parents, Ordering::Release);
        self.children.store(0, Ordering::Release);
        self.begin.store(begin.0, Ordering::Release);
    }
}

/// Names a shard anew, unless somebody has.
pub(super) fn rename(card: &Card, id: u32, from: State, to: State) {
    // ORDERING: AcqRel; [opened].
    let _ = card.name.compare_exchange(
        Name::new(id, from).0,
        Name::new(id, to).0,
        Ordering::AcqRel,
        Ordering::Relaxed,
    );
}
