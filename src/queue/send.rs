//! Sending: copy in, or claim, fill in place, and commit.

use super::batch::Outcomes;
use super::place::{Bits, RUNS_MAX};
use super::receipt::MessageId;
use super::standard::Queue;
use super::sweep::BATCH_MAX;
use crate::error::Error;
use crate::region::Region;
use crate::region::arena::Claimed;
use crate::region::policy::{DELAY_MS, RETENTION_MS};
use crate::region::store::Store;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;
use crate::time::Clock;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

impl<R: Region, C: Clock> Queue<R, C> {
    /// Sends one message: `body` is copied in. When this returns `Ok`, the message is in the queue,
    /// and stays there whoever dies.
    ///
    /// # Errors
    ///
    /// [`Error::Full`], [`Error::BodyEmpty`], [`Error::BodyTooLong`], [`Error::Forked`]. At
    /// `Durability::BeforeOk` also [`Error::NotDurable`]: then the message *is* in the queue.
    ///
    /// # Progress
    ///
    /// Lock-free up to 64 slots, obstruction-free above. No allocation, no system call unless a
    /// receiver sleeps. At `Durability::BeforeOk` it then waits for the disk, and for who writes.
    #[inline]
    pub fn send(&self, body: &[u8]) -> Result<MessageId, Error> {
        self.check()?;
        let run = self.admit(body.len())?;
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let delay_ms = store.head().policy.get(DELAY_MS);
        let claimed = self.claim_slots(&store, run, now_ms)?;
        let index = claimed.index;
        let stamp = self.fill(&store, claimed, body, now_ms, delay_ms);
        self.announce(&store, index as usize, now_ms, delay_ms);
        self.make_durable()?;
        Ok(MessageId::new(self.name(&store), index, stamp))
    }

    /// Sends 1 to 10 messages. Each succeeds or fails alone; what fits one block of 64 slots is
    /// claimed with one compare-exchange and published with one.
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`], [`Error::BatchTooLong`] (all bodies together may have as many bytes as
    /// the longest body), [`Error::Forked`]: then nothing is sent. For each entry those of
    /// [`send`](Queue::send).
    ///
    /// # Progress
    ///
    /// As [`send`](Queue::send).
    pub fn send_batch<B: AsRef<[u8]>>(&self, bodies: &[B]) -> Result<Outcomes<MessageId>, Error> {
        self.check()?;
        if bodies.is_empty() || bodies.len() > BATCH_MAX {
            return Err(Error::BatchSize { len: bodies.len() });
        }
        let len = bodies
            .iter()
            .fold(0usize, |sum, b| sum.saturating_add(b.as_ref().len()));
        let max = self.place.shape.body_bytes_max;
        // An entry that is too long fails alone; the sum is the batch's own limit.
        let long = bodies.iter().any(|body| body.as_ref().len() > max);
        if len > max && !long && bodies.len() > 1 && max >= BATCH_BYTES_MAX {
            return Err(Error::BatchTooLong { len, max });
        }
        let store = self.store();
        let now_ms = self.now_ms(&store);
        let mut outcomes = Outcomes::new();
        let plain = store.head().policy.get(DELAY_MS) == 0;
        if plain
            && bodies
                .iter()
                .all(|body| self.is_single(body.as_ref().len()))
        {
            self.send_singles(&store, bodies, now_ms, &mut outcomes);
        } else {
            self.send_runs(&store, bodies, now_ms, &mut outcomes);
        }
        self.make_all_durable(&mut outcomes);
        Ok(outcomes)
    }

    /// Whether a body of this length takes one slot.
    #[inline(always)]
    fn is_single(&self, len: usize) -> bool {
        let shape = &self.place.shape;
        len != 0 && len <= shape.single_bytes() && len <= shape.body_bytes_max
    }

    /// Sends bodies of one slot each.
    #[inline(always)]
    fn send_singles<B: AsRef<[u8]>>(
        &self,
        store: &Store<'_>,
        bodies: &[B],
        now_ms: u64,
        outcomes: &mut Outcomes<MessageId>,
    ) {
        let owner = self.region.owner();
        let (mut sent, mut is_full) = (0, false);
        while outcomes.len() < bodies.len() {
            let wanted = (bodies.len() - outcomes.len()) as u32;
            let Some((block, set)) = store.take_free(wanted) else {
                if self.make_room(store, now_ms) || !core::mem::replace(&mut is_full, true) {
                    continue; // as in `claim_slots`
                }
                let _ = outcomes.push(Err(Error::Full)); // as many as bodies: at most 10
                continue;
            };
            let mut left = set;
            let mut ready = 0;
            while left != 0 {
                let bit = left & left.wrapping_neg();
                left ^= bit;
                let index = block * BLOCK_SLOTS + bit.trailing_zeros() as usize;
                // A slot that turns out to be somebody's is passed over: the loop takes another.
                let Some(body) = bodies.get(outcomes.len()) else {
                    break;
                };
                if let Some(claimed) = store.claim(index, 1, owner) {
                    let stamp = self.fill(store, claimed, body.as_ref(), now_ms, 0);
                    ready |= bit;
                    let _ =
                        outcomes.push(Ok(MessageId::new(self.name(store), index as u32, stamp)));
                }
            }
            if ready != 0 {
                store.put_ready(block, ready);
                store.lower_aged(block, self.aged_at_ms(store, now_ms));
                sent += 1;
            }
        }
        if sent != 0 {
            self.notify(store, outcomes.len() as u32);
        }
    }

    /// Sends bodies of any length.
    #[cold]
    fn send_runs<B: AsRef<[u8]>>(
        &self,
        store: &Store<'_>,
        bodies: &[B],
        now_ms: u64,
        outcomes: &mut Outcomes<MessageId>,
    ) {
        let mut sending = Sending {
            now_ms,
            delay_ms: store.head().policy.get(DELAY_MS),
            ready: Bits::ready(*store, self.aged_at_ms(store, now_ms)),
        };
        let mut runs = [0u32; RUNS_MAX];
        for (run, body) in runs.iter_mut().zip(bodies) {
            *run = self.admit(body.as_ref().len()).unwrap_or(0) as u32;
        }
        let runs = &runs[..bodies.len()];
        while outcomes.len() < bodies.len() {
            let done = outcomes.len();
            // The next few that can share a block, in one step.
            let short = runs[done..]
                .iter()
                .take_while(|run| (1..=64).contains(*run))
                .count();
            if short > 1 {
                let some = done..done + short;
                let (bodies, runs) = (&bodies[some.clone()], &runs[some]);
                self.send_taken(store, bodies, runs, &mut sending, outcomes);
            }
            if outcomes.len() == done {
                let outcome = self.send_entry(store, bodies[done].as_ref(), &mut sending);
                let _ = outcomes.push(outcome); // as many as bodies: at most 10
            }
        }
        sending.ready.flush();
        let sent = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if sent != 0 && sending.delay_ms == 0 {
            self.notify(store, sent as u32);
        }
    }

    /// Sends as many of `bodies` as one block has room for.
    fn send_taken<B: AsRef<[u8]>>(
        &self,
        store: &Store<'_>,
        bodies: &[B],
        runs: &[u32],
        sending: &mut Sending<'_>,
        outcomes: &mut Outcomes<MessageId>,
    ) {
        let Some(taken) = store.take_runs(runs) else {
            return;
        };
        let owner = self.region.owner();
        for entry in 0..taken.count {
            let (index, run) = (taken.first[entry] as usize, runs[entry] as usize);
            let body = bodies[entry].as_ref();
            let outcome = match store.claim(index, run, owner) {
                Some(claimed) => Ok(self.send_claimed(store, claimed, body, sending)),
                None => self.send_entry(store, body, sending),
            };
            let _ = outcomes.push(outcome); // as many as bodies: at most 10
        }
    }

    #[cold]
    fn send_entry(
        &self,
        store: &Store<'_>,
        body: &[u8],
        sending: &mut Sending<'_>,
    ) -> Result<MessageId, Error> {
        let run = self.admit(body.len())?;
        let claimed = self.claim_slots(store, run, sending.now_ms)?;
        Ok(self.send_claimed(store, claimed, body, sending))
    }

    /// Publishes one entry of a batch; its ready bit waits for those of its block.
    fn send_claimed(
        &self,
        store: &Store<'_>,
        claimed: Claimed,
        body: &[u8],
        sending: &mut Sending<'_>,
    ) -> MessageId {
        let (now_ms, delay_ms) = (sending.now_ms, sending.delay_ms);
        let index = claimed.index;
        let stamp = self.fill(store, claimed, body, now_ms, delay_ms);
        if delay_ms == 0 {
            sending.ready.add(index as usize);
        } else {
            self.announce(store, index as usize, now_ms, delay_ms);
        }
        MessageId::new(self.name(store), index, stamp)
    }

    /// Slots for a body of this length.
    #[inline(always)]
    fn admit(&self, len: usize) -> Result<usize, Error> {
        let shape = &self.place.shape;
        if len == 0 {
            return Err(Error::BodyEmpty);
        }
        if len > shape.body_bytes_max {
            return Err(Error::BodyTooLong {
                len,
                max: shape.body_bytes_max,
            });
        }
        Ok(shape.run(len))
    }

    /// When a message sent now is too old, ms.
    #[inline(always)]
    fn aged_at_ms(&self, store: &Store<'_>, now_ms: u64) -> u64 {
        now_ms + store.head().policy.get(RETENTION_MS) + 1
    }

    #[inline(always)]
    pub(super) fn claim_slots(
        &self,
        store: &Store<'_>,
        run: usize,
        now_ms: u64,
    ) -> Result<Claimed, Error> {
        let mut is_full = false;
        loop {
            if let Some(claimed) = store.claim_free(run, self.region.owner()) {
                return Ok(claimed);
            }
            // Somebody else may have dropped what was too old since the first look.
            if !self.make_room(store, now_ms) && core::mem::replace(&mut is_full, true) {
                return Err(Error::Full);
            }
        }
    }

    /// In a full queue: drops what is too old. Whether that made room.
    #[cold]
    fn make_room(&self, store: &Store<'_>, now_ms: u64) -> bool {
        if !store.is_due(now_ms) {
            return false;
        }
        let expired = &store.head().counters.expired;
        let before = expired.load(Ordering::Relaxed);
        let visible = self.expire(store, now_ms);
        self.notify_if(store, visible);
        expired.load(Ordering::Relaxed) != before
    }

    #[inline(always)]
    fn fill(
        &self,
        store: &Store<'_>,
        mut claimed: Claimed,
        body: &[u8],
        now_ms: u64,
        delay_ms: u64,
    ) -> u64 {
        store.fill(&mut claimed, body);
        if delay_ms == 0 {
            store.publish_body(claimed, body, now_ms, self.place.checksum)
        } else {
            self.publish_claimed(store, claimed, body.len(), now_ms, delay_ms)
        }
    }

    /// Publishes a claim that was filled in place.
    #[inline(never)]
    fn publish_claimed(
        &self,
        store: &Store<'_>,
        claimed: Claimed,
        len: usize,
        now_ms: u64,
        delay_ms: u64,
    ) -> u64 {
        let checksum = self.place.checksum;
        store.publish_claimed(claimed, len, 0, now_ms, delay_ms, checksum)
    }

    /// Puts the bits and bounds of a published message, and wakes who waits for it: of a delayed
    /// one who sleeps until something is due, if it is due sooner.
    #[inline(always)]
    pub(super) fn announce(&self, store: &Store<'_>, index: usize, now_ms: u64, delay_ms: u64) {
        let block = index / BLOCK_SLOTS;
        if delay_ms == 0 {
            store.put_ready(block, 1 << (index % BLOCK_SLOTS));
            store.lower_aged(block, self.aged_at_ms(store, now_ms));
            self.notify(store, 1);
        } else if store.lower_due(block, now_ms + delay_ms) {
            self.notify(store, 1);
        }
    }

    /// Claims room for a body of `len` bytes, to be filled in place. [`Claim::commit`] sends it;
    /// dropped, or left by a death, it is as if it had not been.
    ///
    /// The bytes are whatever the slot held before.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Queue::send).
    ///
    /// # Progress
    ///
    /// As [`send`](Queue::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::{Heap, Queue, QueueOptions};
    /// # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// let mut claim = queue.claim(5)?;
    /// claim.copy_from_slice(b"hello");
    /// claim.commit();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn claim(&self, len: usize) -> Result<Claim<'_, R, C>, Error> {
        self.check()?;
        let run = self.admit(len)?;
        let store = self.store();
        let claimed = self.claim_slots(&store, run, self.now_ms(&store))?;
        Ok(Claim {
            queue: self,
            claimed,
            len,
        })
    }
}

/// How the entries of a batch are sent.
struct Sending<'s> {
    now_ms: u64,
    delay_ms: u64,
    ready: Bits<'s>,
}

/// The least limit for a batch, bytes: that of SQS. A queue with a smaller longest body takes ten
/// of those.
pub(super) const BATCH_BYTES_MAX: usize = 256 << 10;

/// Room for one message, filled in place through `DerefMut<Target = [u8]>`.
#[must_use = "a claim that is dropped sends nothing"]
#[derive(Debug)]
pub struct Claim<'q, R: Region, C: Clock> {
    queue: &'q Queue<R, C>,
    claimed: Claimed,
    len: usize,
}

impl<R: Region, C: Clock> Claim<'_, R, C> {
    /// Sends the message. It cannot fail, so it does not wait for the disk, whatever the level:
    /// for that let [`Queue::sync`] follow.
    ///
    /// In a forked child it sends nothing, since the claim is the parent's, and the id names no
    /// message. The bytes are the parent's too: do not write to them there.
    ///
    /// # Progress
    ///
    /// Wait-free. In a queue with an interval, the first one of an interval makes a system call.
    pub fn commit(self) -> MessageId {
        let (queue, len) = (self.queue, self.len);
        let mut this = ManuallyDrop::new(self); // published, so not aborted
        let store = queue.store();
        if queue.region.check().is_err() {
            return MessageId::new(queue.name(&store), this.claimed.index, 0);
        }
        let now_ms = queue.now_ms(&store);
        let claimed = core::mem::replace(&mut this.claimed, Claimed::EMPTY);
        let index = claimed.index;
        let delay_ms = store.head().policy.get(DELAY_MS);
        let stamp = queue.publish_claimed(&store, claimed, len, now_ms, delay_ms);
        queue.announce(&store, index as usize, now_ms, delay_ms);
        queue.rouse(&store);
        MessageId::new(queue.name(&store), index, stamp)
    }

    /// Gives the room back; the same as dropping it.
    pub fn abort(self) {}
}

impl<R: Region, C: Clock> Deref for Claim<'_, R, C> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.claimed.bytes(self.queue.store(), self.len)
    }
}

impl<R: Region, C: Clock> DerefMut for Claim<'_, R, C> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let store = self.queue.store();
        self.claimed.bytes_mut(store, self.len)
    }
}

impl<R: Region, C: Clock> Drop for Claim<'_, R, C> {
    fn drop(&mut self) {
        let claimed = core::mem::replace(&mut self.claimed, Claimed::EMPTY);
        if self.queue.region.check().is_ok() {
            self.queue.store().abort(claimed);
        }
    }
}
