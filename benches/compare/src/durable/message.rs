//! The messages of the durable section: 100 bytes, numbered by their writer.

/// Bytes of a body.
pub const BODY: usize = 100;

/// A body: its number in the first eight bytes.
pub type Body = [u8; BODY];

/// Bodies to number.
pub fn bodies(count: usize) -> Vec<Body> {
    vec![[0x5a; BODY]; count]
}

/// Numbers `bodies` from `first` on; returns the number after the last.
pub fn number(bodies: &mut [Body], first: u64) -> u64 {
    for (body, number) in bodies.iter_mut().zip(first..) {
        body[..8].copy_from_slice(&number.to_le_bytes());
    }
    first + bodies.len() as u64
}

/// The number of a body; none if its other bytes are not as they were.
pub fn number_of(body: &[u8]) -> Option<u64> {
    let (number, rest) = body.split_first_chunk()?;
    let whole = body.len() == BODY && rest.iter().all(|byte| *byte == 0x5a);
    whole.then(|| u64::from_le_bytes(*number))
}

/// What was committed, or read back: how many, and the sum of their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Wrapping sum of the numbers.
    pub sum: u64,
}

impl Tally {
    /// Counts a body; a damaged one spoils the sum.
    pub fn add(&mut self, body: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number_of(body).unwrap_or(1 << 63));
    }

    /// Both together.
    pub fn join(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum.wrapping_add(other.sum),
        }
    }
}
