//! The records: a key, and data that begins with a number.

use std::hint::black_box;

use crate::sample::Failure;

/// The key of each record.
pub const KEY: &str = "sensor-7";
/// Records in the largest batch.
pub const BATCH_MAX: usize = 500;

/// What a replay has met: an unbroken run of numbers, if all is well.
#[derive(Debug, Default)]
pub struct Seen {
    /// Records.
    pub count: u64,
    /// The number that follows.
    next: Option<u64>,
    broken: bool,
}

impl Seen {
    /// Counts a record.
    #[inline(always)]
    pub fn add(&mut self, data: &[u8]) {
        let data = black_box(data);
        let number = data
            .first_chunk()
            .map_or(u64::MAX - 1, |bytes| u64::from_le_bytes(*bytes));
        self.broken |= self.next.is_some_and(|next| next != number);
        self.next = Some(number.wrapping_add(1));
        self.count += 1;
    }

    /// Holds what was met against what was appended: the last of it is there, and nothing before
    /// that is missing, doubled or damaged.
    ///
    /// # Errors
    ///
    /// When something is.
    pub fn check(&self, next: u64) -> Result<(), Failure> {
        if self.next == Some(next) && !self.broken {
            return Ok(());
        }
        Err(format!("appended up to {next}, read {self:?}: lost, doubled or damaged").into())
    }
}

/// Numbers records of `size` bytes that lie one after the other.
#[inline(always)]
pub fn number(bytes: &mut [u8], size: usize, next: &mut u64) {
    for record in bytes.chunks_exact_mut(size) {
        record[..8].copy_from_slice(&next.to_le_bytes());
        *next += 1;
    }
}
