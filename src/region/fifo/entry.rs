//! The state of an id's entry, one word: see [`ids`](super::ids).

/// One in the version, and in the term, of a state.
const VERSION: u64 = 1 << 44;
const TERM: u64 = 1 << 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Claimed,
    Settled,
}

/// `{ phase:2, owner:10, version:8, term:12, slot:32 }`: the version grows with each change, the
/// term with each use of the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(pub u64);

impl State {
    pub(super) const fn phase(self) -> Phase {
        match self.0 >> 62 {
            0 => Phase::Free,
            1 => Phase::Claimed,
            _ => Phase::Settled,
        }
    }

    /// Whether its owner may come back to it.
    pub(super) const fn is_coming(self) -> bool {
        matches!(self.phase(), Phase::Claimed) && self.slot() != NO_SLOT
    }

    pub(super) const fn owner(self) -> u32 {
        ((self.0 >> 52) & 1023) as u32
    }

    pub(super) const fn slot(self) -> u32 {
        self.0 as u32
    }

    /// Whether it names the message that has the id.
    #[cfg(feature = "mapped")]
    pub(super) const fn names_message(self) -> bool {
        self.is_coming() || matches!(self.phase(), Phase::Settled)
    }

    pub(super) const fn then(self, phase: Phase, owner: u32, slot: u32) -> Self {
        self.then_as(bits(phase, owner), slot)
    }

    /// The same with the bits of phase and owner.
    #[inline(always)]
    pub(super) const fn then_as(self, bits: u64, slot: u32) -> Self {
        self.grown(VERSION, bits, slot)
    }

    /// The same in the next term.
    #[inline(always)]
    pub(super) const fn anew_as(self, bits: u64, slot: u32) -> Self {
        self.grown(VERSION + TERM, bits, slot) // what the term carries, the version has
    }

    #[inline(always)]
    const fn grown(self, by: u64, bits: u64, slot: u32) -> Self {
        let grown = self.0.wrapping_add(by) & ((1 << 52) - TERM);
        Self(bits | grown | slot as u64)
    }
}

/// The bits of a phase and an owner.
pub(super) const fn bits(phase: Phase, owner: u32) -> u64 {
    (phase as u64) << 62 | ((owner & 1023) as u64) << 52
}

/// In place of a sequence number: the message was never sent, and is not to be accepted.
pub(super) const VOIDED: u64 = u64::MAX;

/// In place of the slot of a Claimed entry: it is not coming.
pub(super) const NO_SLOT: u32 = u32::MAX;
