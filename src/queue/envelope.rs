//! Messages with attributes and delays of their own: sent from an envelope, read in place.

use super::batch::Outcomes;
use super::options::delay_ms;
use super::receipt::MessageId;
use super::received::Received;
use super::send::BATCH_BYTES_MAX;
use super::standard::Queue;
use super::sweep::BATCH_MAX;
use crate::error::Error;
use crate::message::{Attributes, Message, Value};
use crate::region::Region;
use crate::region::arena::Claimed;
use crate::region::policy::DELAY_MS;
use crate::region::store::Store;
use crate::time::Clock;

impl<R: Region, C: Clock> Queue<R, C> {
    /// Sends a message with attributes, or with a delay of its own in place of the queue's. Body
    /// and attributes are copied in and count together ([`Message::size`]).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Queue::send); [`Error::OutOfRange`] for a delay beyond 15 min.
    ///
    /// # Progress
    ///
    /// As [`send`](Queue::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Message, Queue, QueueOptions, Value};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// let task = Message::new("17.png").string("task", "resize")?.integer("width", 640)?;
    /// queue.send_message(&task)?;
    /// if let Some(received) = queue.receive()? {
    ///     assert_eq!(received.body(), b"17.png");
    ///     assert_eq!(received.attribute("task"), Some(Value::String("resize")));
    ///     received.delete()?;
    /// }
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn send_message(&self, message: &Message<'_>) -> Result<MessageId, Error> {
        self.check()?;
        let store = self.store();
        let id = self.send_enveloped(&store, message, self.now_ms(&store))?;
        self.make_durable()?;
        Ok(id)
    }

    /// Sends 1 to 10 messages; each succeeds or fails alone.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::BatchTooLong`] (all sizes together may be as much as the
    /// longest body), [`Error::Forked`]: then nothing is sent. For each entry those of
    /// [`send_message`](Queue::send_message).
    ///
    /// # Progress
    ///
    /// As [`send`](Queue::send).
    pub fn send_messages(&self, messages: &[Message<'_>]) -> Result<Outcomes<MessageId>, Error> {
        self.check()?;
        if messages.is_empty() || messages.len() > BATCH_MAX {
            return Err(Error::BatchSize {
                len: messages.len(),
            });
        }
        let max = self.max_body();
        let sizes = messages.iter().map(Message::size);
        let len = sizes.clone().fold(0usize, usize::saturating_add);
        // An entry that is too long fails alone; the sum is the batch's own limit.
        let long = sizes.into_iter().any(|size| size > max);
        if len > max && !long && messages.len() > 1 && max >= BATCH_BYTES_MAX {
            return Err(Error::BatchTooLong { len, max });
        }
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let mut outcomes: Outcomes<MessageId> = messages
            .iter()
            .map(|message| self.send_enveloped(&store, message, now_ms))
            .collect();
        self.make_all_durable(&mut outcomes);
        Ok(outcomes)
    }

    /// Bytes that a message takes, and its delay, ms; or why the queue does not take it.
    pub(super) fn admit_message(
        &self,
        store: &Store<'_>,
        message: &Message<'_>,
    ) -> Result<(usize, u64), Error> {
        let shape = store.shape();
        let (body, size) = (message.body(), message.size());
        if body.is_empty() {
            return Err(Error::BodyEmpty);
        }
        if size > shape.body_bytes_max {
            return Err(Error::BodyTooLong {
                len: size,
                max: shape.body_bytes_max,
            });
        }
        if message
            .group_option()
            .or(message.deduplication_option())
            .is_some()
        {
            return Err(Error::Group {
                problem: "a standard queue has neither groups nor deduplication ids",
            });
        }
        let delay_ms = match message.delay_option() {
            Some(delay) => delay_ms(delay)?,
            None => store.head().policy.get(DELAY_MS),
        };
        let len = body.len() + message.attributes_len();
        if shape.run(len) > shape.slots {
            let max = shape.body_bytes_max.saturating_sub(len - size);
            return Err(Error::BodyTooLong { len: size, max });
        }
        Ok((len, delay_ms))
    }

    fn send_enveloped(
        &self,
        store: &Store<'_>,
        message: &Message<'_>,
        now_ms: u64,
    ) -> Result<MessageId, Error> {
        let (len, delay_ms) = self.admit_message(store, message)?;
        let mut claimed = self.claim_slots(store, store.shape().run(len), now_ms)?;
        let attributes = match fill_message(store, &mut claimed, message, len) {
            Ok(attributes) => attributes,
            Err(error) => {
                store.abort(claimed);
                return Err(error);
            }
        };
        let (index, checksum) = (claimed.index, self.place.checksum);
        let stamp = store.publish_claimed(claimed, len, attributes, now_ms, delay_ms, checksum);
        self.announce(store, index as usize, now_ms, delay_ms);
        Ok(MessageId::new(self.name(store), index, stamp))
    }
}

/// Writes body and attributes, `len` bytes, into a claim that has room for them; gives
/// `{ count:32, len:32 }` of the attributes.
pub(super) fn fill_message(
    store: &Store<'_>,
    claimed: &mut Claimed,
    message: &Message<'_>,
    len: usize,
) -> Result<u64, Error> {
    let body = message.body();
    let (head, tail) = claimed.bytes_mut(*store, len).split_at_mut(body.len());
    head.copy_from_slice(body);
    let attributes_len = message.encode_attributes(tail)?;
    Ok(attributes_word(message.attributes().len(), attributes_len))
}

/// `{ count:32, len:32 }` of so many attributes and what else stands behind a body.
pub(super) const fn attributes_word(count: usize, len: usize) -> u64 {
    (count as u64) << 32 | len as u64
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// The message's attributes, read in place.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes::new(self.attributes_bytes())
    }

    /// The value of the attribute of this name.
    ///
    /// # Complexity
    ///
    /// Linear in the attributes, of which there are ten at most.
    pub fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.attributes().get(name)
    }
}
