//! What is sent to a FIFO queue, and what comes back.

use crate::queue::receipt::MessageId;
use core::fmt;

/// A message of a FIFO queue, before it is sent: a group, a body, and a deduplication id unless the
/// queue takes the body's digest for one.
///
/// ```
/// use ringmain::FifoEntry;
/// let entry = FifoEntry::new("customer-7", "2 books").id("order-1");
/// assert_eq!((entry.group, entry.id), ("customer-7", Some("order-1")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an entry does nothing until it is sent"]
pub struct FifoEntry<'a> {
    /// The id of its group: 1 to 128 letters, digits and ASCII punctuation.
    pub group: &'a str,
    /// Its deduplication id: as above. `None`: the SHA-256 of the body.
    pub id: Option<&'a str>,
    /// The body, bytes.
    pub body: &'a [u8],
}

impl<'a> FifoEntry<'a> {
    /// A message for a group.
    pub fn new<B: AsRef<[u8]> + ?Sized>(group: &'a str, body: &'a B) -> Self {
        Self {
            group,
            id: None,
            body: body.as_ref(),
        }
    }

    /// The same with a deduplication id.
    pub const fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }
}

/// The place of a message in the order of its queue: it grows with each send, in a group and over
/// groups. Shown as 20 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceNumber(pub(crate) u64);

impl SequenceNumber {
    /// As a number.
    pub const fn as_u128(self) -> u128 {
        self.0 as u128
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}", self.0)
    }
}

/// What a send to a FIFO queue returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FifoSent {
    /// The message's id; of a duplicate that of the first message.
    pub id: MessageId,
    /// Its sequence number; of a duplicate that of the first message. It is 0 if nobody knows it
    /// any more: this call stood still for longer than the deduplication interval, and the message
    /// has been received and deleted meanwhile.
    pub sequence: SequenceNumber,
    /// Whether a message with this deduplication id was accepted before, so that this one is not
    /// delivered.
    pub is_duplicate: bool,
}
