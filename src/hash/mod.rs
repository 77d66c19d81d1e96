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

/// A permutation of 128 bits that the seed chooses, for what is so short that it is its own key:
/// two never become one, and with each bit some half of the bits of the first word change: that is
/// a hash.
///
/// Two rounds of a Feistel network (Luby & Rackoff 1988) whose round function is a folded product
/// (Yi's wyhash).
#[cfg(feature = "fifo")]
#[inline(always)]
pub const fn permuted_128(words: [u64; 2], seed: u64) -> [u64; 2] {
    let second = words[1] ^ folded(words[0] ^ seed, 0x9e37_79b9_7f4a_7c15);
    let first = words[0] ^ folded(second ^ seed, 0xd6e8_feb8_6659_fd93);
    [first, second]
}

/// Both halves of a product as one.
#[cfg(feature = "fifo")]
#[inline(always)]
const fn folded(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(all(test, feature = "fifo"))]
mod tests {
    use super::*;

    const SEED: u64 = 0x0123_4567_89ab_cdef;

    /// What was permuted.
    const fn restored(words: [u64; 2], seed: u64) -> [u64; 2] {
        let first = words[0] ^ folded(words[1] ^ seed, 0xd6e8_feb8_6659_fd93);
        let second = words[1] ^ folded(first ^ seed, 0x9e37_79b9_7f4a_7c15);
        [first, second]
    }

    #[test]
    fn what_is_permuted_can_be_had_back() {
        let mut words = [0, u64::MAX];
        for seed in [0, SEED, u64::MAX] {
            for at in 0..1000 {
                let permuted = permuted_128(words, seed);
                assert_eq!(restored(permuted, seed), words);
                words = [permuted[0] ^ at, permuted[1]];
            }
        }
    }

    /// Each bit of both words and of the seed changes half of the first word, give or take.
    #[test]
    fn each_bit_counts() {
        const ROUNDS: u32 = 256;
        let mut words = [0x6f72_6465_7230_3030, 0x0c30_3030_3030_3031];
        let mut flips = [0; 192];
        for _ in 0..ROUNDS {
            let plain = permuted_128(words, SEED);
            for (bit, flips) in flips.iter_mut().enumerate() {
                let (mut other, mut seed) = (words, SEED);
                match bit {
                    0..128 => other[bit / 64] ^= 1 << (bit % 64),
                    _ => seed ^= 1 << (bit - 128),
                }
                *flips += (plain[0] ^ permuted_128(other, seed)[0]).count_ones();
            }
            words = plain;
        }
        let sound = |flips: &u32| (24..=40).contains(&(flips / ROUNDS));
        assert!(flips.iter().all(sound), "{flips:?} of {ROUNDS} * 64");
    }

    /// Names that follow each other lie in nearly as many chains as random ones would, wherever in
    /// them their numbers stand.
    #[test]
    fn names_that_differ_little_are_spread() {
        for at in 0..=12 {
            let mut buckets = [0u8; 4096];
            for number in 0..4096u32 {
                let digits: [u8; 4] = core::array::from_fn(|digit| {
                    b'0' + (number / 10u32.pow(digit as u32) % 10) as u8
                });
                let mut name = [b'x'; 16];
                name[at..][..4].copy_from_slice(&digits);
                let name = u128::from_le_bytes(name);
                let [hash, _] = permuted_128([name as u64, (name >> 64) as u64], SEED);
                buckets[hash as usize % 4096] += 1;
            }
            let used = buckets.iter().filter(|count| **count != 0).count();
            let most = buckets.iter().max().copied().unwrap_or(0);
            // Of random ones 2589 on average, and the fullest has 6 or 7.
            assert!(used >= 2000, "{used} used, at {at}");
            assert!(most <= 10, "{most} in one, at {at}");
        }
    }
}
