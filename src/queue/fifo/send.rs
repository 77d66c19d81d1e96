//! Sending into groups: each deduplication id once.

use super::entry::{FifoEntry, FifoSent, SequenceNumber};
use super::key::{group_key, id_key};
use super::queue::FifoQueue;
use super::quota::Call;
use crate::error::Error;
use crate::hash::checksum;
use crate::message::{Message, Names};
use crate::queue::MessageId;
use crate::queue::batch::Outcomes;
use crate::queue::envelope::attributes_word;
use crate::queue::send::BATCH_BYTES_MAX;
use crate::queue::sweep::BATCH_MAX;
use crate::region::Region;
use crate::region::arena::{Claimed, stamp};
use crate::region::body::{seed, size_of_stored};
use crate::region::fifo::ids::IdKey;
use crate::region::fifo::own::{Behind, Known, Own};
use crate::region::fifo::send::Ordered;
use crate::region::layout::{FLAG_BY_GROUP, FLAG_CONTENT};
use crate::region::policy::DELAY_MS;
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::time::Clock;

/// What can be sent to a group: an entry, or a message with attributes.
trait Outgoing {
    /// An error unless it may be sent; `content`: without a deduplication id, too.
    fn check(&self, content: bool) -> Result<(), Error>;
    /// Its parts; without names, if it was not checked, it may have none.
    fn parts(&self) -> Parts<'_>;
}

/// What is sent.
#[derive(Clone, Copy)]
struct Parts<'a> {
    names: Names<'a>,
    body: &'a [u8],
    /// The message that has attributes.
    message: Option<&'a Message<'a>>,
}

/// What a call finds out about a message before it sends any.
struct Prepared<'s> {
    /// The key of its deduplication id.
    key: IdKey,
    /// The key of its group.
    group: [u64; 2],
    /// What the queue has of both.
    known: Known<'s>,
    /// Its slot, if that was claimed and filled ahead of its turn.
    claimed: Claimed,
}

/// What the messages of a call have in common.
struct Sending<'s> {
    now_ms: u64,
    /// When the window of their ids ends, ms.
    until_ms: u64,
    /// The queue's name.
    name: u64,
    slots: Slots,
    own: Own<'s>,
    delay_ms: u64,
    /// The message that was sent just before, if it was.
    behind: Option<Behind>,
}

impl Sending<'_> {
    /// Does what is left to be done when all are sent.
    #[inline(always)]
    fn finish(self, store: &Store<'_>) {
        self.own.finish(store);
        self.slots.give_back(store);
    }
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

impl Outgoing for FifoEntry<'_> {
    #[inline(always)]
    fn check(&self, content: bool) -> Result<(), Error> {
        if self.id.is_none() && !content {
            return Err(Error::NoDeduplicationId);
        }
        Names::new(self.group, self.id)?;
        Ok(())
    }

    #[inline(always)]
    fn parts(&self) -> Parts<'_> {
        Parts {
            names: Names {
                group: self.group,
                id: self.id.unwrap_or_default(),
            },
            body: self.body,
            message: None,
        }
    }
}

impl Outgoing for Message<'_> {
    fn check(&self, content: bool) -> Result<(), Error> {
        let Some(group) = self.group_option() else {
            return Err(Error::Group {
                problem: "a message of a FIFO queue has a group",
            });
        };
        if let Some(delay) = self.delay_option() {
            return Err(Error::OutOfRange {
                what: "delay of a message in a FIFO queue, where it is the queue's (ms)",
                value: crate::queue::options::whole_ms(delay),
                min: 0,
                max: 0,
            });
        }
        let id = self.deduplication_option();
        if id.is_none() && !content {
            return Err(Error::NoDeduplicationId);
        }
        Names::new(group, id)?;
        Ok(())
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            names: Names {
                group: self.group_option().unwrap_or_default(),
                id: self.deduplication_option().unwrap_or_default(),
            },
            body: self.body(),
            message: Some(self),
        }
    }
}

impl Parts<'_> {
    /// Bytes that count against the limit.
    #[inline(always)]
    fn size(&self) -> usize {
        self.message.map_or(self.body.len(), Message::size)
    }

    /// Bytes behind the body: of attributes and names.
    #[inline(always)]
    fn tail(&self) -> usize {
        self.message.map_or(0, Message::attributes_len) + self.names.len()
    }
}

impl Prepared<'_> {
    /// Nothing yet.
    const EMPTY: Self = Self {
        key: IdKey::EMPTY,
        group: [0; 2],
        known: Known::NONE,
        claimed: Claimed::EMPTY,
    };
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
    /// [`Error::Damaged`]: the memory is; the message is there, and in no order. At
    /// `Durability::BeforeOk` also [`Error::NotDurable`]: then the message *is* in the queue, and
    /// one who sends it again is told that it is a duplicate.
    ///
    /// # Progress
    ///
    /// Lock-free up to 64 slots, obstruction-free above. No allocation, no system call unless a
    /// receiver sleeps. At `Durability::BeforeOk` it then waits for the disk, and for who writes.
    pub fn send<'a>(
        &self,
        group: &'a str,
        id: impl Into<Option<&'a str>>,
        body: &'a [u8],
    ) -> Result<FifoSent, Error> {
        self.send_one(&FifoEntry {
            group,
            id: id.into(),
            body,
        })
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
    #[inline]
    pub fn send_batch(&self, entries: &[FifoEntry<'_>]) -> Result<Outcomes<FifoSent>, Error> {
        self.send_all(entries)
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
        self.send_one(message)
    }

    /// [`send_batch`](FifoQueue::send_batch) of messages with attributes.
    ///
    /// # Errors
    ///
    /// Those of [`send_batch`](FifoQueue::send_batch) and of
    /// [`send_message`](FifoQueue::send_message).
    pub fn send_messages(&self, messages: &[Message<'_>]) -> Result<Outcomes<FifoSent>, Error> {
        self.send_all(messages)
    }

    /// Whether a message may go without a deduplication id.
    #[inline(always)]
    fn takes_content(&self) -> bool {
        self.queue.place.flags & FLAG_CONTENT != 0
    }

    /// The keys of what is sent, by its names and its body.
    #[inline(always)]
    fn fill_keys(&self, parts: &Parts<'_>, seed: u64, into: &mut Prepared<'_>) {
        into.group = group_key(parts.names.group, seed);
        // A body that is too long is refused, whatever its digest.
        let max = self.queue.place.shape.body_bytes_max;
        let body = &parts.body[..parts.body.len().min(max)];
        let by_group = self.queue.place.flags & FLAG_BY_GROUP != 0;
        id_key(&parts.names, body, by_group, seed, &mut into.key);
    }

    fn send_one(&self, one: &impl Outgoing) -> Result<FifoSent, Error> {
        self.queue.check()?;
        one.check(self.takes_content())?;
        let (store, parts) = (self.queue.store(), one.parts());
        let mut prepared = Prepared::EMPTY;
        self.fill_keys(&parts, self.queue.name(&store), &mut prepared);
        let now_ms = self.queue.now_ms(&store);
        self.queue.admit_call(&store, Call::Send, now_ms)?;
        prepared.known = store.look_up(prepared.group, &prepared.key);
        let mut alone = self.sending(&store, now_ms, 1);
        let mut outcomes = Outcomes::new();
        self.send_prepared(&store, one, &mut prepared, &mut alone, &mut outcomes);
        alone.finish(&store);
        let sent = outcomes.pop().unwrap_or(Err(Error::Full))?;
        self.announce(&store, 1);
        self.queue.make_durable()?;
        Ok(sent)
    }

    /// Sends all of a batch. The outcomes are written where the caller has them: a copy would read
    /// what was just written.
    #[inline(always)]
    fn send_all<T: Outgoing>(&self, all: &[T]) -> Result<Outcomes<FifoSent>, Error> {
        let mut outcomes = Outcomes::new();
        match self.send_each(all, &mut outcomes) {
            Ok(()) => Ok(outcomes),
            Err(error) => Err(error),
        }
    }

    #[inline(never)]
    fn send_each<T: Outgoing>(
        &self,
        all: &[T],
        outcomes: &mut Outcomes<FifoSent>,
    ) -> Result<(), Error> {
        self.queue.check()?;
        if all.is_empty() || all.len() > BATCH_MAX {
            return Err(Error::BatchSize { len: all.len() });
        }
        let store = self.queue.store();
        let (content, seed) = (self.takes_content(), self.queue.name(&store));
        let (ids, groups) = (store.ids_table(), store.groups());
        let mut prepared = [const { Prepared::EMPTY }; BATCH_MAX];
        let prepared = &mut prepared[..all.len()];
        let (mut len, mut long) = (0usize, false);
        let max = self.queue.place.shape.body_bytes_max;
        for (one, prepared) in all.iter().zip(&mut *prepared) {
            one.check(content)?;
            let parts = one.parts();
            let size = parts.size();
            len = len.saturating_add(size);
            long |= size > max;
            self.fill_keys(&parts, seed, prepared);
        }
        // One behind the other: a fetch that waits for the hashing before it holds up what follows.
        for prepared in &*prepared {
            groups.fetch_start(prepared.group[0]);
            ids.entries.fetch_start(prepared.key.hash);
        }
        // An entry that is too long fails alone; the sum is the batch's own limit.
        if len > max && !long && all.len() > 1 && max >= BATCH_BYTES_MAX {
            return Err(Error::BatchTooLong { len, max });
        }
        let now_ms = self.queue.now_ms(&store);
        self.queue.admit_call(&store, Call::Send, now_ms)?;
        let mut batch = self.sending(&store, now_ms, all.len() as u32);
        // Meanwhile; and their bytes are at rest when each is sent, and its checksum read.
        for (one, prepared) in all.iter().zip(&mut *prepared) {
            prepared.claimed = self.fill_ahead(&store, &one.parts(), &mut batch);
            batch.slots.wanted -= 1;
        }
        batch.own.cursor.fetch_turns();
        for prepared in &mut *prepared {
            let (group, key) = (prepared.group, &prepared.key);
            prepared.known = Known::look_ahead(&groups, &ids.entries, group, key);
        }
        for prepared in &mut *prepared {
            let (group, key) = (prepared.group, &prepared.key);
            prepared.known.look_closely(&ids, group, key);
        }
        let mut before = None;
        for (one, prepared) in all.iter().zip(&mut *prepared) {
            // The next one of a group stands behind the one before, mostly.
            batch.behind = before
                .filter(|group| *group == prepared.group)
                .and(batch.behind);
            self.send_prepared(&store, one, prepared, &mut batch, outcomes);
            before = Some(prepared.group);
        }
        batch.finish(&store);
        self.announce(&store, all.len() as u32);
        self.queue.make_all_durable(outcomes);
        Ok(())
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
            until_ms: now_ms + (self.queue.place.window >> 32),
            name: self.queue.name(store),
            slots: Slots {
                wanted,
                ..Slots::default()
            },
            own: Own::new(store, self.queue.region.owner(), now_ms, wanted as usize),
            delay_ms: store.head().policy.get(DELAY_MS),
            behind: None,
        }
    }

    /// Claims and fills a slot for a message that needs one, if there is one at once. Else nothing
    /// is claimed, and all is decided when it is sent: then one before it may have given its slot
    /// back.
    #[inline(always)]
    fn fill_ahead(&self, store: &Store<'_>, parts: &Parts<'_>, call: &mut Sending<'_>) -> Claimed {
        let (shape, body) = (store.shape(), parts.body);
        let len = body.len() + parts.names.len();
        let sound = !body.is_empty() && body.len() <= shape.body_bytes_max;
        if sound
            && parts.message.is_none()
            && len <= shape.single_bytes()
            && let Some(mut claimed) = call.slots.claim(store, call.own.owner())
        {
            let bytes = claimed.bytes_mut(*store, len);
            bytes[..body.len()].copy_from_slice(body);
            parts.names.write(bytes);
            return claimed;
        }
        Claimed::EMPTY
    }

    /// Claims and fills what a message needs, or says why not.
    #[inline(never)]
    fn fill(
        &self,
        store: &Store<'_>,
        one: &impl Outgoing,
        id: &IdKey,
        call: &mut Sending<'_>,
    ) -> Result<Claimed, Result<FifoSent, Error>> {
        let parts = one.parts();
        let (queue, shape, now_ms) = (&self.queue, store.shape(), call.now_ms);
        let (body, size) = (parts.body, parts.size());
        if body.is_empty() {
            return Err(Err(Error::BodyEmpty));
        }
        let (len, max) = (body.len() + parts.tail(), shape.body_bytes_max);
        let run = shape.run(len);
        if size > max || run > shape.slots {
            let max = if size > max {
                max
            } else {
                max.saturating_sub(len - size)
            };
            return Err(Err(Error::BodyTooLong { len: size, max }));
        }
        let owner = call.own.owner();
        let single = (run == 1).then(|| call.slots.claim(store, owner)).flatten();
        let mut claimed = match single {
            Some(claimed) => claimed,
            None => match queue.claim_slots(store, run, now_ms) {
                Ok(claimed) => claimed,
                // A duplicate needs no room.
                Err(full) => return Err(queue.first_of(store, id, now_ms).ok_or(full)),
            },
        };
        let bytes = claimed.bytes_mut(*store, len);
        bytes[..body.len()].copy_from_slice(body);
        parts.names.write(bytes);
        if let Some(message) = parts.message {
            let attributes = &mut bytes[body.len()..][..message.attributes_len()];
            if let Err(error) = message.encode_attributes(attributes) {
                store.abort(claimed);
                return Err(Err(error));
            }
        }
        Ok(claimed)
    }

    /// Sends a message, or says why not: there is room for one outcome more. That is written where
    /// it is to stand, and not returned: a copy would be read before it is written.
    #[inline(never)]
    fn send_prepared(
        &self,
        store: &Store<'_>,
        one: &impl Outgoing,
        prepared: &mut Prepared<'_>,
        call: &mut Sending<'_>,
        outcomes: &mut Outcomes<FifoSent>,
    ) {
        let parts = one.parts();
        let mut claimed = core::mem::replace(&mut prepared.claimed, Claimed::EMPTY);
        if claimed.run == 0 {
            claimed = match self.fill(store, one, &prepared.key, call) {
                Ok(claimed) => claimed,
                Err(instead) => {
                    let _ = outcomes.push(instead);
                    return;
                }
            };
        }
        let (queue, now_ms, tail) = (&self.queue, call.now_ms, parts.tail());
        let len = parts.body.len() + tail;
        let count = parts.message.map_or(0, |m| m.attributes().len());
        let attributes = attributes_word(count, tail);
        let stamp = stamp(now_ms, claimed.next_generation());
        let sum = match queue.place.checksum {
            true => checksum(claimed.bytes(*store, len), seed(stamp, attributes)),
            false => 0,
        };
        let message = Ordered {
            size: size_of_stored(sum, len, attributes),
            attributes,
            sent_ms: now_ms,
            delay_ms: call.delay_ms,
            group: prepared.group,
            id: &prepared.key,
            until_ms: call.until_ms,
        };
        let (index, known, behind) = (claimed.index, &prepared.known, call.behind.take());
        match store.send_known(claimed, &message, known, behind, &mut call.own) {
            Some(sequence) => {
                call.behind = Some((index as usize, sequence));
                let _ = outcomes.push(Ok(FifoSent {
                    id: MessageId::new(call.name, index, stamp),
                    sequence: SequenceNumber(sequence),
                    is_duplicate: false,
                }));
            }
            None => {
                let _ = outcomes.push(queue.outcome(store, index, call.own.instead()));
            }
        }
    }
}
