//! The words of a log.

/// Bits of a position that are the index of a granule.
pub const INDEX_BITS: u32 = 30;
/// The last lap.
pub const LAP_MAX: u64 = (1 << LAP_BITS) - 1;
/// The most granules of one header.
pub const GRANULES_MAX: u32 = (1 << GRANULES_BITS) - 1;

const LAP_BITS: u32 = 33;
const GRANULES_BITS: u32 = 19;
const OWNER_SHIFT: u32 = LAP_BITS + GRANULES_BITS;
const OWNER_MASK: u32 = (1 << 10) - 1;
const STATE_SHIFT: u32 = OWNER_SHIFT + 10;

/// `{ lap:33, index:30 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// Where a log in zero memory begins.
    pub const FIRST: Self = Self::new(1, 0);

    /// The granule of this index, in this lap.
    #[inline(always)]
    pub const fn new(lap: u64, index: u32) -> Self {
        Self(lap << INDEX_BITS | index as u64)
    }

    /// How often the ring has come round.
    #[inline(always)]
    pub const fn lap(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    /// Which granule.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        (self.0 & ((1 << INDEX_BITS) - 1)) as u32
    }
}

/// What a boundary is, in the lap of its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing to read.
    Padding,
    /// Being written.
    Claimed,
    /// A record.
    Committed,
    /// The log ends here.
    End,
}

/// `{ state:2, owner:10, granules:19, lap:33 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header(pub u64);

impl Header {
    /// A header of this lap.
    #[inline(always)]
    pub const fn new(state: State, owner: u32, granules: u32, lap: u64) -> Self {
        Self(
            (state as u64) << STATE_SHIFT
                | (owner as u64) << OWNER_SHIFT
                | (granules as u64) << LAP_BITS
                | lap,
        )
    }

    /// The header of a reserved boundary: claimed, with no length.
    #[inline(always)]
    pub const fn reserved(owner: u32, lap: u64) -> Self {
        Self::new(State::Claimed, owner, 0, lap)
    }

    /// The header of a reserved boundary that was given back: of the lap before, with no length.
    pub const fn released(lap: u64) -> Self {
        Self::new(State::Padding, 0, 0, lap)
    }

    /// Whether it is that of a reserved boundary.
    #[inline(always)]
    pub const fn is_reserved(self) -> bool {
        matches!(self.state(), State::Claimed) && self.granules() == 0
    }

    /// The lap that it was written in.
    #[inline(always)]
    pub const fn lap(self) -> u64 {
        self.0 & LAP_MAX
    }

    /// How many granules it speaks for.
    #[inline(always)]
    pub const fn granules(self) -> u32 {
        (self.0 >> LAP_BITS) as u32 & GRANULES_MAX
    }

    /// Who has claimed it.
    #[inline(always)]
    pub const fn owner(self) -> u32 {
        (self.0 >> OWNER_SHIFT) as u32 & OWNER_MASK
    }

    /// Whether it is of this lap, and a record or padding: it does not change any more.
    #[inline(always)]
    pub const fn is_over(self, lap: u64) -> bool {
        // Of claimed and end, and of no other state, the low bit is set.
        (self.0 ^ lap) & (LAP_MAX | 1 << STATE_SHIFT) == 0
    }

    /// What it says.
    #[inline(always)]
    pub const fn state(self) -> State {
        match self.0 >> STATE_SHIFT {
            0 => State::Padding,
            1 => State::Claimed,
            2 => State::Committed,
            _ => State::End,
        }
    }
}
