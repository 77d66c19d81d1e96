//! Which hash of its partition key places a record.

use crate::hash::{md5_128, xxh3_128};

/// By which hash of their partition keys records are divided among the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// xxh3-128: quick.
    #[default]
    Xxh3,
    /// MD5, its 16 bytes as a big-endian number: where Kinesis places it.
    Md5,
}

impl Placement {
    /// The hash of a partition key.
    ///
    /// ```
    /// use ringmain::Placement;
    /// // RFC 1321: MD5 ("abc") = 900150983cd24fb0d6963f7d28e17f72
    /// assert_eq!(Placement::Md5.hash_of("abc"), 0x900150983cd24fb0d6963f7d28e17f72);
    /// ```
    #[inline(always)]
    pub fn hash_of(self, key: &str) -> u128 {
        match self {
            Self::Xxh3 => xxh3_128(key.as_bytes()),
            Self::Md5 => md5_128(key.as_bytes()),
        }
    }
}
