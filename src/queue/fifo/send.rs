//! Sending into groups: each deduplication id once.

use super::entry::{FifoEntry, FifoSent, SequenceNumber};
use super::key::{group_key, id_key};
use super::queue::FifoQueue;
use super::quota::Call;
use crate::error::Error;
use crate::hash::checksum;
use crate::message::{Message, Names};
use crate::queue::batch::Outcomes;
use crate::queue::envelope::attributes_word;
use crate::queue::send::BATCH_BYTES_MAX;
use crate::queue::sweep::BATCH_MAX;
use crate::queue::{MessageId, Queue};
use crate::region::Region;
use crate::region::arena::{Claimed, stamp};
use crate::region::body::{seed, size_of_stored};
use crate::region::fifo::cursor::Cursor;
use crate::region::fifo::ids::IdKey;
use crate::region::fifo::own::Known;
use crate::region::fifo::send::{Ordered, Sent};
use crate::region::layout::{FLAG_BY_GROUP, FLAG_CONTENT};
use crate::region::policy::DELAY_MS;
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::time::Clock;

/// What is sent, with checked names.
struct Outgoing<'a> {
    names: Names<'a>,
    body: &'a [u8],
    /// The message that has attributes.
    message: Option<&'a Message<'a>>,
    /// The key of its deduplication id.
    key: IdKey,
    /// The key of its group.
    group: [u64; 2],
    /// What the queue has of both.
    known: Known,
}

/// What the messages of a call have in common.
struct Sending<'s> {
    now_ms: u64,
    slots: Slots,
    /// Where entries for their ids are claimed.
    cursor: Cursor<'s>,
}

/// Slots for the messages of a batch, as many as there are together.
#[derive(Default)]
struct Slots {
    block: usize,
    /// Those that are taken and not used yet.
    set: u64,
    /// How many are still wanted, one for each message.
    wanted: u32,
}

impl Slots {
    /// Claims a slot; `None` if there is none.
    #[inline(always)]
    fn claim(&mut self, store: &Store<'_>, owner: u32) -> Option<Claimed> {
        loop {
            if self.set == 0 {
                (self.block, self.set) = store.take_free(self.wanted.max(1))?;
            }
            let bit = self.set.trailing_zeros() as usize;
            self.set &= self.set - 1;
            // A slot that turns out to be somebody's is passed over, its bit consumed.
            if let Some(claimed) = store.claim(self.block * BLOCK_SLOTS + bit, 1, owner) {
                return Some(claimed);
            }
        }
    }

    /// Gives back what is not used.
    fn give_back(self, store: &Store<'_>) {
        if self.set != 0 {
            store.put_free_bits(self.block, self.set);
        }
    }
}

impl Outgoing<'_> {
    /// Not filled yet.
    const EMPTY: Self = Self {
        names: Names { group: "", id: "" },
        body: &[],
        message: None,
        key: IdKey::EMPTY,
        group: [0; 2],
        known: Known::NONE,
    };

    /// Bytes that count against the limit.
    fn size(&self) -> usize {
        self.message.map_or(self.body.len(), Message::size)
    }
}

impl<R: Region, C: Clock> FifoQueue<R, C> {
    /// Sends one message to the end of its group, unless one with the same deduplication id was
    /// accepted within the interval. `id` is that id; `None`: the SHA-256 of the body, if the queue
    /// was created with [`content_dedup`](crate::FifoOptions::content_dedup).
    ///
    /// When this returns `Ok`, the message, or that first one, is accepted, whoever dies. Of two
    /// who send the same id at once one's message is accepted, and both get its id. The order of a
    /// group is one for all, and grows with the sequence number: what a sender sends after this has
    /// returned comes later.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::DeduplicationFull`], [`Error::GroupId`],
    /// [`Error::DeduplicationId`], [`Error::NoDeduplicationId`], [`Error::BodyEmpty`],
    /// [`Error::BodyTooLong`], [`Error::Throttled`], [`Error::Forked`], [`Error::Deleted`].
    /// [`Error::Damaged`]: the memory is; the message is there, and in no order.
    ///
    /// # Progress
    ///
    /// Lock-free up to 64 slots, obstruction-free above. No allocation, no system call unless a
    /// receiver sleeps.
    pub fn send<'a>(
        &self,
        group: &'a str,
        id: impl Into<Option<&'a str>>,
        body: &'a [u8],
    ) -> Result<FifoSent, Error> {
        let entry = FifoEntry {
            group,
            id: id.into(),
            body,
        };
        self.queue.check()?;
        let mut outgoing = Outgoing::EMPTY;
        self.outgoing(&entry, &mut outgoing)?;
        self.send_one(outgoing)
    }

    /// Sends 1 to 10 messages in their order. Each succeeds or fails alone, and those behind one
    /// that fails are sent all the same.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::BatchTooLong`] (all bodies together may have as many bytes as
    /// the longest body); [`Error::GroupId`], [`Error::DeduplicationId`] and
    /// [`Error::NoDeduplicationId`] of any entry; [`Error::Throttled`], [`Error::Forked`]: then
    /// nothing is sent. For each entry those of [`send`](FifoQueue::send).
    ///
    /// # Progress
    ///
    /// As [`send`](FifoQueue::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{FifoEntry, FifoOptions, FifoQueue, Heap};
    /// # let orders = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
    /// let sent = orders.send_batch(&[
    ///     FifoEntry::new("customer-7", "2 books").id("order-1"),
    ///     FifoEntry::new("customer-7", "1 pen").id("order-2"),
    ///     FifoEntry::new("customer-8", "2 books").id("order-1"),
    /// ])?;
    /// assert!(sent[2].as_ref().is_ok_and(|sent| sent.is_duplicate));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn send_batch(&self, entries: &[FifoEntry<'_>]) -> Result<Outcomes<FifoSent>, Error> {
        self.queue.check()?;
        self.send_all(entries, |entry, into| self.outgoing(entry, into))
    }

    /// Sends a message with attributes; it says its group, and its deduplication id unless that is
    /// its body's digest ([`Message::group`], [`Message::deduplication_id`]).
    ///
    /// # Errors
    ///
    /// Those of [`send`](FifoQueue::send); [`Error::Group`] without a group; [`Error::OutOfRange`]
    /// for a delay of its own: in FIFO queues a delay is the queue's.
    ///
    /// # Progress
    ///
    /// As [`send`](FifoQueue::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{FifoOptions, FifoQueue, Heap, Message, Value};
    ///
    /// let options = FifoOptions::new().content_dedup(true);
    /// let orders = FifoQueue::create(Heap::new(1 << 20)?, options)?;
    /// let order = Message::new("2 books").group("customer-7").integer("total", 30)?;
    /// orders.send_message(&order)?;
    /// let received = orders.receive()?.expect("sent just now");
    /// assert_eq!(received.group(), Some("customer-7"));
    /// assert_eq!(received.attribute("total"), Some(Value::Number("30")));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn send_message(&self, message: &Message<'_>) -> Result<FifoSent, Error> {
        self.queue.check()?;
        let mut outgoing = Outgoing::EMPTY;
        self.outgoing_message(message, &mut outgoing)?;
        self.send_one(outgoing)
    }

    /// [`send_batch`](FifoQueue::send_batch) of messages with attributes.
    ///
    /// # Errors
    ///
    /// Those of [`send_batch`](FifoQueue::send_batch) and of
    /// [`send_message`](FifoQueue::send_message).
    pub fn send_messages(&self, messages: &[Message<'_>]) -> Result<Outcomes<FifoSent>, Error> {
        self.queue.check()?;
        self.send_all(messages, |message, into| {
            self.outgoing_message(message, into)
        })
    }

    #[inline(always)]
    fn outgoing<'a>(&self, entry: &FifoEntry<'a>, into: &mut Outgoing<'a>) -> Result<(), Error> {
        self.check_id(entry.id)?;
        into.names = Names::new(entry.group, entry.id)?;
        into.body = entry.body;
        self.fill_keys(into);
        Ok(())
    }

    fn outgoing_message<'a>(
        &self,
        message: &'a Message<'a>,
        into: &mut Outgoing<'a>,
    ) -> Result<(), Error> {
        let Some(group) = message.group_option() else {
            return Err(Error::Group {
                problem: "a message of a FIFO queue has a group",
            });
        };
        if let Some(delay) = message.delay_option() {
            return Err(Error::OutOfRange {
                what: "delay of a message in a FIFO queue, where it is the queue's (ms)",
                value: crate::queue::options::whole_ms(delay),
                min: 0,
                max: 0,
            });
        }
        let id = message.deduplication_option();
        self.check_id(id)?;
        into.names = Names::new(group, id)?;
        into.body = message.body();
        into.message = Some(message);
        self.fill_keys(into);
        Ok(())
    }

    /// The keys of what is sent, by its names and its body.
    #[inline(always)]
    fn fill_keys(&self, into: &mut Outgoing<'_>) {
        let seed = self.queue.name(&self.queue.store());
        into.group = group_key(into.names.group, seed);
        // A body that is too long is refused, whatever its digest.
        let max = self.queue.place.shape.body_bytes_max;
        let body = &into.body[..into.body.len().min(max)];
        let by_group = self.queue.place.flags & FLAG_BY_GROUP != 0;
        id_key(&into.names, body, by_group, seed, &mut into.key);
    }

    #[inline(always)]
    fn check_id(&self, id: Option<&str>) -> Result<(), Error> {
        if id.is_none() && self.queue.place.flags & FLAG_CONTENT == 0 {
            return Err(Error::NoDeduplicationId);
        }
        Ok(())
    }

    fn send_one(&self, mut outgoing: Outgoing<'_>) -> Result<FifoSent, Error> {
        let store = self.queue.store();
        let now_ms = self.queue.now_ms(&store);
        self.queue.admit_call(&store, Call::Send, now_ms)?;
        outgoing.known = store.look_up(outgoing.group, &outgoing.key);
        let mut alone = self.sending(&store, now_ms, 1);
        let sent = self.send_outgoing(&store, &outgoing, &mut alone);
        alone.slots.give_back(&store);
        let sent = sent?;
        self.announce(&store, 1);
        Ok(sent)
    }

    #[inline(always)]
    fn send_all<'a, T>(
        &self,
        entries: &'a [T],
        check: impl Fn(&'a T, &mut Outgoing<'a>) -> Result<(), Error>,
    ) -> Result<Outcomes<FifoSent>, Error> {
        if entries.is_empty() || entries.len() > BATCH_MAX {
            return Err(Error::BatchSize { len: entries.len() });
        }
        let mut outgoing = [const { Outgoing::EMPTY }; BATCH_MAX];
        let outgoing = &mut outgoing[..entries.len()];
        let (mut len, mut long) = (0usize, false);
        let max = self.queue.place.shape.body_bytes_max;
        for (entry, outgoing) in entries.iter().zip(&mut *outgoing) {
            check(entry, outgoing)?;
            let size = outgoing.size();
            len = len.saturating_add(size);
            long |= size > max;
        }
        // An entry that is too long fails alone; the sum is the batch's own limit.
        if len > max && !long && entries.len() > 1 && max >= BATCH_BYTES_MAX {
            return Err(Error::BatchTooLong { len, max });
        }
        let store = self.queue.store();
        let now_ms = self.queue.now_ms(&store);
        self.queue.admit_call(&store, Call::Send, now_ms)?;
        let ids = store.ids_table();
        ids.fetch(outgoing.iter().map(|outgoing| outgoing.key.hash));
        store.fetch_groups(outgoing.iter().map(|outgoing| outgoing.group));
        for outgoing in &mut *outgoing {
            outgoing.known = store.look_up(outgoing.group, &outgoing.key);
        }
        let mut batch = self.sending(&store, now_ms, entries.len() as u32);
        let mut outcomes = Outcomes::new();
        let mut before = None;
        for outgoing in &mut *outgoing {
            // The next one of a group stands behind the one before, mostly.
            outgoing.known.behind = before
                .filter(|(group, _)| *group == outgoing.group)
                .map(|(_, behind)| behind);
            let outcome = self.send_outgoing(&store, outgoing, &mut batch);
            before = match &outcome {
                Ok(sent) if !sent.is_duplicate => {
                    let slot = sent.id.words()[0] as u32 as usize;
                    Some((outgoing.group, (slot, sent.sequence.0)))
                }
                _ => None,
            };
            let _ = outcomes.push(outcome); // as many as entries
            batch.slots.wanted -= 1;
        }
        batch.slots.give_back(&store);
        self.announce(&store, entries.len() as u32);
        Ok(outcomes)
    }

    /// Wakes who waits for a group, or, with a delay, until something is due.
    #[inline(always)]
    fn announce(&self, store: &Store<'_>, count: u32) {
        if store.head().policy.get(DELAY_MS) != 0 {
            self.queue.notify(store, 1);
        } else {
            self.queue.notify_turn(store, count);
        }
    }

    /// Before a call sends so many messages.
    #[inline(always)]
    fn sending<'s>(&self, store: &Store<'s>, now_ms: u64, wanted: u32) -> Sending<'s> {
        Sending {
            now_ms,
            slots: Slots {
                wanted,
                ..Slots::default()
            },
            cursor: store.ids_table().cursor(self.queue.region.owner()),
        }
    }

    /// Sends a message, or says why not.
    #[inline(always)]
    fn send_outgoing(
        &self,
        store: &Store<'_>,
        outgoing: &Outgoing<'_>,
        call: &mut Sending<'_>,
    ) -> Result<FifoSent, Error> {
        let (queue, shape, now_ms) = (&self.queue, store.shape(), call.now_ms);
        let (body, size) = (outgoing.body, outgoing.size());
        if body.is_empty() {
            return Err(Error::BodyEmpty);
        }
        let attributes_len = outgoing.message.map_or(0, Message::attributes_len);
        let tail = attributes_len + outgoing.names.len();
        let (len, max) = (body.len() + tail, shape.body_bytes_max);
        let run = shape.run(len);
        if size > max || run > shape.slots {
            let max = if size > max {
                max
            } else {
                max.saturating_sub(len - size)
            };
            return Err(Error::BodyTooLong { len: size, max });
        }
        let owner = queue.region.owner();
        let single = (run == 1).then(|| call.slots.claim(store, owner)).flatten();
        let mut claimed = match single {
            Some(claimed) => claimed,
            None => match queue.claim_slots(store, run, now_ms) {
                Ok(claimed) => claimed,
                // A duplicate needs no room.
                Err(full) => {
                    let first = queue.first_of(store, &outgoing.key, now_ms);
                    return first.ok_or(full);
                }
            },
        };
        let count = outgoing.message.map_or(0, |m| m.attributes().len());
        let generation = claimed.next_generation();
        let bytes = claimed.bytes_mut(*store, len);
        bytes[..body.len()].copy_from_slice(body);
        outgoing.names.write(bytes);
        if let Some(message) = outgoing.message {
            let attributes = &mut bytes[body.len()..][..attributes_len];
            if let Err(error) = message.encode_attributes(attributes) {
                store.abort(claimed);
                return Err(error);
            }
        }
        let attributes = attributes_word(count, tail);
        let stamp = stamp(now_ms, generation);
        let sum = match queue.place.checksum {
            true => checksum(bytes, seed(stamp, attributes)),
            false => 0,
        };
        let size = size_of_stored(sum, len, attributes);
        let message = Ordered {
            size,
            attributes,
            sent_ms: now_ms,
            delay_ms: store.head().policy.get(DELAY_MS),
            group: outgoing.group,
            id: &outgoing.key,
            until_ms: now_ms + (queue.place.window >> 32),
        };
        let index = claimed.index;
        let sent = store.send_known(claimed, &message, &outgoing.known, &mut call.cursor);
        queue.outcome(store, index, sent)
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// What the sender of a message in this slot gets.
    #[inline(always)]
    fn outcome(&self, store: &Store<'_>, slot: u32, sent: Sent) -> Result<FifoSent, Error> {
        match sent {
            Sent::New(stamp, sequence) => Ok(FifoSent {
                id: MessageId::new(self.name(store), slot, stamp),
                sequence: SequenceNumber(sequence),
                is_duplicate: false,
            }),
            Sent::Duplicate(first) => Ok(self.duplicate_of(store, &first)),
            Sent::IdsFull => Err(Error::DeduplicationFull {
                max: store.shape().fifo.ids as u64,
            }),
            Sent::GroupsFull => Err(Error::Full),
            Sent::Unfinished(_) => Err(Error::Damaged {
                field: "the list of a group",
            }),
        }
    }

    /// What the sender of a duplicate gets.
    fn duplicate_of(&self, store: &Store<'_>, first: &crate::region::fifo::ids::First) -> FifoSent {
        FifoSent {
            id: MessageId::new(self.name(store), first.slot, first.stamp),
            sequence: SequenceNumber(first.sequence),
            is_duplicate: true,
        }
    }

    /// In a queue without room: the first message with this id, if one was accepted.
    #[cold]
    fn first_of(&self, store: &Store<'_>, id: &IdKey, now_ms: u64) -> Option<FifoSent> {
        let first = store.ids_table().look_up(id, now_ms)?;
        Some(self.duplicate_of(store, &first))
    }
}
