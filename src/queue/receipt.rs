//! Names: of a message, and of one receive of it.

use crate::error::Error;
use crate::region::arena::{Hold, NO_GROUP, stamp_generation, stamp_sent_ms};
use crate::region::word::{GENERATIONS, Word};
use core::fmt;
use core::str::FromStr;

const STAMP_MASK: u64 = (1 << 62) - 1;
const TIME_MASK: u64 = (1 << 44) - 1;

/// Names a message: 128 bits, unique over queues and time.
///
/// `{ queue:32, slot:32, 0:2, generation:18, sent_ms:44 }`. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// `{ queue:32, slot:32 }`
    place: u64,
    /// `{ 0:2, generation:18, sent_ms:44 }`
    stamp: u64,
}

impl MessageId {
    #[inline(always)]
    pub(crate) const fn new(nonce: u64, index: u32, stamp: u64) -> Self {
        Self {
            place: (nonce << 32) | index as u64,
            stamp,
        }
    }

    /// Both words, and an id made of them.
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.place, self.stamp]
    }

    pub(crate) const fn from_words([place, stamp]: [u64; 2]) -> Self {
        Self { place, stamp }
    }

    /// The message with this place and this stamp.
    #[cfg(feature = "mapped")]
    pub(crate) const fn of(place: u64, stamp: u64) -> Self {
        Self { place, stamp }
    }

    /// `{ queue:32, slot:32 }`
    #[cfg(feature = "mapped")]
    pub(crate) const fn place(self) -> u64 {
        self.place
    }

    /// `{ 0:2, generation:18, sent_ms:44 }`
    #[cfg(feature = "mapped")]
    pub(crate) const fn stamp(self) -> u64 {
        self.stamp
    }

    /// The id as a number.
    pub const fn as_u128(self) -> u128 {
        (self.place as u128) << 64 | self.stamp as u128
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.place, self.stamp)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

/// Names one receive of one message: what deletes it, extends it and releases it, from any process.
///
/// It is good until the message is received again. Shown as 48 hexadecimal digits, and read from
/// them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    id: MessageId,
    /// `{ 0:2, generation:18, received_ms:44 }`
    receive: u64,
}

impl Receipt {
    pub(crate) fn new(nonce: u64, hold: &Hold, received_ms: u64) -> Self {
        let receive = (received_ms & TIME_MASK) | (hold.word.generation() << 44);
        Self {
            id: MessageId::new(nonce, hold.index, hold.stamp),
            receive,
        }
    }

    /// The message's id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// When it was received, ms of the region's time.
    pub const fn received_ms(&self) -> u64 {
        self.receive & TIME_MASK
    }

    /// When the message was sent, ms of the region's time.
    pub const fn sent_ms(&self) -> u64 {
        stamp_sent_ms(self.id.stamp)
    }

    /// The hold that it names, for a queue with this nonce and this many slots.
    pub(crate) fn hold(&self, nonce: u64, slots: usize) -> Result<Hold, Error> {
        if self.id.place >> 32 != nonce & u64::from(u32::MAX) {
            return Err(Error::ForeignReceipt);
        }
        let index = self.id.place as u32;
        if index as usize >= slots {
            return Err(Error::MalformedReceipt);
        }
        let generation = (self.receive >> 44) & (GENERATIONS - 1);
        if generation == stamp_generation(self.id.stamp) {
            return Err(Error::MalformedReceipt); // of no receive
        }
        // A receipt reads nothing in place, and does not know who holds: not borrowed, no owner.
        let word = Word::held(0, generation, 0, false, 0);
        Ok(Hold {
            index,
            group: NO_GROUP,
            word,
            stamp: self.id.stamp,
        })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.id, self.receive)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({self})")
    }
}

impl FromStr for Receipt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::MalformedReceipt);
        }
        let number = |at: usize| {
            u64::from_str_radix(&text[at..at + 16], 16).map_err(|_| Error::MalformedReceipt)
        };
        let (place, stamp, receive) = (number(0)?, number(16)?, number(32)?);
        if stamp & !STAMP_MASK != 0 || receive & !STAMP_MASK != 0 {
            return Err(Error::MalformedReceipt);
        }
        Ok(Self {
            id: MessageId { place, stamp },
            receive,
        })
    }
}
