//! Floor 0: hashes. xxh3 for checksums and partition keys (Collet, XXH3 specification), MD5 for
//! partition keys that are to be placed as Kinesis does (RFC 1321).

use twox_hash::XxHash3_64;
#[cfg(all(feature = "stream", not(ringmain_loom)))]
use twox_hash::XxHash3_128;

/// xxh3, 64 bits.
#[inline]
pub fn xxh3_64(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// xxh3, 64 bits, seeded.
#[cfg(any(feature = "fifo", feature = "mapped"))]
#[inline]
pub fn xxh3_64_seeded(bytes: &[u8], seed: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// xxh3, 64 bits, seeded, of bytes that come piece by piece.
#[cfg(all(feature = "mapped", not(ringmain_loom)))]
pub struct Xxh3Pieces(XxHash3_64);

#[cfg(all(feature = "mapped", not(ringmain_loom)))]
impl Xxh3Pieces {
    /// No byte yet.
    pub fn new(seed: u64) -> Self {
        Self(XxHash3_64::with_seed(seed))
    }

    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        core::hash::Hasher::write(&mut self.0, bytes);
    }

    /// The hash of the bytes so far: that of [`xxh3_64_seeded`].
    pub fn sum(&self) -> u64 {
        core::hash::Hasher::finish(&self.0)
    }
}

/// The checksum of a body, bound to the message it belongs to: the low half of a seeded xxh3-64.
#[inline(always)]
pub fn checksum(body: &[u8], stamp: u64) -> u32 {
    XxHash3_64::oneshot_with_seed(stamp, body) as u32
}

/// xxh3, 128 bits.
#[cfg(all(feature = "stream", not(ringmain_loom)))]
#[inline]
pub fn xxh3_128(bytes: &[u8]) -> u128 {
    XxHash3_128::oneshot(bytes)
}

/// MD5, its 16 bytes as a big-endian number.
#[cfg(all(feature = "stream", not(ringmain_loom)))]
#[cold] // it takes ten times as long: the other way is the one to be straight
pub fn md5_128(bytes: &[u8]) -> u128 {
    use md5::{Digest, Md5};
    u128::from_be_bytes(Md5::digest(bytes).into())
}

/// xxh3, 128 bits, seeded: low half first.
#[cfg(all(feature = "fifo", not(ringmain_loom)))]
#[inline]
pub fn xxh3_128_seeded(bytes: &[u8], seed: u64) -> [u64; 2] {
    let hash = twox_hash::XxHash3_128::oneshot_with_seed(seed, bytes);
    [hash as u64, (hash >> 64) as u64]
}
