//! What a queue does for messages whose bodies lie elsewhere (`engine::large`): it names a message
//! before it is sent, tells whether a name lives (`region::names`), and tells whether it was this
//! call that took a message out.

use super::envelope::fill_message;
use super::place::Bits;
use super::receipt::{MessageId, Receipt};
use super::received::Received;
use super::standard::Queue;
use crate::error::Error;
use crate::message::Message;
use crate::region::Region;
use crate::region::arena::{Claimed, stamp_sent_ms};
use crate::region::policy::{DEAD_LETTERS, RETENTION_MS_MAX, VISIBILITY_MS_MAX};
use crate::region::word::DUE_MAX_MS;
use crate::sync::Ordering;
use crate::time::Clock;
use core::mem::ManuallyDrop;

/// No queue keeps a message for longer than this, ms: the longest retention, as it is received at
/// the last moment the longest visibility timeout, and a day for clocks that differ.
pub(crate) const KEPT_MS_MAX: u64 = RETENTION_MS_MAX + VISIBILITY_MS_MAX + 86_400_000;

/// Room for one message whose id is known already. Dropped, the room is given back, and the id is
/// never another message's.
#[must_use = "a claim that is dropped sends nothing"]
pub(crate) struct NamedClaim<'q, R: Region, C: Clock> {
    queue: &'q Queue<R, C>,
    claimed: Claimed,
    sent_ms: u64,
    /// Bytes of body and attributes.
    len: usize,
}

impl<R: Region, C: Clock> NamedClaim<'_, R, C> {
    /// The message's id.
    pub(crate) fn id(&self) -> MessageId {
        let queue = self.queue.name(&self.queue.store());
        let stamp = self.claimed.stamp(self.sent_ms);
        MessageId::new(queue, self.claimed.index, stamp)
    }

    /// Sends the message, which takes as many bytes as the one that was claimed for. Its delay
    /// begins now, its retention began with the claim. The disk is the caller's to wait for.
    pub(crate) fn publish(mut self, message: &Message<'_>) -> Result<MessageId, Error> {
        let queue = self.queue;
        queue.check()?;
        let store = queue.store();
        let (len, delay_ms) = queue.admit_message(&store, message)?;
        if len != self.len {
            return Err(Error::BufferTooSmall {
                needed: len,
                len: self.len,
            });
        }
        let attributes = fill_message(&store, &mut self.claimed, message, len)?;
        let id = self.id();
        let mut this = ManuallyDrop::new(self); // published, so not given back
        let claimed = core::mem::replace(&mut this.claimed, Claimed::EMPTY);
        let (index, sent_ms) = (claimed.index as usize, this.sent_ms);
        let late_ms = queue.now_ms(&store).saturating_sub(sent_ms);
        let delay_ms = match delay_ms {
            0 => 0,
            delay_ms => (late_ms + delay_ms).min(DUE_MAX_MS),
        };
        let checksum = queue.place.checksum;
        store.publish_claimed(claimed, len, attributes, sent_ms, delay_ms, checksum);
        queue.announce(&store, index, sent_ms, delay_ms);
        Ok(id)
    }
}

impl<R: Region, C: Clock> Drop for NamedClaim<'_, R, C> {
    fn drop(&mut self) {
        let claimed = core::mem::replace(&mut self.claimed, Claimed::EMPTY);
        if self.queue.region.check().is_ok() {
            self.queue.store().spoil(claimed, self.sent_ms);
        }
    }
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// Claims room for a message of this size, and names it.
    pub(crate) fn claim_named(&self, message: &Message<'_>) -> Result<NamedClaim<'_, R, C>, Error> {
        self.check()?;
        let store = self.store();
        let (len, _) = self.admit_message(&store, message)?;
        let sent_ms = self.now_ms(&store);
        let claimed = self.claim_slots(&store, store.shape().run(len), sent_ms)?;
        Ok(NamedClaim {
            queue: self,
            claimed,
            sent_ms,
            len,
        })
    }

    /// Whether the message of this id is in its slot, or is being written there.
    pub(crate) fn lives(&self, id: MessageId) -> bool {
        let index = id.place() as u32 as usize;
        self.store().lives(index, id.stamp())
    }

    /// How long ago the message of this id was sent, ms, by the own clock.
    pub(crate) fn age_ms(&self, id: MessageId) -> u64 {
        self.own_ms().saturating_sub(stamp_sent_ms(id.stamp()))
    }

    /// Whether messages of this queue may be in another one now: it has a queue for dead letters,
    /// or has moved messages before.
    pub(crate) fn sends_on(&self) -> bool {
        let store = self.store();
        let head = store.head();
        // ORDERING: Relaxed; [moved-first] counted before a message departs; `lives` has acquired
        // the word that says that it is not there.
        head.policy.get(DEAD_LETTERS) != 0 || head.counters.moved.load(Ordering::Relaxed) != 0
    }

    /// Says that it has one, for tests of what follows from that.
    #[cfg(test)]
    pub(crate) fn set_sends_on(&self) {
        self.store().head().policy.set(DEAD_LETTERS, 1);
    }

    /// The queue's name: of all 64 bits, if it is in shared memory.
    pub(crate) fn whole_name(&self) -> u64 {
        self.name(&self.store())
    }

    /// An error if nothing may be done here.
    pub(crate) fn is_usable(&self) -> Result<(), Error> {
        self.check()
    }

    /// Whether what comes and goes survives the machine.
    pub(crate) fn is_journaled(&self) -> bool {
        self.place.is_journaled()
    }

    /// Ends a send or a delete as one of this handle's level does.
    pub(crate) fn end_at_level(&self) -> Result<(), Error> {
        self.make_durable()
    }

    /// [`delete`](Queue::delete) that tells whether this call has freed the message, and leaves the
    /// disk to the caller. `false`: it was gone, or it is kept for who reads it in place.
    pub(crate) fn delete_telling(&self, receipt: &Receipt) -> Result<bool, Error> {
        self.check()?;
        let store = self.store();
        let hold = self.hold_of(receipt)?;
        let index = hold.index as usize;
        let freed = store.delete(&hold, store.measured_run(index), self.region.owner())?;
        if let Some(run) = freed {
            let mut free = Bits::free(store);
            free.add_run(index, run);
            free.flush();
        }
        Ok(freed.is_some())
    }
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// [`delete`](Received::delete) that tells, as [`Queue::delete_telling`] does.
    pub(crate) fn delete_telling(self) -> Result<bool, Error> {
        let this = ManuallyDrop::new(self);
        let queue = this.queue;
        queue.check()?;
        let store = queue.store();
        let freed = store.delete(&this.hold, this.run(), queue.region.owner())?;
        if let Some(run) = freed {
            store.put_free(this.hold.index as usize, run);
        }
        Ok(freed.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::QueueOptions;
    use crate::region::Heap;
    use crate::time::ManualClock;
    use core::time::Duration;

    fn queue(clock: &ManualClock) -> Queue<Heap, &ManualClock> {
        let options = QueueOptions::new().visibility(Duration::from_secs(1));
        Queue::create_with(Heap::new(1 << 14).expect("memory"), options, clock).expect("a queue")
    }

    #[test]
    fn a_name_lives_from_its_claim_to_its_delete() {
        let clock = ManualClock::new(5000);
        let queue = queue(&clock);
        let message = Message::new("a pointer");
        let claim = queue.claim_named(&message).expect("room");
        let id = claim.id();
        assert!(queue.lives(id), "claimed");
        clock.advance(Duration::from_secs(3));
        assert_eq!(claim.publish(&message), Ok(id));
        assert!(queue.lives(id), "ready");
        let received = queue.receive().expect("received").expect("there");
        assert_eq!((received.id(), received.sent_ms()), (id, 5000));
        assert!(queue.lives(id), "held");
        let receipt = received.detach();
        assert_eq!(queue.delete_telling(&receipt), Ok(true));
        assert!(!queue.lives(id), "deleted");
        assert_eq!(queue.delete_telling(&receipt), Ok(false), "gone already");
        assert_eq!(queue.age_ms(id), 3000);
        let stat = queue.stat().expect("figures");
        assert_eq!((stat.sent, stat.received, stat.deleted), (1, 1, 1));
    }

    #[test]
    fn no_name_is_given_twice_in_one_millisecond() {
        let clock = ManualClock::new(5000);
        let queue = queue(&clock);
        let message = Message::new("a pointer");
        let mut names = Vec::new();
        for round in 0..3 * queue.capacity() {
            let claim = queue.claim_named(&message).expect("room");
            let id = claim.id();
            assert!(!names.contains(&id), "{round}: {id}");
            names.push(id);
            if round % 2 == 0 {
                drop(claim);
                assert!(!queue.lives(id), "given up");
            } else {
                claim.publish(&message).expect("sent");
                let received = queue.receive().expect("received").expect("there");
                assert_eq!(received.delete_telling(), Ok(true));
            }
        }
        // What was given up is in no figure.
        let stat = queue.stat().expect("figures");
        let half = 3 * queue.capacity() as u64 / 2;
        assert_eq!((stat.sent, stat.received, stat.deleted), (half, half, half));
        assert_eq!(stat.slots_free, stat.slots);
    }

    #[test]
    fn a_delay_begins_with_the_publication() {
        let clock = ManualClock::new(5000);
        let queue = queue(&clock);
        let message = Message::new("later").delay(Duration::from_secs(10));
        let claim = queue.claim_named(&message).expect("room");
        clock.advance(Duration::from_secs(60));
        claim.publish(&message).expect("sent");
        clock.advance(Duration::from_millis(9_999));
        assert!(queue.receive().expect("looked").is_none());
        clock.advance(Duration::from_millis(1));
        let received = queue.receive().expect("looked").expect("visible");
        assert_eq!(received.sent_ms(), 5000);
        received.delete().expect("deleted");
    }
}
