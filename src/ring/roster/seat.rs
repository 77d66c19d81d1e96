//! A seat: who has it, and the name there.

use crate::sync::{AtomicU64, Ordering};

/// A seat, with a name of `N` words.
#[derive(Debug)]
#[repr(C)]
pub struct Seat<const N: usize> {
    /// `{ generation:52, owner:10, state:2 }`
    pub word: AtomicU64,
    /// What is told beside the name.
    pub about: AtomicU64,
    /// The name.
    pub name: [AtomicU64; N],
}

/// What a seat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody's.
    Vacant,
    /// Being written.
    Claimed,
    /// Its name counts.
    Registered,
    /// No state.
    Damaged,
}

const OWNER_MASK: u64 = (1 << 10) - 1;
const GENERATION_SHIFT: u32 = 12;

/// `{ generation:52, owner:10, state:2 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// What the seat is.
    pub const fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Vacant,
            1 => State::Claimed,
            2 => State::Registered,
            _ => State::Damaged,
        }
    }

    /// Who has claimed it.
    #[cfg(any(feature = "mapped", ringmain_loom))]
    pub const fn owner(self) -> u32 {
        (self.0 >> 2 & OWNER_MASK) as u32
    }

    /// How often it became vacant.
    pub const fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    const fn of(generation: u64, owner: u32, state: State) -> Self {
        Self(generation << GENERATION_SHIFT | (owner as u64 & OWNER_MASK) << 2 | state as u64)
    }

    pub(super) const fn claimed(self, owner: u32) -> Self {
        Self::of(self.generation(), owner, State::Claimed)
    }

    /// Registered.
    pub const fn registered(self) -> Self {
        Self::of(self.generation(), 0, State::Registered)
    }

    /// Vacant, with the next generation.
    pub(super) const fn vacated(self) -> Self {
        Self::of(self.generation().wrapping_add(1), 0, State::Vacant)
    }
}

impl<const N: usize> Seat<N> {
    /// The word.
    #[inline(always)]
    pub fn word(&self) -> Word {
        // ORDERING: Acquire; [registered].
        Word(self.word.load(Ordering::Acquire))
    }

    /// Changes the word, if it is still `from`. Whether it did.
    pub(super) fn exchange(&self, from: Word, to: Word) -> bool {
        // ORDERING: AcqRel; [registered].
        let changed = self
            .word
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed);
        changed.is_ok()
    }

    /// Writes a claimed seat.
    pub fn write(&self, name: &[u64; N], about: u64) {
        // ORDERING: Release; [claimed-before].
        self.about.store(about, Ordering::Release);
        for (word, part) in self.name.iter().zip(name) {
            word.store(*part, Ordering::Release);
        }
    }

    /// Whether this name is registered here: as which word.
    pub(super) fn has(&self, name: &[u64; N]) -> Option<Word> {
        let word = self.word();
        // ORDERING: Acquire; [claimed-before].
        let mut parts = self.name.iter().zip(name);
        let has = word.state() == State::Registered
            && parts.all(|(seen, part)| seen.load(Ordering::Acquire) == *part);
        (has && self.word() == word).then_some(word)
    }

    /// What is registered here: the word, the name, and what is told beside it.
    pub fn read(&self) -> Option<(Word, [u64; N], u64)> {
        let word = self.word();
        if word.state() != State::Registered {
            return None;
        }
        // ORDERING: Acquire; [claimed-before].
        let about = self.about.load(Ordering::Acquire);
        let name = core::array::from_fn(|n| self.name[n].load(Ordering::Acquire));
        (self.word() == word).then_some((word, name, about))
    }
}
