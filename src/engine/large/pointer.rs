//! The pointer: what stands in the queue in the place of a large body.
//!
//! ```text
//!  0        8        16       24       32       40       48       56       64
//! +--------+----+---+--------+--------+--------+--------+--------+--------+
//! | magic  |form|knd| len    | sum    | keeper | place  | stamp  | check  |   little-endian
//! +--------+----+---+--------+--------+--------+--------+--------+--------+
//! ```
//!
//! `form` is 1. `len` and `sum` are those of the body: bytes, and xxh3-64 seeded with `stamp`.
//! `knd`, `keeper`, `place` and `stamp` name the file (`region::mapped::side`), and the message as
//! it was first sent. `check` is xxh3-64 of what stands before it.

use crate::hash::{Xxh3Pieces, xxh3_64};
use crate::region::mapped::side::{SideKeeper, SideName};

/// Bytes of a pointer.
pub const POINTER_BYTES: usize = 64;
/// The attribute that says that a body is a pointer. Its value is the form.
pub const ATTRIBUTE: &str = "ringmain.large";
/// Its value.
pub const ATTRIBUTE_VALUE: &[u8] = &[FORM as u8];

const MAGIC: u64 = u64::from_le_bytes(*b"rmlarge\0");
const FORM: u32 = 1;
const OF_QUEUE: u32 = 0;
const OF_PROCESS: u32 = 1;

/// Where a body is, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    /// The file.
    pub name: SideName,
    /// Bytes of the body.
    pub len: u64,
    /// Its checksum.
    pub sum: u64,
}

/// Hashes a body of this name.
pub fn hasher(name: SideName) -> Xxh3Pieces {
    Xxh3Pieces::new(name.stamp)
}

impl Pointer {
    pub fn encode(&self) -> [u8; POINTER_BYTES] {
        let (kind, keeper) = match self.name.keeper {
            SideKeeper::Queue(nonce) => (OF_QUEUE, nonce),
            SideKeeper::Process(process) => (OF_PROCESS, process),
        };
        let words = [
            MAGIC,
            u64::from(kind) << 32 | u64::from(FORM),
            self.len,
            self.sum,
            keeper,
            self.name.place,
            self.name.stamp,
        ];
        let mut bytes = [0; POINTER_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let (head, check) = bytes.split_at_mut(POINTER_BYTES - 8);
        check.copy_from_slice(&xxh3_64(head).to_le_bytes());
        bytes
    }

    /// `None`: these bytes are no pointer, or a damaged one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; POINTER_BYTES] = bytes.try_into().ok()?;
        let mut words = [0; POINTER_BYTES / 8];
        for (word, part) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(part.try_into().ok()?);
        }
        let [magic, form, len, sum, keeper, place, stamp, check] = words;
        let is_whole = magic == MAGIC && check == xxh3_64(&bytes[..POINTER_BYTES - 8]);
        if !is_whole || form as u32 != FORM || len == 0 {
            return None;
        }
        let keeper = match (form >> 32) as u32 {
            OF_QUEUE => SideKeeper::Queue(keeper),
            OF_PROCESS => SideKeeper::Process(keeper),
            _ => return None,
        };
        let name = SideName {
            place,
            stamp,
            keeper,
        };
        Some(Self { name, len, sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_it_was_written_and_no_other_bytes_are_one() {
        for keeper in [SideKeeper::Queue(7), SideKeeper::Process(u64::MAX)] {
            let (place, stamp) = (0x1234_5678_0000_0009, 99);
            let name = SideName {
                place,
                stamp,
                keeper,
            };
            let (len, sum) = (1 << 31, 0xfeed);
            let pointer = Pointer { name, len, sum };
            let bytes = pointer.encode();
            assert_eq!(Pointer::decode(&bytes), Some(pointer));
            for at in 0..POINTER_BYTES {
                let mut damaged = bytes;
                damaged[at] ^= 0x10;
                assert_eq!(Pointer::decode(&damaged), None, "byte {at}");
                assert_eq!(Pointer::decode(&bytes[..at]), None, "{at} bytes");
            }
        }
        assert_eq!(Pointer::decode(&[0; POINTER_BYTES + 1]), None);
        let mut later = [0; POINTER_BYTES];
        later[..8].copy_from_slice(b"rmlarge\0");
        later[8] = 2; // a form that is not known, and whole
        let check = xxh3_64(&later[..56]).to_le_bytes();
        later[56..].copy_from_slice(&check);
        assert_eq!(Pointer::decode(&later), None);
    }
}
