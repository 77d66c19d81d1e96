//! Aggregates: several records of users packed in one record of a shard.
//!
//! An aggregate is a record without a partition key, which no user can put: so nobody's data are
//! taken for one, and the record's checksum, which knows the key's length, says so too. Its data
//! are the number of parts, 4 bytes, and then each part:
//!
//! ```text
//!         0       1       2       3       4       5       6       7
//!       +-------+-------+-------+-------+-------+-------+-------+-------+
//!       |         parts, at least 1     |           head of a part      |
//!       +-------------------------------+-------------------------------+
//!       |    its partition key, unless it is that of the part before    |
//!       +---------------------------------------------------------------+
//!       |          its data; and the next part behind the last byte     |
//!       +---------------------------------------------------------------+
//! head: { 0:4, same_key:1, key_len:11, data_len:16 }, from the high bits to the low ones
//! ```
//!
//! `same_key` says that the key is that of the part before, and then `key_len` is 0.
//!
//! # Which records share one
//!
//! Those of one shard. An aggregate is written in a claim of the shard to which the hash of each of
//! its parts belongs; if the shard was closed before the claim, there is none, and the records are
//! sorted anew. So no part is in a shard whose range lacks its hash, and nobody has to move or skip
//! one after a split.

use super::records::Record;
use crate::error::Error;
use core::fmt;

/// Bytes before the first part.
const COUNT_BYTES: usize = 4;
/// Bytes before a part's key.
const HEAD_BYTES: usize = 4;
/// The longest data of a part.
pub(super) const PART_BYTES_MAX: usize = (1 << 16) - 1;

const DATA_BITS: u32 = 16;
const KEY_MASK: u32 = (1 << 11) - 1;
const SAME_KEY: u32 = 1 << 27;

/// How long an aggregate becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length<'k> {
    bytes: usize,
    last_key: Option<&'k [u8]>,
}

impl<'k> Length<'k> {
    /// Without a part.
    pub(super) const fn new() -> Self {
        Self {
            bytes: COUNT_BYTES,
            last_key: None,
        }
    }

    /// With one more part.
    pub(super) fn with(self, key: &'k [u8], data_len: usize) -> Self {
        let key_len = match self.last_key {
            Some(last) if last == key => 0,
            _ => key.len(),
        };
        Self {
            bytes: self.bytes + HEAD_BYTES + key_len + data_len,
            last_key: Some(key),
        }
    }

    /// In bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Writes an aggregate of these keys and data into bytes of its [`Length`]. `None` if they do not
/// fit, which the caller has seen to.
pub(super) fn write<'p>(
    bytes: &mut [u8],
    parts: impl Iterator<Item = (&'p [u8], &'p [u8])>,
) -> Option<()> {
    let (count, mut rest) = bytes.split_at_mut_checked(COUNT_BYTES)?;
    let (mut number, mut last_key) = (0_u32, None);
    for (key, data) in parts {
        let is_same = last_key == Some(key);
        let written = if is_same { &[] } else { key };
        let mut head = data.len() as u32 | (written.len() as u32) << DATA_BITS;
        if is_same {
            head |= SAME_KEY;
        }
        for piece in [&head.to_le_bytes()[..], written, data] {
            let (into, behind) = rest.split_at_mut_checked(piece.len())?;
            into.copy_from_slice(piece);
            rest = behind;
        }
        last_key = Some(key);
        number += 1;
    }
    count.copy_from_slice(&number.to_le_bytes());
    Some(())
}

/// What a user has put: a record, or a part of an aggregate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Part<'r> {
    key: &'r [u8],
    data: &'r [u8],
    number: u32,
}

impl<'r> Part<'r> {
    /// The partition key.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if its bytes are no text.
    pub fn key(&self) -> Result<&'r str, Error> {
        core::str::from_utf8(self.key).map_err(|_| Error::Damaged {
            field: "partition key",
        })
    }

    /// The bytes of the partition key.
    pub fn key_bytes(&self) -> &'r [u8] {
        self.key
    }

    /// The data.
    pub fn data(&self) -> &'r [u8] {
        self.data
    }

    /// Which part of its record it is, from 0 on.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("number", &self.number)
            .field("key", &self.key())
            .field("data_len", &self.data.len())
            .finish()
    }
}

/// What users have put in a record, in their order; see [`Record::parts`].
#[derive(Debug, Clone)]
pub struct Parts<'r> {
    rest: &'r [u8],
    key: &'r [u8],
    number: u32,
    /// How many are left.
    left: u32,
    is_aggregate: bool,
}

impl<'r> Record<'r> {
    /// Whether it is an aggregate: several records in one, as a
    /// [`StreamProducer`](super::StreamProducer) packs them. Its own key is empty.
    pub fn is_aggregate(&self) -> bool {
        self.key_bytes().is_empty()
    }

    /// What users have put: the parts of an aggregate, or the record itself.
    ///
    /// An error ends it: [`Error::Damaged`], if the bytes of an aggregate are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Heap, ProducerOptions, Start, Stream, StreamOptions, StreamProducer};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
    /// let mut producer = StreamProducer::new(&stream, ProducerOptions::new().aggregate(10_000))?;
    /// producer.put("boiler-7", b"81.5")?;
    /// producer.put("boiler-9", b"64.0")?;
    /// producer.close(|outcome| assert!(outcome.result.is_ok()));
    ///
    /// let mut cursor = stream.cursor(stream.shard_of(0)?, Start::Oldest)?;
    /// let records = cursor.read(10)?;
    /// assert_eq!(records.len(), 1);
    /// for part in records.iter().flat_map(|record| record.parts()) {
    ///     let part = part?;
    ///     println!("{}: {:?}", part.key()?, part.data());
    /// }
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn parts(&self) -> Parts<'r> {
        Parts::of(self.key_bytes(), self.data())
    }
}

impl<'r> Parts<'r> {
    /// Those of a record with this key and these data.
    fn of(key: &'r [u8], data: &'r [u8]) -> Self {
        let is_aggregate = key.is_empty();
        let (left, rest) = match data.split_first_chunk::<COUNT_BYTES>() {
            _ if !is_aggregate => (1, data),
            // One without a count, or without parts, has a part that is damaged.
            Some((count, rest)) => (u32::from_le_bytes(*count).max(1), rest),
            None => (1, data),
        };
        Self {
            rest,
            key,
            number: 0,
            left,
            is_aggregate,
        }
    }

    /// The next part of an aggregate; `None` if it is none.
    fn split(&mut self) -> Option<Part<'r>> {
        let (head, rest) = self.rest.split_first_chunk::<HEAD_BYTES>()?;
        let head = u32::from_le_bytes(*head);
        let key_len = (head >> DATA_BITS & KEY_MASK) as usize;
        let (key, rest) = rest.split_at_checked(key_len)?;
        let (data, rest) = rest.split_at_checked(head as usize & PART_BYTES_MAX)?;
        let key = match head & SAME_KEY {
            0 => key,
            _ => self.key,
        };
        // The last one ends where the record does, and none is without a key.
        if key.is_empty() || head >> 28 != 0 || (self.left == 1 && !rest.is_empty()) {
            return None;
        }
        self.rest = rest;
        self.key = key;
        Some(Part {
            key,
            data,
            number: self.number,
        })
    }
}

impl<'r> Iterator for Parts<'r> {
    type Item = Result<Part<'r>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left.checked_sub(1)?;
        let part = match self.is_aggregate {
            true => self.split(),
            false => Some(Part {
                key: self.key,
                data: self.rest,
                number: 0,
            }),
        };
        let Some(part) = part else {
            self.left = 0;
            return Some(Err(Error::Damaged { field: "aggregate" }));
        };
        self.left -= 1;
        self.number += 1;
        Some(Ok(part))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is no more than what the record says.
        let most = 1 + self.rest.len() / HEAD_BYTES;
        (0, Some((self.left as usize).min(most)))
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::{Length, Parts, write};
    use alloc::vec;
    use alloc::vec::Vec;

    /// The records of an aggregate of these.
    fn packed<'r>(records: &[(&'r [u8], &'r [u8])]) -> Vec<u8> {
        let length =
            |length: Length<'r>, (key, data): &(&'r [u8], &'r [u8])| length.with(key, data.len());
        let length = records.iter().fold(Length::new(), length);
        let mut bytes = vec![0xee; length.bytes()];
        write(&mut bytes, records.iter().copied()).expect("room");
        let mut small = vec![0; bytes.len() - 1];
        assert!(write(&mut small, records.iter().copied()).is_none());
        bytes
    }

    #[test]
    fn what_is_packed_is_taken_apart() {
        let long = [b'k'; 1024];
        let data = vec![7; 65_535];
        let records: [(&[u8], &[u8]); 6] = [
            (b"a", b"one"),
            (b"a", b""),
            (b"b", b"two"),
            (b"b", b"three"),
            (b"a", b"four"),
            (&long, &data),
        ];
        let bytes = packed(&records);
        // Four bytes each, and the key where it is another one.
        assert_eq!(
            bytes.len(),
            4 + 6 * 4 + 3 + 3 + 5 + 4 + 3 + long.len() + data.len()
        );
        assert_eq!(bytes[..9], [6, 0, 0, 0, 3, 0, 1, 0, b'a']);
        assert_eq!(bytes[12..16], [0, 0, 0, 8]);
        let parts: Vec<_> = Parts::of(b"", &bytes)
            .map(|part| part.expect("sound"))
            .collect();
        assert_eq!(parts.len(), records.len());
        for (n, (part, record)) in (0..).zip(parts.iter().zip(records)) {
            assert_eq!(
                (part.number(), (part.key_bytes(), part.data())),
                (n, record)
            );
        }
    }

    #[test]
    fn any_other_record_is_its_own_part() {
        let bytes = packed(&[(b"a", b"one"), (b"b", b"two")]);
        for data in [&bytes[..], b""] {
            let parts: Vec<_> = Parts::of(b"key", data)
                .map(|part| part.expect("sound"))
                .collect();
            assert_eq!((parts.len(), parts[0].number()), (1, 0));
            assert_eq!((parts[0].key_bytes(), parts[0].data()), (&b"key"[..], data));
        }
    }

    /// Whatever the bytes are: an end, and one error at most, which is the last.
    #[test]
    fn damaged_bytes_are_told() {
        let sound = packed(&[(b"key", b"one"), (b"key", b"two"), (b"other", b"")]);
        let ends = |bytes: &[u8]| {
            let parts: Vec<_> = Parts::of(b"", bytes).collect();
            let errors = parts.iter().filter(|part| part.is_err()).count();
            assert!(errors == 0 || (errors == 1 && parts.last().is_some_and(|p| p.is_err())));
            assert!(parts.len() <= 1 + bytes.len() / 4, "{parts:?}");
            errors == 0
        };
        assert!(ends(&sound));
        for len in 0..sound.len() {
            assert!(!ends(&sound[..len]), "cut at {len}");
        }
        assert!(!ends(&[&sound[..], b"x"].concat()));
        let (mut seed, mut sound_still) = (1_u64, 0);
        for _ in 0..50_000 {
            let mut bytes = sound.clone();
            for _ in 0..2 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 56) as u8;
            }
            sound_still += u32::from(ends(&bytes));
        }
        assert!((1..45_000).contains(&sound_still), "{sound_still}");
        for head in [0x0001_0000_u32 | 1 << 28, 1 << 27, 0] {
            let bytes = [&1_u32.to_le_bytes()[..], &head.to_le_bytes(), b"k"].concat();
            assert!(!ends(&bytes), "{head:x}");
        }
    }
}
