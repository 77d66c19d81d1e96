//! Records: the bytes of claimed and of committed granules.
//!
//! A record is `{ checksum:32, len:32 }`, `{ 0:9, key_len:11, time_ms:44 }`, its partition key and
//! its data; `len` counts the last two. The checksum is the low half of xxh3-64 over the data,
//! seeded with the position, the second word, and the key's xxh3-64: bytes of another place, time
//! or key fail. Key and data are hashed apart, so that a writer hashes what it is given and does
//! not read what it has just written: that would wait for the copy to leave the processor.

use super::layout::{BLOCK_GRANULES, GRANULE_BYTES, StreamShape, TIME_MS_MAX};
use super::memory::STORED_HEAD_BYTES;
use super::site::Shard;
use crate::hash::{checksum, xxh3_64};
use crate::region::store::fetch;
use crate::ring::log::{Claim, Position, Refusal};
use crate::sync::Ordering;

/// The longest partition key, bytes: 256 characters.
pub const KEY_BYTES_MAX: usize = 1024;

const TIME_BITS: u32 = 44;
const KEY_MASK: u64 = (1 << 11) - 1;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The checksum of a record.
#[inline(always)]
fn sum(at: Position, about: u64, key: &[u8], data: &[u8]) -> u32 {
    let place = at.0 ^ about.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    checksum(data, place ^ xxh3_64(key))
}

/// A claim that is being filled.
#[derive(Debug)]
pub struct Writing {
    /// The claim.
    pub claim: Claim,
    /// The time that its records have, ms.
    pub time_ms: u64,
}

/// A record as it lies in its shard.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The partition key, as its writer has given it.
    pub key: &'a [u8],
    /// The data.
    pub data: &'a [u8],
    /// When it arrived, ms.
    pub time_ms: u64,
}

/// `{ lap:14, offset:6, time_ms:44 }`: that a record of this time begins in the block, and where.
#[inline(always)]
pub(super) const fn indexed(at: Position, time_ms: u64) -> u64 {
    let offset = at.index() as u64 % BLOCK_GRANULES as u64;
    at.lap() << 50 | offset << TIME_BITS | time_ms
}

/// The record that a word of the index names, if it is of this lap: granule, and time.
pub(super) const fn named(word: u64, block: Position) -> Option<(Position, u64)> {
    if word >> 50 != block.lap() & ((1 << 14) - 1) || word & TIME_MASK == 0 {
        return None;
    }
    let offset = word >> TIME_BITS & (BLOCK_GRANULES as u64 - 1);
    Some((Position(block.0 + offset), word & TIME_MASK))
}

impl<'a> Shard<'a> {
    /// Claims so many granules. `from` is a boundary from which to look for the tail.
    #[inline(always)]
    pub fn claim(
        &self,
        from: Position,
        owner: u32,
        granules: u32,
        now_ms: u64,
    ) -> Result<Writing, Refusal> {
        let latest = &self.head().writers.latest_ms;
        let now_ms = now_ms.clamp(1, TIME_MS_MAX);
        let mut time_ms = now_ms;
        let before = || {
            // ORDERING: Relaxed; [claimed] orders it behind those of earlier claims.
            let seen = latest.load(Ordering::Relaxed).min(TIME_MS_MAX);
            time_ms = seen.max(now_ms);
            if seen < now_ms {
                latest.fetch_max(now_ms, Ordering::Relaxed);
            }
            // Behind what has found the tail; [renamed].
            self.shape().places == 1 || self.is_there()
        };
        let claim = self.log().claim(from, owner, granules, before)?;
        Ok(Writing { claim, time_ms })
    }

    /// The bytes of claimed granules, from the one at `at` on.
    #[inline(always)]
    fn claimed<'w>(&self, writing: &'w mut Writing, at: Position, granules: u32) -> &'w mut [u8]
    where
        'a: 'w,
    {
        let claim = &writing.claim;
        let first = at.index() - claim.at.index();
        assert!(first <= claim.granules && granules <= claim.granules - first);
        let len = granules as usize * GRANULE_BYTES;
        // SAFETY: inside the shard's memory, as `address` checks, and inside the claim. A claim
        // exists only between the exchange that won it and its commit or abandonment, which
        // consume it; until then nobody reads or writes its granules but through it.
        unsafe { core::slice::from_raw_parts_mut(self.address(at.index(), granules), len) }
    }

    /// The data of the first record of a claim, to be written.
    pub fn data_mut<'w>(
        &self,
        writing: &'w mut Writing,
        key_len: usize,
        data_len: usize,
    ) -> &'w mut [u8]
    where
        'a: 'w,
    {
        let at = writing.claim.at;
        let granules = StreamShape::granules_of(key_len + data_len);
        let first = STORED_HEAD_BYTES + key_len;
        &mut self.claimed(writing, at, granules)[first..first + data_len]
    }

    /// The data of the first record of a claim, as far as it is written.
    pub fn data<'w>(&self, writing: &'w Writing, key_len: usize, data_len: usize) -> &'w [u8]
    where
        'a: 'w,
    {
        let claim = &writing.claim;
        let len = claim.granules as usize * GRANULE_BYTES;
        let address = self.address(claim.at.index(), claim.granules);
        // SAFETY: as in `claimed`; shared through `&Writing`, so nobody writes meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(address, len) };
        let first = STORED_HEAD_BYTES + key_len;
        &bytes[first..first + data_len]
    }

    /// Writes a record into the granules from `at` on.
    #[inline(always)]
    pub fn fill(&self, writing: &mut Writing, at: Position, key: &[u8], data: &[u8]) {
        let (len, time_ms) = (key.len() + data.len(), writing.time_ms);
        let bytes = self.claimed(writing, at, StreamShape::granules_of(len));
        let Some((head, bytes)) = bytes.split_first_chunk_mut::<STORED_HEAD_BYTES>() else {
            return; // a granule is longer
        };
        let (into_key, into_data) = bytes[..len].split_at_mut(key.len());
        into_key.copy_from_slice(key);
        into_data.copy_from_slice(data);
        *head = self.head_of(at, time_ms, key, data);
    }

    /// Writes the key of a record that is written in place.
    pub fn fill_key(&self, writing: &mut Writing, key: &[u8]) {
        let (at, granules) = (writing.claim.at, writing.claim.granules);
        let bytes = self.claimed(writing, at, granules);
        bytes[STORED_HEAD_BYTES..][..key.len()].copy_from_slice(key);
    }

    /// Writes the head of a record that was written in place.
    pub fn seal(&self, writing: &mut Writing, key_len: usize, data_len: usize) {
        let (at, time_ms) = (writing.claim.at, writing.time_ms);
        let granules = writing.claim.granules;
        let bytes = self.claimed(writing, at, granules);
        if let Some((head, bytes)) = bytes.split_first_chunk_mut::<STORED_HEAD_BYTES>() {
            let (key, data) = bytes[..key_len + data_len].split_at(key_len);
            *head = self.head_of(at, time_ms, key, data);
        }
    }

    /// The head of a record at `at` with this key and data.
    #[inline(always)]
    fn head_of(&self, at: Position, time_ms: u64, key: &[u8], data: &[u8]) -> [u8; 16] {
        let about = time_ms | (key.len() as u64) << TIME_BITS;
        let sum = match self.place().has_checksums() {
            true => sum(at, about, key, data),
            false => 0,
        };
        let size = u128::from(sum) << 32 | (key.len() + data.len()) as u128;
        (size | u128::from(about) << 64).to_le_bytes()
    }

    /// Makes one record of a claim that is filled.
    #[inline(always)]
    pub fn commit(&self, writing: Writing) {
        let (at, time_ms) = (writing.claim.at, writing.time_ms);
        let (end, granules) = (writing.claim.end, writing.claim.granules);
        self.log().commit(writing.claim);
        self.note(at, time_ms);
        self.fetch(end, granules);
    }

    /// Asks the processor for the granules of a next record as long as the last one, up to four.
    #[inline(always)]
    fn fetch(&self, at: Position, granules: u32) {
        let all = self.place().shape.ring.granules;
        for n in 0..granules.min(4) {
            let index = (at.index() + n).min(all - 1);
            fetch(self.address(index, 1));
        }
    }

    /// Makes records of these lengths, in granules, of a claim that is filled.
    pub fn commit_batch(&self, writing: Writing, lengths: impl Iterator<Item = u32> + Clone) {
        let (mut at, time_ms) = (writing.claim.at, writing.time_ms);
        self.log().commit_batch(writing.claim, lengths.clone());
        for granules in lengths {
            self.note(at, time_ms);
            at = Position(at.0 + granules as u64);
        }
    }

    /// Enters a committed record in the index, unless its block has one of this lap.
    #[inline(always)]
    fn note(&self, at: Position, time_ms: u64) {
        let word = &self.index()[(at.index() / BLOCK_GRANULES) as usize];
        let noted = indexed(at, time_ms);
        // ORDERING: Relaxed; a hint.
        if word.load(Ordering::Relaxed) >> 50 != noted >> 50 {
            word.store(noted, Ordering::Relaxed);
        }
    }

    /// The record of so many granules at `at`; `None` if its lengths or, if it is to be checked,
    /// its bytes are not what they should be.
    ///
    /// The caller has pinned the segment, and found this record there.
    #[inline(always)]
    pub fn stored(&self, at: Position, granules: u32, check: bool) -> Option<Stored<'a>> {
        let len = granules as usize * GRANULE_BYTES;
        // SAFETY: inside the shard's memory, as `address` checks. The record is committed, and its
        // segment pinned: nobody writes it before the pin goes, which the caller holds as long as
        // it shows the bytes.
        let bytes = unsafe { core::slice::from_raw_parts(self.address(at.index(), granules), len) };
        let (head, bytes) = bytes.split_first_chunk::<STORED_HEAD_BYTES>()?;
        let word = |from: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&head[from..from + 8]);
            u64::from_le_bytes(word)
        };
        let (size, about) = (word(0), word(8));
        let bytes = bytes.get(..(size as u32) as usize)?;
        let key_len = (about >> TIME_BITS & KEY_MASK) as usize;
        let (key, data) = bytes.split_at_checked(key_len)?;
        if check && sum(at, about, key, data) != (size >> 32) as u32 {
            return None;
        }
        Some(Stored {
            key,
            data,
            time_ms: about & TIME_MASK,
        })
    }
}
