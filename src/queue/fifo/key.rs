//! Keys: what a group, a deduplication id and an attempt's id are to the queue's memory.
//!
//! A group's key is 128 bits: its id and the length of that, permuted by the queue's seed, if it is
//! of 8 to 15 bytes, as most are; else a seeded hash. Should two groups ever have one by that, they
//! are one group, and lose nothing but that they could be received from at once. A deduplication
//! id is kept as it is as long as it is short enough, together with its group where ids count
//! within groups; else its SHA-256 is. Form and lengths are part of the key. So two ids are never
//! taken for one.

use crate::message::Names;
use crate::region::fifo::ids::IdKey;
use crate::region::fifo::layout::ID_WORDS;
use sha2::{Digest, Sha256};

const KEY_BYTES: usize = 8 * ID_WORDS;
/// `{ form: u8, group_len: u8, id_len: u8 }`
const HEAD_BYTES: usize = 3;
const DIGEST_BYTES: usize = 32;

/// What a key is made of.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Form {
    /// Group and id as they are.
    Plain = 1,
    /// The digest of both.
    Digest = 2,
    /// The group as it is, and the body's digest.
    Content = 3,
    /// The digest of both.
    ContentDigest = 4,
}

/// The key of a group.
#[inline(always)]
pub fn group_key(group: &str, seed: u64) -> [u64; 2] {
    let (len, bytes) = (group.len(), group.as_bytes());
    match (len, bytes.first_chunk(), bytes.last_chunk()) {
        (8..=15, Some(first), Some(last)) => {
            // The lowest of the last eight bytes is among the first eight as well.
            let rest = u64::from_le_bytes(*last) >> 8 | (len as u64) << 56;
            crate::hash::permuted_128([u64::from_le_bytes(*first), rest], seed)
        }
        _ => hashed_key(bytes, seed),
    }
}

#[inline(never)]
fn hashed_key(group: &[u8], seed: u64) -> [u64; 2] {
    crate::hash::xxh3_128_seeded(group, seed)
}

/// The key of a message's deduplication id, which is its body's digest if it names none.
#[inline(always)]
pub fn id_key(names: &Names<'_>, body: &[u8], by_group: bool, seed: u64, key: &mut IdKey) {
    let group = if by_group { names.group } else { "" };
    match names.id.is_empty() {
        false => fill(Form::Plain, Form::Digest, group, names.id.as_bytes(), key),
        true => fill_content(group, body, key),
    }
    key.hash_it(seed);
}

#[inline(never)]
fn fill_content(group: &str, body: &[u8], key: &mut IdKey) {
    let digest: [u8; DIGEST_BYTES] = Sha256::digest(body).into();
    fill(Form::Content, Form::ContentDigest, group, &digest, key);
}

/// The key of a receive attempt's id.
#[inline]
pub fn attempt_key(id: &str, seed: u64) -> IdKey {
    let mut key = IdKey::EMPTY;
    fill(Form::Plain, Form::Digest, "", id.as_bytes(), &mut key);
    key.hash_it(seed);
    key
}

/// Fills the words of a key that is empty.
#[inline(always)]
fn fill(plain: Form, digested: Form, group: &str, id: &[u8], key: &mut IdKey) {
    if !group.is_empty() || !fill_alone(plain, id, &mut key.words) {
        key.words = together(plain, digested, group.as_bytes(), id);
    }
}

/// Fills the words with an id without a group, if it is neither very short nor too long: straight
/// from its bytes, eight at a time.
#[inline(always)]
fn fill_alone(form: Form, id: &[u8], words: &mut [u64; ID_WORDS]) -> bool {
    let (Some(first), Some(last)) = (id.first_chunk(), id.last_chunk()) else {
        return false;
    };
    if HEAD_BYTES + id.len() > KEY_BYTES {
        return false;
    }
    let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    let head = form as u64 | (id.len() as u64) << 16;
    words[0] = head | first << (8 * HEAD_BYTES);
    let mut at = 8 - HEAD_BYTES;
    for word in &mut words[1..] {
        let Some(rest) = id.get(at..).filter(|rest| !rest.is_empty()) else {
            break;
        };
        *word = match rest.first_chunk() {
            Some(eight) => u64::from_le_bytes(*eight),
            None => last >> (8 * (8 - rest.len())),
        };
        at += 8;
    }
    true
}

#[inline(never)]
fn together(plain: Form, digested: Form, group: &[u8], id: &[u8]) -> [u64; ID_WORDS] {
    let mut bytes = [0; KEY_BYTES];
    if HEAD_BYTES + group.len() + id.len() <= KEY_BYTES {
        // Each is at most 128 bytes.
        bytes[..HEAD_BYTES].copy_from_slice(&[plain as u8, group.len() as u8, id.len() as u8]);
        bytes[HEAD_BYTES..][..group.len()].copy_from_slice(group);
        bytes[HEAD_BYTES + group.len()..][..id.len()].copy_from_slice(id);
    } else {
        digest(&mut bytes, digested, group, id);
    }
    core::array::from_fn(|at| {
        let word = bytes[8 * at..].first_chunk();
        word.map_or(0, |word| u64::from_le_bytes(*word))
    })
}

#[cold]
fn digest(bytes: &mut [u8; KEY_BYTES], form: Form, group: &[u8], id: &[u8]) {
    let mut sha = Sha256::new();
    sha.update([group.len() as u8, id.len() as u8]);
    sha.update(group);
    sha.update(id);
    let digest: [u8; DIGEST_BYTES] = sha.finalize().into();
    bytes[..HEAD_BYTES].copy_from_slice(&[form as u8, group.len() as u8, id.len() as u8]);
    bytes[HEAD_BYTES..][..DIGEST_BYTES].copy_from_slice(&digest);
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::string::String;

    fn key(group: &str, id: &str, body: &str, by_group: bool) -> [u64; ID_WORDS] {
        let mut key = IdKey::EMPTY;
        id_key(&Names { group, id }, body.as_bytes(), by_group, 7, &mut key);
        key.words
    }

    #[test]
    fn different_ids_have_different_keys() {
        let (mut keys, mut many) = (HashSet::new(), 0);
        let long: String = "x".repeat(128);
        for group in ["a", "ab", "abc", &long] {
            for id in ["", "b", "bc", "c", &long[..80], &long[..90], &long] {
                for body in ["1", "2"] {
                    keys.insert(key(group, id, body, true));
                    many += 1;
                }
            }
        }
        // The body counts where there is no id, and only there.
        assert_eq!((keys.len(), many), (4 * (6 + 2), 4 * 7 * 2));
    }

    #[test]
    fn different_groups_have_different_keys() {
        let (mut keys, mut many) = (HashSet::new(), 0);
        for len in 1..=128 {
            for at in 0..len {
                for byte in *b"!ab~" {
                    let mut group = std::vec![b'x'; len];
                    group[at] = byte;
                    let group = String::from_utf8(group).expect("ASCII");
                    keys.insert(group_key(&group, 7));
                    assert_ne!(group_key(&group, 7), group_key(&group, 8));
                    many += 1;
                }
            }
        }
        assert_eq!(keys.len(), many);
    }

    #[test]
    fn the_scope_says_whether_the_group_counts() {
        assert_eq!(key("a", "id", "1", false), key("b", "id", "2", false));
        assert_ne!(key("a", "id", "1", true), key("b", "id", "1", true));
        assert_eq!(key("a", "", "1", false), key("b", "", "1", false));
        assert_ne!(key("a", "", "1", false), key("a", "", "2", false));
    }

    #[test]
    fn an_id_has_the_same_words_however_they_are_made() {
        let id = core::array::from_fn::<u8, 128, _>(|at| 1 + at as u8);
        for len in 1..=128 {
            let words = together(Form::Plain, Form::Digest, &[], &id[..len]);
            let mut alone = [0; ID_WORDS];
            let filled = fill_alone(Form::Plain, &id[..len], &mut alone);
            assert_eq!(filled, (8..=77).contains(&len));
            assert!(!filled || alone == words, "{len}");
        }
    }

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-4, "abc".
        let words = key("g", "", "abc", false);
        let bytes: std::vec::Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(bytes[..3], [3, 0, 32]);
        assert_eq!(bytes[3..7], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(bytes[31..35], [0xf2, 0x00, 0x15, 0xad]);
    }
}
