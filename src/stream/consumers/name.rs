//! A consumer's name, and what is told of it.

use crate::error::Error;
use crate::region::stream::{NAME_BYTES_MAX, NAME_WORDS, TIME_MS_MAX};
use core::fmt;
use core::ops::Deref;

/// The name of a registered consumer: 1 to 128 of `A-Za-z0-9_.-`. It reads as a `str`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerName {
    /// What is behind its end is 0.
    bytes: [u8; NAME_BYTES_MAX],
}

/// What is known of a registered consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// Its name.
    pub name: ConsumerName,
    /// When it was registered, in the region's time, ms.
    pub created_ms: u64,
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

impl ConsumerName {
    /// A name, if it is one.
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        if let Some(at) = name.bytes().position(|byte| !is_allowed(byte)) {
            let rule = "a consumer's name consists of letters, digits, '-', '_' and '.'";
            return Err(Error::Name { rule, at });
        }
        let mut bytes = [0; NAME_BYTES_MAX];
        match bytes.get_mut(..name.len()).filter(|_| !name.is_empty()) {
            Some(room) => room.copy_from_slice(name.as_bytes()),
            None => {
                let rule = "a consumer's name has 1 to 128 characters";
                let at = name.len().min(NAME_BYTES_MAX);
                return Err(Error::Name { rule, at });
            }
        }
        Ok(Self { bytes })
    }

    /// The name as words.
    pub(super) fn words(&self) -> [u64; NAME_WORDS] {
        let (words, _) = self.bytes.as_chunks::<8>();
        core::array::from_fn(|n| words.get(n).map_or(0, |word| u64::from_le_bytes(*word)))
    }

    /// What is told beside the name: `{ 0:12, len:8, created_ms:44 }`.
    pub(super) fn about(&self, created_ms: u64) -> u64 {
        (self.len() as u64) << 44 | created_ms.min(TIME_MS_MAX)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|byte| *byte == 0);
        let bytes = &self.bytes[..len.unwrap_or(NAME_BYTES_MAX)];
        core::str::from_utf8(bytes).unwrap_or("") // each byte is ASCII
    }
}

impl ConsumerInfo {
    /// What the words of a seat say; an error if nobody wrote them so.
    pub(super) fn of(words: &[u64; NAME_WORDS], about: u64) -> Result<Self, Error> {
        let mut bytes = [0; NAME_BYTES_MAX];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        let len = (about >> 44) as usize;
        let (name, rest) = bytes.split_at(len.min(NAME_BYTES_MAX));
        let is_sound = (1..=NAME_BYTES_MAX).contains(&len)
            && name.iter().all(|byte| is_allowed(*byte))
            && rest.iter().all(|byte| *byte == 0);
        match is_sound {
            true => Ok(Self {
                name: ConsumerName { bytes },
                created_ms: about & ((1 << 44) - 1),
            }),
            false => Err(Error::Damaged {
                field: "name of a consumer",
            }),
        }
    }
}

impl Deref for ConsumerName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for ConsumerName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for ConsumerName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ConsumerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}
