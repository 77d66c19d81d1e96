//! Looking at messages without receiving them.

use super::receipt::MessageId;
use super::standard::Queue;
use crate::error::Error;
use crate::message::{Attributes, Value};
use crate::region::Region;
use crate::region::arena::stamp_generation;
use crate::region::body::Stored;
use crate::region::peek::{Found, Pin};
use crate::region::repair::extent;
use crate::region::store::Store;
use crate::region::word::Phase;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;
use core::fmt;

/// Slots that one call looks at.
const SLOTS_A_CALL: usize = 1024;

/// What a message was doing when a peek found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageState {
    /// A receive may get it.
    Visible,
    /// Received, and neither deleted nor visible again.
    InFlight {
        /// When its visibility timeout runs out, ms of the region's time.
        until_ms: u64,
    },
    /// Sent with a delay that is not over.
    Delayed {
        /// When it is over, ms of the region's time.
        until_ms: u64,
    },
}

/// A message that was looked at and not received; its body is a slice of the region, not a copy.
///
/// The message goes on meanwhile: others receive, delete and purge it. Its bytes stay as they are
/// for as long as this value lives, and its slots are not used again before. A message remembers
/// two readers beside its present holder, so keep this for a short time.
#[must_use = "it was looked at for this"]
pub struct Peeked<'q, R: Region, C: Clock> {
    queue: &'q Queue<R, C>,
    pin: Pin,
    stored: Stored,
    state: MessageState,
}

impl<R: Region, C: Clock> fmt::Debug for Peeked<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeked")
            .field("id", &self.id())
            .field("len", &self.stored.body_len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<R: Region, C: Clock> Peeked<'_, R, C> {
    /// The body, in place. Aligned to 8 bytes.
    pub fn body(&self) -> &[u8] {
        self.queue.body_of(&self.pin.hold, self.stored.body_len())
    }

    /// The message's attributes, read in place.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes::new(self.queue.attributes_bytes(&self.pin.hold, &self.stored))
    }

    /// The value of the attribute of this name.
    ///
    /// # Complexity
    ///
    /// Linear in the attributes, of which there are ten at most.
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.attributes().get(name)
    }

    /// The message's id: the one that its send returned, also in a queue of dead letters.
    pub fn id(&self) -> MessageId {
        match self.queue.origin(&self.pin.hold, &self.stored) {
            Some(origin) => MessageId::from_words(origin.id),
            None => self.queue.id_of(self.pin.hold.index, self.pin.hold.stamp),
        }
    }

    /// Of a dead letter: the name of the queue that it was moved from; see
    /// [`Received::source`](crate::Received::source).
    pub fn source(&self) -> Option<&str> {
        let origin = self.queue.origin(&self.pin.hold, &self.stored);
        origin.map(|origin| origin.source)
    }

    /// Of a message of a FIFO queue: the id of its group. `None` for any other message.
    #[cfg(feature = "fifo")]
    pub fn group(&self) -> Option<&str> {
        let names = self.queue.names(&self.pin.hold, &self.stored);
        names.map(|names| names.group)
    }

    /// Of a message of a FIFO queue: the deduplication id that its sender gave; see
    /// [`Received::deduplication_id`](crate::Received::deduplication_id).
    #[cfg(feature = "fifo")]
    pub fn deduplication_id(&self) -> Option<&str> {
        let names = self.queue.names(&self.pin.hold, &self.stored);
        names.map(|names| names.id).filter(|id| !id.is_empty())
    }

    /// Of a message of a FIFO queue: its place in the order. `None` for any other message.
    #[cfg(feature = "fifo")]
    pub fn sequence_number(&self) -> Option<crate::SequenceNumber> {
        match self.queue.place.is_fifo() {
            true => {
                let store = self.queue.store();
                store.sequence_of(&self.pin.hold).map(crate::SequenceNumber)
            }
            false => None,
        }
    }

    /// How often the message had been received; this was no receive.
    pub fn receive_count(&self) -> u32 {
        self.pin.hold.receive_count()
    }

    /// When it was sent, ms of the region's time (in mapped regions: close to Unix time).
    pub fn sent_ms(&self) -> u64 {
        self.pin.hold.sent_ms()
    }

    /// When it was received for the first time, ms; `None` if it never was, or if nobody knows.
    pub fn first_received_ms(&self) -> Option<u64> {
        let received = self.receive_count() != 0;
        let first = || self.queue.store().first_received_ms(&self.pin.hold);
        received.then(first).flatten()
    }

    /// What it was doing when it was found.
    pub fn state(&self) -> MessageState {
        self.state
    }
}

impl<R: Region, C: Clock> AsRef<[u8]> for Peeked<'_, R, C> {
    fn as_ref(&self) -> &[u8] {
        self.body()
    }
}

impl<R: Region, C: Clock> Drop for Peeked<'_, R, C> {
    fn drop(&mut self) {
        let Self { queue, pin, .. } = self;
        if queue.region.check().is_ok() {
            // Ended once: this value is gone after it.
            queue.store().end_peek(pin, queue.region.owner());
        }
    }
}

/// Where a walk over a queue's messages stands: see [`Queue::peek_at`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PeekCursor {
    next: usize,
    /// Slots of this walk that are left; `None` before the first step.
    left: Option<usize>,
}

impl PeekCursor {
    /// Before the first message.
    pub const fn new() -> Self {
        Self {
            next: 0,
            left: None,
        }
    }
}

/// A step of a walk over a queue's messages.
#[non_exhaustive]
pub enum Peek<'q, R: Region, C: Clock> {
    /// A message.
    Message(Peeked<'q, R, C>),
    /// A message that two others read at this moment: passed by. The id names its place: a dead
    /// letter's own id is in its bytes.
    Busy(MessageId),
    /// A message whose bytes fail their checksum: passed by. Who receives it sets it aside. The id
    /// names its place, as in `Busy`.
    Damaged(MessageId),
    /// Nothing in the slots that this call looked at: go on.
    Onward,
    /// The walk has come round.
    End,
}

impl<R: Region, C: Clock> fmt::Debug for Peek<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(peeked) => f.debug_tuple("Message").field(peeked).finish(),
            Self::Busy(id) => f.debug_tuple("Busy").field(id).finish(),
            Self::Damaged(id) => f.debug_tuple("Damaged").field(id).finish(),
            Self::Onward => f.write_str("Onward"),
            Self::End => f.write_str("End"),
        }
    }
}

/// An iterator over a queue's messages: see [`Queue::peeks`].
pub struct Peeks<'q, R: Region, C: Clock> {
    queue: &'q Queue<R, C>,
    cursor: PeekCursor,
    passed: u64,
    ended: bool,
}

impl<R: Region, C: Clock> fmt::Debug for Peeks<'_, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeks")
            .field("cursor", &self.cursor)
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}

impl<R: Region, C: Clock> Peeks<'_, R, C> {
    /// How many messages were passed by so far: two others read them, or they are damaged.
    pub fn passed(&self) -> u64 {
        self.passed
    }
}

impl<'q, R: Region, C: Clock> Iterator for Peeks<'q, R, C> {
    type Item = Result<Peeked<'q, R, C>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.queue.peek_at(&mut self.cursor) {
                Ok(Peek::Message(message)) => return Some(Ok(message)),
                Ok(Peek::Busy(_) | Peek::Damaged(_)) => self.passed += 1,
                Ok(Peek::Onward) => {}
                Ok(Peek::End) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// Looks at the message that a receive would most likely get next, without receiving it: its
    /// receive count, its visibility, the order and the figures stay as they are. `None`: none is
    /// visible, or each that is has as many readers as it can.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Deleted`].
    ///
    /// # Progress
    ///
    /// Lock-free. No allocation, no system call.
    ///
    /// # Complexity
    ///
    /// Linear in the slots that have been used, if nothing is visible.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// queue.send(b"hello")?;
    /// let peeked = queue.peek()?.expect("a message waits");
    /// assert_eq!((peeked.body(), peeked.receive_count()), (&b"hello"[..], 0));
    /// drop(peeked);
    /// assert_eq!(queue.stat()?.visible, 1);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn peek(&self) -> Result<Option<Peeked<'_, R, C>>, Error> {
        for peeked in self.peeks() {
            let peeked = peeked?;
            if peeked.state() == MessageState::Visible {
                return Ok(Some(peeked));
            }
        }
        Ok(None)
    }

    /// Walks over the messages without receiving them: once round from where the next receive
    /// looks. Messages that are in flight or delayed are among them.
    ///
    /// What is sent, received or deleted meanwhile may be met or not; nothing is met twice, unless
    /// it was deleted and another message took its place.
    ///
    /// # Progress
    ///
    /// Each step is lock-free, and linear in the slots without a message that it passes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, MessageState, Queue, QueueOptions};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// queue.send_batch(&["a", "b", "c"])?;
    /// let held = queue.receive()?;
    /// let mut in_flight = 0;
    /// for peeked in queue.peeks() {
    ///     in_flight += matches!(peeked?.state(), MessageState::InFlight { .. }) as u32;
    /// }
    /// assert_eq!(in_flight, 1);
    /// # drop(held);
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn peeks(&self) -> Peeks<'_, R, C> {
        Peeks {
            queue: self,
            cursor: PeekCursor::new(),
            passed: 0,
            ended: false,
        }
    }

    /// The next step of a walk over the messages, with bounded work: up to 1024 slots are looked
    /// at. See [`peeks`](Queue::peeks).
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::Deleted`].
    ///
    /// # Progress
    ///
    /// Wait-free, until the [`Peeked`] is dropped, which is lock-free.
    pub fn peek_at(&self, cursor: &mut PeekCursor) -> Result<Peek<'_, R, C>, Error> {
        self.check()?;
        let store = self.store();
        let used = (extent(&store) * BLOCK_SLOTS).min(store.words().len());
        let mut left = cursor.left.unwrap_or_else(|| {
            cursor.next = store.head().receive.cursor.load(Ordering::Relaxed) as usize;
            used
        });
        let mut found = Peek::End;
        for look in 0.. {
            if left == 0 {
                break;
            }
            if look == SLOTS_A_CALL {
                found = Peek::Onward;
                break;
            }
            let index = if cursor.next < used { cursor.next } else { 0 };
            cursor.next = index + 1;
            left -= 1;
            if let Some(message) = self.peek_slot(&store, index) {
                found = message;
                break;
            }
        }
        cursor.left = Some(left);
        Ok(found)
    }

    fn peek_slot(&self, store: &Store<'_>, index: usize) -> Option<Peek<'_, R, C>> {
        let pin = match store.peek(index, self.region.owner()) {
            Found::Nothing => return None,
            Found::Busy(stamp) => return Some(Peek::Busy(self.id_of(index as u32, stamp))),
            Found::Message(pin) => pin,
        };
        let (hold, now_ms) = (pin.hold, self.now_ms(store));
        let aged = hold.sent_ms() < self.oldest_ms(store);
        let state = match hold.word.phase() {
            Phase::Held if hold.due_ms() > now_ms => {
                let until_ms = hold.due_ms();
                if hold.word.generation() == stamp_generation(hold.stamp) {
                    MessageState::Delayed { until_ms }
                } else {
                    MessageState::InFlight { until_ms }
                }
            }
            _ => MessageState::Visible,
        };
        let stored = store.inspect(&hold, self.place.checksum);
        match stored {
            Some(stored) if !(aged && state == MessageState::Visible) => {
                Some(Peek::Message(Peeked {
                    queue: self,
                    pin,
                    stored,
                    state,
                }))
            }
            _ => {
                store.end_peek(&pin, self.region.owner());
                // Who receives next drops what is too old: it is as good as gone.
                let damaged = Peek::Damaged(self.id_of(hold.index, hold.stamp));
                stored.is_none().then_some(damaged)
            }
        }
    }

    /// The region's time, ms, for ages of messages.
    #[cfg(feature = "cli")]
    pub(crate) fn time_ms(&self) -> u64 {
        self.now_ms(&self.store())
    }

    /// The id of the message in a slot.
    pub(super) fn id_of(&self, index: u32, stamp: u64) -> MessageId {
        MessageId::new(self.name(&self.store()), index, stamp)
    }
}
