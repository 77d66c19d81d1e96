//! The messages of the queue section: 100 bytes, numbered.

use std::hint::black_box;

use xxhash_rust::xxh3::xxh3_64;

use crate::sample::Failure;

/// Bytes of a body.
pub const BODY: usize = 100;
/// A batch has this many.
pub const TEN: usize = 10;

/// A body: its number in the first eight bytes.
pub type Body = [u8; BODY];

/// What was sent: how many, and the sum of their numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Wrapping sum of the numbers.
    pub sum: u64,
}

impl Tally {
    /// The next ten bodies; they are counted once they have been sent.
    pub fn number(&self, bodies: &mut [Body]) {
        for (body, number) in bodies.iter_mut().zip(self.count..) {
            body[..8].copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Counts a body that was sent or has arrived.
    #[inline(always)]
    pub fn add(&mut self, body: &[u8]) {
        let number = body
            .first_chunk()
            .map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
    }

    /// A consumer's work: looks at each byte of the body, then counts it.
    #[inline(always)]
    pub fn consume(&mut self, body: &[u8]) {
        black_box(xxh3_64(body));
        self.add(body);
    }
}

/// Ten bodies to number.
pub fn bodies() -> [Body; TEN] {
    [[0x5a; BODY]; TEN]
}

/// Compares what was sent with what arrived.
///
/// # Errors
///
/// When they differ.
pub fn check(sent: Tally, received: Tally) -> Result<(), Failure> {
    if sent == received {
        return Ok(());
    }
    Err(format!("sent {sent:?}, received {received:?}: lost, doubled or damaged").into())
}
