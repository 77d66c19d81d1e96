//! One change to a region's bytes, drawn from an input: mostly where something stands that the
//! protocols read, mostly to a value that means something there, now and then anything anywhere.

use super::Ground;
use super::input::Input;
use super::layout::{
    BLOCK_BYTES, BLOCKS, CONFIG, COUNTERS, COUNTERS_LEN, ENTRIES, ENTRY_BYTES, EVENT, HEADER_BYTES,
    LATENCY, LATENCY_LEN, Layout, POLICY, RECEIVE, REGISTRY, ROOT_DUE, SECTION, SELDOM, SEND,
    SETTINGS,
};

/// A change: `width` bytes at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    pub at: usize,
    pub width: usize,
    pub how: How,
}

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Set(u64),
    Xor(u64),
    Add(i8),
    /// The bytes that lie elsewhere.
    Copy(usize),
}

impl How {
    /// Draws one; `place` says where bytes are copied from.
    pub fn draw<'i>(input: &mut Input<'i>, place: impl FnOnce(&mut Input<'i>) -> usize) -> Self {
        match input.byte() % 8 {
            0 => Self::Set(input.word()),
            1 | 2 => Self::Set(EDGES[input.below(EDGES.len())]),
            3 => Self::Xor(input.word()),
            4 | 5 => Self::Xor(1 << (input.byte() % 64)),
            6 => Self::Add(input.byte() as i8),
            _ => Self::Copy(place(input)),
        }
    }

    /// What becomes of the word at `at`.
    pub fn value(self, at: usize, word: impl Fn(usize) -> u64) -> u64 {
        match self {
            Self::Set(value) => value,
            Self::Xor(value) => word(at) ^ value,
            Self::Add(step) => word(at).wrapping_add(step as i64 as u64),
            Self::Copy(from) => word(from),
        }
    }
}

/// Values that stand at an edge of some field.
const EDGES: [u64; 24] = [
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    65,
    0xff,
    0x100,
    1022,
    1023,
    1024,
    (1 << 18) - 1,
    1 << 18,
    (1 << 31) - 1,
    1 << 31,
    (1 << 44) - 2,
    (1 << 44) - 1,
    1 << 44,
    (1 << 62) - 1,
    1 << 62,
    1 << 63,
    u64::MAX,
];

impl Mutation {
    /// Draws one for a region of this layout.
    pub fn draw(input: &mut Input<'_>, layout: &Layout) -> Self {
        let at = place(input, layout);
        let width = [8, 8, 4, 1, 8, 2, 8, 4][input.byte() as usize % 8];
        let how = How::draw(input, |input| place(input, layout));
        Self { at, width, how }
    }

    /// Does it to the file.
    pub fn apply(&self, ground: &Ground) {
        let value = self.how.value(self.at, |at| ground.word(at));
        ground.write(self.at, &value.to_le_bytes()[..self.width]);
    }

    /// Does it to a file's bytes, as far as they reach.
    pub fn apply_to(&self, bytes: &mut [u8]) {
        let read = |at: usize| {
            let there = bytes.get(at..).unwrap_or_default();
            let mut word = [0; 8];
            let len = there.len().min(8);
            word[..len].copy_from_slice(&there[..len]);
            u64::from_le_bytes(word)
        };
        let value = self.how.value(self.at, read);
        let there = bytes.get_mut(self.at..).unwrap_or_default();
        let len = there.len().min(self.width);
        there[..len].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    /// Whether it may touch the checksum of a body, so that other bytes could be given a right one.
    pub fn may_forge(&self, layout: &Layout) -> bool {
        let end = self.at + self.width;
        if end <= layout.bodies {
            return false;
        }
        let sum = 4..8;
        (self.at.max(layout.bodies)..end)
            .any(|at| sum.contains(&((at - layout.bodies) % layout.slot_bytes)))
    }
}

/// A place that matters; nearly always the start of a word.
fn place(input: &mut Input<'_>, layout: &Layout) -> usize {
    let kind = input.byte() % 48;
    let slot = |input: &mut Input<'_>| input.below(layout.slots);
    match kind {
        0 | 1 => 8 * input.below(HEADER_BYTES / 8),
        2 => REGISTRY + 8 * input.below(16 * ENTRY_BYTES / 8),
        3 => REGISTRY + 8 * input.below(ENTRIES * ENTRY_BYTES / 8),
        4 | 5 => CONFIG + 8 * input.below(8),
        6 => SEND,
        7 => RECEIVE + 8 * input.below(2),
        8 => EVENT + 8 * input.below(2),
        9 => SELDOM + 8 * input.below(9),
        10..=13 => BLOCKS + BLOCK_BYTES * input.below(layout.blocks) + 8 * input.below(6),
        14..=21 => layout.word(slot(input)),
        22..=24 => layout.note(slot(input), 1),
        25..=28 => layout.slot(slot(input)) + 8 * input.below(3),
        29 => layout.slot(slot(input)) + input.below(layout.slot_bytes),
        30 => SECTION + input.pair() as usize % (layout.len - SECTION - 8),
        31 => input.pair() as usize % (layout.len - 8),
        32..=35 => {
            let number = input.below(4);
            layout.note(slot(input), number)
        }
        36..=40 if layout.groups != 0 => layout.map(kind as usize % 3, input.below(layout.groups)),
        36..=40 => BLOCKS + BLOCK_BYTES * input.below(layout.blocks) + 16,
        41..=43 => POLICY + 8 * input.below(SETTINGS),
        44 => COUNTERS + 8 * input.below(COUNTERS_LEN),
        45 => ROOT_DUE,
        46 => LATENCY + 8 * input.below(LATENCY_LEN),
        _ => input.pair() as usize % (layout.len - 8),
    }
}
