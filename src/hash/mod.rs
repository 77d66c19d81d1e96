//! Floor 0: hashes. xxh3 for checksums and, later, partition keys (Collet, XXH3 specification).

/// xxh3, 64 bits.
#[inline]
pub fn xxh3_64(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// xxh3, 64 bits, seeded.
#[cfg(feature = "mapped")]
#[inline]
pub fn xxh3_64_seeded(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}

/// The checksum of a body, bound to the message it belongs to: the low half of a seeded xxh3-64.
#[inline(always)]
pub fn checksum(body: &[u8], stamp: u64) -> u32 {
    xxhash_rust::xxh3::xxh3_64_with_seed(body, stamp) as u32
}
