//! Bodies: each is made from its seed alone, its length too, so that whoever receives one can check
//! every byte. Seeds are given out once in a run.

use crate::common::{self, Numbers};

/// Set in the seed of a binary body, and so in the eighth byte of it. Text bodies are hexadecimal
/// digits, so their eighth byte has it clear.
const BINARY: u64 = 1 << 63;
/// Set in the seed of a message of the narrow queue.
const NARROW: u64 = 1 << 62;
const LIFE_SHIFT: u32 = 32;

/// The longest body that is made, bytes.
pub const BODY_BYTES_MAX: usize = 9000;

/// The two queues that are tortured in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Room for all; some bodies take runs.
    Wide,
    /// Few small slots, often full; many bodies take runs, some more than 64 slots.
    Narrow,
}

/// The seed of message `number` of life `life` (its number in the whole run).
pub fn seed(shape: Shape, text: bool, life: u64, number: u64) -> u64 {
    assert!(life < 1 << 30 && number < 1 << 32, "seeds run out");
    let kind = if text { 0 } else { BINARY };
    let narrow = match shape {
        Shape::Wide => 0,
        Shape::Narrow => NARROW,
    };
    kind | narrow | life << LIFE_SHIFT | number
}

/// The length of a seed's body.
fn len(seed: u64) -> usize {
    let mut numbers = Numbers(seed);
    let pick = numbers.below(1000);
    let mut between = |from: u64, to: u64| (from + numbers.below(to - from)) as usize;
    let len = if seed & NARROW == 0 {
        match pick {
            0..800 => between(8, 97), // one slot of 128 bytes
            800..960 => between(97, 600),
            960..995 => between(600, 5000),
            _ => between(8200, BODY_BYTES_MAX as u64), // more than 64 slots
        }
    } else {
        match pick {
            0..600 => between(8, 33), // one slot of 64 bytes
            600..900 => between(33, 600),
            900..960 => between(600, 4064),
            _ => between(4065, 6000), // more than 64 slots
        }
    };
    if seed & BINARY == 0 { len.max(16) } else { len }
}

/// The body of a seed.
pub fn body(seed: u64) -> Vec<u8> {
    let len = len(seed);
    if seed & BINARY != 0 {
        return common::body(seed, len);
    }
    let mut numbers = Numbers(seed);
    let mut text = format!("{seed:016x}");
    while text.len() < len {
        text += &format!("{:016x}", numbers.next());
    }
    text.truncate(len);
    text.into_bytes()
}

/// The seed that a body claims to have, without looking at the rest of it.
pub fn claimed_seed(bytes: &[u8]) -> Option<u64> {
    let first: [u8; 8] = bytes.get(..8)?.try_into().ok()?;
    let seed = u64::from_le_bytes(first);
    if seed & BINARY != 0 {
        return Some(seed);
    }
    let text = std::str::from_utf8(bytes.get(..16)?).ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// The seed of these bytes, if they are all of its body and nothing else.
pub fn seed_of(bytes: &[u8]) -> Option<u64> {
    claimed_seed(bytes).filter(|seed| is_body_of(*seed, bytes))
}

/// Whether these are the bytes of that seed.
pub fn is_body_of(seed: u64, bytes: &[u8]) -> bool {
    if bytes.len() != len(seed) {
        return false;
    }
    if seed & BINARY == 0 {
        return body(seed) == bytes;
    }
    let mut numbers = Numbers(seed);
    let mut chunks = bytes.chunks(8);
    chunks.next() == Some(&seed.to_le_bytes()[..])
        && chunks.all(|chunk| *chunk == numbers.next().to_le_bytes()[..chunk.len()])
}
