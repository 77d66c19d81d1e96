//! Records: the bytes of claimed and of committed granules.
//!
//! A record is `{ checksum:32, len:32 }`, `{ 0:9, key_len:11, time_ms:44 }`, its partition key and
//! its data; `len` counts the last two. The checksum is the high half of a product, into which the
//! xxh3-64 of key and of data go, the position, and the second word: bytes of another place, time
//! or key fail. Key and data are hashed apart, so that a writer hashes what it is given and does
//! not read what it has just written: that would wait for the copy to leave the processor. And they
//! are hashed without the place, so that this can be done before the claim: its exchange waits
//! until all that this processor has written before is out, and hashing is done meanwhile.

use super::layout::{BLOCK_GRANULES, GRANULE_BYTES, StreamShape, TIME_MS_MAX};
use super::memory::{STORED_HEAD_BYTES, StreamPlace};
use super::site::Shard;
use crate::hash::xxh3_64;
use crate::region::store::fetch;
use crate::ring::log::{Claim, Committed, Log, Position, Refusal};
use crate::sync::{AtomicU64, Ordering};

/// The longest partition key, bytes: 256 characters.
pub const KEY_BYTES_MAX: usize = 1024;

const TIME_BITS: u32 = 44;
const KEY_MASK: u64 = (1 << 11) - 1;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// The most lines of a record that are asked for before it is written or read.
const FETCH_MAX: u32 = 32;
/// So many bytes ahead of the next record a shard's only writer asks for lines, and a reader ahead
/// of this one: what lies between takes as long as memory does.
pub(super) const WRITE_AHEAD: usize = 1024;
const READ_AHEAD: usize = 2048;

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the checksum of a record knows of its key and data.
#[derive(Debug, Clone, Copy)]
pub struct Digest(u64);

impl Digest {
    #[inline(always)]
    fn of(key: &[u8], data: &[u8]) -> Self {
        Self(xxh3_64(data).wrapping_add(xxh3_64(key).rotate_left(32)))
    }

    /// The checksum of a record with this second word, at this place.
    #[inline(always)]
    const fn sum(self, at: Position, about: u64) -> u32 {
        let all = self.0 ^ at.0 ^ about.wrapping_mul(ODD);
        (all.wrapping_mul(ODD) >> 32) as u32
    }
}

/// A claim that is being filled.
#[derive(Debug)]
pub struct Writing {
    /// The claim.
    pub claim: Claim,
    /// The time that its records have, ms.
    pub time_ms: u64,
}

/// A claim that is filled with records, one behind the other.
#[derive(Debug)]
pub struct Filling<'w> {
    /// The granules that are left.
    bytes: &'w mut [u8],
    /// The first of them.
    at: Position,
    time_ms: u64,
    place: &'w StreamPlace,
}

impl Filling<'_> {
    /// Writes the next record: where it is. The claim has room for it.
    #[inline(always)]
    pub fn record(&mut self, key: &[u8], data: &[u8]) -> Position {
        let (at, place) = (self.at, self.place);
        let granules = StreamShape::granules_of(key.len() + data.len());
        let bytes = core::mem::take(&mut self.bytes);
        // What lies behind the claim may be another's.
        if let Some(ahead) = bytes.get(WRITE_AHEAD..).filter(|ahead| !ahead.is_empty()) {
            fetch_record(ahead.as_ptr(), granules);
        }
        let (bytes, behind) = bytes.split_at_mut(granules as usize * GRANULE_BYTES);
        write(bytes, at, self.time_ms, key, data, || {
            place.digest(key, data)
        });
        self.bytes = behind;
        self.at = Position(at.0 + u64::from(granules));
        at
    }
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

impl StreamPlace {
    /// What the checksum of a record will know of its key and data, if it has one.
    #[inline(always)]
    pub fn digest(&self, key: &[u8], data: &[u8]) -> Option<Digest> {
        self.has_checksums().then(|| Digest::of(key, data))
    }
}

/// Copies a key: mostly a few bytes, for which a call costs more than the copy.
#[inline(always)]
fn copy_key(into: &mut [u8], key: &[u8]) {
    if let (8..=16, Some(first), Some(last)) =
        (key.len(), key.first_chunk::<8>(), key.last_chunk::<8>())
        && into.len() == key.len()
    {
        into[..8].copy_from_slice(first);
        into[key.len() - 8..].copy_from_slice(last);
    } else {
        into.copy_from_slice(key);
    }
}

/// Writes a record at `at` into the bytes of its granules, with a checksum if its `digest` is one.
/// That is asked for when key and data are copied: what it takes, the copy takes to leave the
/// processor.
#[inline(always)]
pub(super) fn write(
    bytes: &mut [u8],
    at: Position,
    time_ms: u64,
    key: &[u8],
    data: &[u8],
    digest: impl FnOnce() -> Option<Digest>,
) {
    let Some((head, bytes)) = bytes.split_first_chunk_mut::<STORED_HEAD_BYTES>() else {
        return; // a granule is longer
    };
    let len = key.len() + data.len();
    let (into_key, into_data) = bytes[..len].split_at_mut(key.len());
    copy_key(into_key, key);
    into_data.copy_from_slice(data);
    *head = head_of(at, time_ms, key.len(), len, digest());
}

/// The head of a record at `at` with a key so long, and with the data so long.
#[inline(always)]
fn head_of(
    at: Position,
    time_ms: u64,
    key_len: usize,
    len: usize,
    sum: Option<Digest>,
) -> [u8; 16] {
    let about = time_ms | (key_len as u64) << TIME_BITS;
    let sum = sum.map_or(0, |digest| digest.sum(at, about));
    let size = u64::from(sum) << 32 | len as u64;
    let mut head = [0; 16];
    head[..8].copy_from_slice(&size.to_le_bytes());
    head[8..].copy_from_slice(&about.to_le_bytes());
    head
}

/// Asks the processor for the lines of a record of so many granules at an address, and for one at
/// least behind the first: while another record is copied or hashed, they come. Of a very long one
/// some are enough: from there the processor goes on by itself.
#[inline(always)]
pub(super) fn fetch_record(first: *const u8, granules: u32) {
    fetch(first);
    fetch(first.wrapping_add(GRANULE_BYTES));
    for line in 2..granules.min(FETCH_MAX) as usize {
        fetch(first.wrapping_add(line * GRANULE_BYTES));
    }
}

/// Enters a record in the word of its block in the index, unless that has one of this lap.
#[inline(always)]
pub(super) fn note(word: &AtomicU64, at: Position, time_ms: u64) {
    let noted = indexed(at, time_ms);
    // ORDERING: Relaxed; a hint.
    if word.load(Ordering::Relaxed) >> 50 != noted >> 50 {
        word.store(noted, Ordering::Relaxed);
    }
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
        let mut time_ms = 0;
        let before = || self.may_append(now_ms, &mut time_ms);
        let claim = self.log().claim(from, owner, granules, before)?;
        Ok(Writing { claim, time_ms })
    }

    /// [`claim`](Self::claim) in the common case, [`Log::claim_near`].
    #[inline(always)]
    pub fn claim_near(
        &self,
        log: &Log<'_>,
        from: Position,
        owner: u32,
        granules: u32,
        now_ms: u64,
    ) -> Option<Writing> {
        let mut time_ms = 0;
        let before = || self.may_append(now_ms, &mut time_ms);
        let claim = log.claim_near(from, owner, granules, before)?;
        Some(Writing { claim, time_ms })
    }

    /// Writes the one record of a claim, and commits it.
    #[inline(always)]
    pub fn put(
        &self,
        log: &Log<'_>,
        writing: Writing,
        key: &[u8],
        data: &[u8],
        digest: Option<Digest>,
    ) {
        let (at, time_ms, granules) = (writing.claim.at, writing.time_ms, writing.claim.granules);
        let len = granules as usize * GRANULE_BYTES;
        let first = self.address(at.index(), granules);
        fetch_record(first.wrapping_add(len), granules);
        // SAFETY: as in `claimed`: all of the claim, which is consumed below.
        let bytes = unsafe { core::slice::from_raw_parts_mut(first, len) };
        write(bytes, at, time_ms, key, data, || digest);
        log.commit(writing.claim);
        self.note(at, time_ms);
    }

    /// What is asked between finding the tail and taking it: the time of records put there, and
    /// whether the place is still this shard's.
    #[inline(always)]
    pub(super) fn may_append(&self, now_ms: u64, time_ms: &mut u64) -> bool {
        let latest = &self.head().writers.latest_ms;
        let now_ms = now_ms.clamp(1, TIME_MS_MAX);
        // ORDERING: Relaxed; [claimed] orders it behind those of earlier claims.
        let seen = latest.load(Ordering::Relaxed).min(TIME_MS_MAX);
        *time_ms = seen.max(now_ms);
        if seen < now_ms {
            latest.fetch_max(now_ms, Ordering::Relaxed);
        }
        // Behind what has found the tail; [renamed].
        self.shape().places == 1 || self.is_there()
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

    /// The claim, to be filled with records.
    #[inline(always)]
    pub fn fill<'w>(&self, writing: &'w mut Writing) -> Filling<'w>
    where
        'a: 'w,
    {
        let (at, granules, time_ms) = (writing.claim.at, writing.claim.granules, writing.time_ms);
        let bytes = self.claimed(writing, at, granules);
        fetch_record(
            bytes.as_ptr(),
            granules.min((WRITE_AHEAD / GRANULE_BYTES) as u32),
        );
        Filling {
            bytes,
            at,
            time_ms,
            place: self.place(),
        }
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
            let has_sum = self.place().has_checksums();
            let sum = has_sum.then(|| Digest::of(key, data));
            *head = head_of(at, time_ms, key_len, key_len + data_len, sum);
        }
    }

    /// Makes one record of a claim that is filled.
    #[inline(always)]
    pub fn commit(&self, writing: Writing) {
        let (at, time_ms) = (writing.claim.at, writing.time_ms);
        self.log().commit(writing.claim);
        self.note(at, time_ms);
    }

    /// Makes records of these lengths, in granules, of a claim that is filled.
    #[inline(always)]
    pub fn commit_batch(&self, writing: Writing, lengths: impl Iterator<Item = u32> + Clone) {
        let (mut at, time_ms) = (writing.claim.at, writing.time_ms);
        self.log().commit_batch(writing.claim, lengths.clone());
        let mut noted = None;
        for granules in lengths {
            // The first of a block is the one to be entered.
            let block = at.0 / BLOCK_GRANULES as u64;
            if noted != Some(block) {
                self.note(at, time_ms);
                noted = Some(block);
            }
            at = Position(at.0 + granules as u64);
        }
    }

    /// Enters a committed record in the index, unless its block has one of this lap.
    #[inline(always)]
    fn note(&self, at: Position, time_ms: u64) {
        note(
            &self.index()[(at.index() / BLOCK_GRANULES) as usize],
            at,
            time_ms,
        );
    }

    /// The record of so many granules at `at`; `None` if its lengths are not what they should be.
    ///
    /// # Safety
    ///
    /// The caller has found this record there, and has its segment pinned as long as it shows the
    /// bytes.
    pub(super) unsafe fn stored(&self, at: Position, granules: u32) -> Option<Stored<'a>> {
        let first = self.address(at.index(), granules);
        // SAFETY: inside the shard's memory, as `address` checks; the rest by the caller's promise.
        unsafe { stored(first, at, granules, false) }
    }

    /// The records from a boundary on in its segment.
    ///
    /// # Safety
    ///
    /// The caller has that segment pinned as long as it shows their bytes.
    #[inline(always)]
    pub(super) unsafe fn read(&self, at: Position) -> Reading<'a> {
        self.reading(self.log().committed(at))
    }

    /// No record.
    #[inline(always)]
    pub(super) fn read_nothing(&self, at: Position) -> Reading<'a> {
        self.reading(Committed::none(at))
    }

    #[inline(always)]
    fn reading(&self, committed: Committed<'a>) -> Reading<'a> {
        Reading {
            committed,
            granules: self.address(0, self.place().shape.ring.granules),
        }
    }
}

/// The records of a segment, one after the other, as they lie there.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    committed: Committed<'a>,
    /// The first of the shard's granules.
    granules: *const u8,
}

// SAFETY: the pointer is to where the shard lies, and used as the shard itself, which can be sent.
unsafe impl Send for Reading<'_> {}
// SAFETY: as above; nothing is written.
unsafe impl Sync for Reading<'_> {}

impl<'a> Reading<'a> {
    /// The next record, and where it is; without its bytes if they are not what they should be, by
    /// their lengths or, if it is to be checked, by their checksum.
    #[inline(always)]
    pub fn next(&mut self, check: bool) -> Option<(Position, Option<Stored<'a>>)> {
        let (at, granules) = self.committed.next()?;
        let first = self
            .granules
            .wrapping_add(at.index() as usize * GRANULE_BYTES);
        // Who does not check may not look at the bytes.
        let lines = if check { granules } else { 1 };
        fetch_record(first.wrapping_add(READ_AHEAD), lines);
        // SAFETY: `committed` gives granules of a segment of this shard, which are a record; who
        // made this has that pinned.
        Some((at, unsafe { stored(first, at, granules, check) }))
    }

    /// Granules from a boundary before, of the same segment, to that behind the last record.
    pub fn since(&self, from: Position) -> u32 {
        self.committed.since(from)
    }
}

/// The record at `at`, whose granules begin at `first`.
///
/// # Safety
///
/// The granules are there. The record is committed, and its segment pinned: nobody writes it before
/// the pin goes, which the caller holds as long as it shows the bytes.
#[inline(always)]
unsafe fn stored<'a>(
    first: *const u8,
    at: Position,
    granules: u32,
    check: bool,
) -> Option<Stored<'a>> {
    let len = granules as usize * GRANULE_BYTES;
    // SAFETY: by the caller's promise.
    let bytes = unsafe { core::slice::from_raw_parts(first, len) };
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
    if check && Digest::of(key, data).sum(at, about) != (size >> 32) as u32 {
        return None;
    }
    Some(Stored {
        key,
        data,
        time_ms: about & TIME_MASK,
    })
}
