//! Dead letters: messages that were received too often move to another queue. How a move survives
//! every death is told in `region::moving`.

#[cfg(feature = "fifo")]
use super::fifo::group_key;
use super::receipt::MessageId;
use super::received::Received;
use super::standard::{Queue, TIME_MS_MAX, name_of, notify};
use super::sweep::Receive;
use crate::error::Error;
use crate::hash::checksum;
use crate::message::Origin;
use crate::region::arena::Hold;
use crate::region::body::{Stored, seed, size_of_stored};
use crate::region::fifo::due::Now;
use crate::region::layout::HAS_ORIGIN;
use crate::region::memory::{BODY_BYTES_LIMIT, Place};
use crate::region::moving::{Cargo, Landing, tag_of};
use crate::region::policy::{DEAD_LETTERS, DELETED, RETENTION_MS};
use crate::region::store::Store;
use crate::region::word::TARGET_SLOTS_MAX;
use crate::region::{Linked, Neighbour, Region, id_of};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{Ordering, left_out};
use crate::time::Clock;
use core::mem::ManuallyDrop;

/// When to try again to move a dead letter that could not be moved, ms.
const RETRY_MS: u64 = 1000;

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The message is in the other queue.
    Away,
    /// Its hold ran out meanwhile: it is in others' hands.
    Lost,
    /// The other queue has no room now. It is still held.
    Full,
    /// The other queue cannot take it: it is deleted, or the message is too long. It is still held.
    Unfit,
}

/// The time by a clock in a region that adds `base_ms`.
fn time_in(clock_ms: u64, base_ms: u64) -> u64 {
    clock_ms.saturating_add(base_ms).min(TIME_MS_MAX)
}

impl<R: Region, C: Clock> Queue<R, C> {
    /// The same handle, which knows where dead letters go: to `dead`, another queue, in any home.
    /// `None` makes a handle of the same type that knows of no such queue.
    ///
    /// A message that has been received [`max_receives`](crate::QueueOptions::max_receives) times
    /// without being deleted is moved there by the next receive that meets it, with its id, body,
    /// attributes, send time and receive count ([`Received::source`](crate::Received::source)). The
    /// move loses nothing and makes no second copy wherever this process dies; a power loss in a
    /// move may leave the message in both queues, never in neither, if both have journals. What a
    /// death has left in mid-move is finished when a handle is linked, and by whoever of these
    /// handles tends.
    ///
    /// A queue has one queue of dead letters at a time: to link another one changes it for all, and
    /// who cannot reach it leaves dead letters where they are, held back. The same goes for dead
    /// letters that find no room; both are tried again after 1 s. A move to the former one that a
    /// death has cut short is finished when that one is linked again (`Engine::tend` finds it).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if `dead` takes shorter bodies than this queue, or is this queue;
    /// [`Error::Deleted`], [`Error::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Heap, Queue, QueueOptions};
    ///
    /// let dead = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
    /// let jobs = Queue::create(Heap::new(1 << 16)?, QueueOptions::new().max_receives(2))?;
    /// let jobs = jobs.with_dead_letters(dead.by_ref())?;
    /// jobs.send(b"not to be handled")?;
    /// for _ in 0..2 {
    ///     let job = jobs.receive()?.expect("delivered");
    ///     job.release()?;
    /// }
    /// assert!(jobs.receive()?.is_none());
    /// let letter = dead.receive()?.expect("moved");
    /// assert_eq!((letter.body(), letter.receive_count()), (&b"not to be handled"[..], 3));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn with_dead_letters<D: Region, E: Clock>(
        self,
        dead: impl Into<Option<Queue<D, E>>>,
    ) -> Result<Queue<Linked<R, D>, C>, Error> {
        self.check()?;
        let link = match dead.into() {
            Some(dead) => Some(self.link_to(dead)?),
            None => None,
        };
        let linked = Queue {
            region: Linked::new(self.region, link),
            place: self.place,
            clock: self.clock,
            nonce: self.nonce,
            tends: self.tends,
            #[cfg(feature = "mapped")]
            durability: self.durability,
        };
        linked.finish_moves();
        Ok(linked)
    }

    /// Makes another queue that of the dead letters of this one.
    fn link_to<D: Region, E: Clock>(&self, dead: Queue<D, E>) -> Result<(u64, D, Place), Error> {
        dead.check()?;
        let nonce = dead.name(&dead.store());
        let store = self.store();
        if nonce == self.name(&store) {
            return Err(Error::OutOfRange {
                what: "queues of dead letters other than the queue itself",
                value: 0,
                min: 1,
                max: 1,
            });
        }
        let (least, found) = (self.max_body() as u64, dead.max_body() as u64);
        if found < least {
            return Err(Error::OutOfRange {
                what: "longest body of the queue of dead letters (bytes)",
                value: found,
                min: least,
                max: BODY_BYTES_LIMIT as u64,
            });
        }
        let policy = &store.head().policy;
        if policy.get(DEAD_LETTERS) != id_of(nonce) {
            policy.set(DEAD_LETTERS, id_of(nonce));
            self.region.keep_settings(&self.place)?;
        }
        Ok((nonce, dead.region, dead.place))
    }

    /// Moves a message that was received too often, or holds it back for a while.
    #[cold]
    pub(super) fn bury(&self, store: &Store<'_>, hold: &Hold, stored: &Stored, how: &Receive) {
        let id = store.head().policy.get(DEAD_LETTERS);
        let mut moved = Moved::Unfit;
        if id != 0 {
            self.region.dead_letters(id, &mut |to| {
                moved = self.move_to(store, hold, stored, &to, false);
            });
        }
        if moved != Moved::Away {
            nobody_received(store);
        }
        if matches!(moved, Moved::Full | Moved::Unfit) {
            self.hold_back(store, hold, how.now_ms);
        }
    }

    /// Keeps a message that was held at `now_ms` from everybody for a while.
    #[cold]
    fn hold_back(&self, store: &Store<'_>, hold: &Hold, now_ms: u64) {
        let (owner, mut hold) = (self.region.owner(), *hold);
        let due_at_ms = now_ms.saturating_add(RETRY_MS);
        // A hold with a timeout of 0 s was over when it began, and is this call's all the same.
        if let Ok(word) = store.extend(&hold, now_ms.saturating_sub(1), due_at_ms) {
            hold.word = word;
            store.lower_due(hold.index as usize / BLOCK_SLOTS, due_at_ms);
        }
        store.detach(&hold, owner);
    }

    /// Moves a held message to another queue: as the dead letter that it is, or `fresh`, as if it
    /// were sent there now.
    #[cold]
    pub(crate) fn move_to(
        &self,
        store: &Store<'_>,
        hold: &Hold,
        stored: &Stored,
        to: &Neighbour<'_>,
        fresh: bool,
    ) -> Moved {
        let target = to.region.store(to.place);
        let deleted = target.head().policy.get(DELETED) != 0;
        let other_kind = to.place.is_fifo() != self.place.is_fifo();
        let large = to.place.shape.slots > TARGET_SLOTS_MAX;
        if to.region.check().is_err() || deleted || other_kind || large {
            return Moved::Unfit;
        }
        #[cfg(feature = "fifo")]
        let group = match (self.place.is_fifo(), self.names(hold, stored)) {
            (true, None) => return Moved::Unfit, // damage
            (_, names) => names.map(|names| group_key(names.group, name_of(&target))),
        };
        let bytes = store.held_bytes(hold, stored.len as usize);
        let (body, tail) = bytes.split_at(stored.body_len());
        let before = Origin::read(tail).filter(|_| stored.has_origin());
        let attributes = &tail[..tail.len() - before.map_or(0, |origin| origin.len())];
        let id = MessageId::new(self.name(store), hold.index, hold.stamp);
        let origin = (!fresh).then(|| Origin {
            id: before.map_or(id.words(), |origin| origin.id),
            source: self.region.label(),
        });
        let tail_len = attributes.len() + origin.map_or(0, |origin| origin.len());
        let len = body.len() + tail_len;
        let shape = target.shape();
        let fits = body.len() <= shape.body_bytes_max && len <= shape.stored_bytes_max();
        let (owner, clock_ms) = (to.region.owner(), self.clock.now_ms());
        let now_ms = time_in(clock_ms, to.region.time_base_ms());
        let run = shape.run(len);
        if !fits || run > shape.slots {
            return Moved::Unfit;
        }
        let Some(mut claimed) = claim(&target, to, run, owner, now_ms) else {
            return Moved::Full;
        };
        let place = claimed.bytes_mut(target, len);
        place[..body.len()].copy_from_slice(body);
        place[body.len()..][..attributes.len()].copy_from_slice(attributes);
        if let Some(origin) = origin {
            origin.write(place);
        }
        let flag = if origin.is_some() { HAS_ORIGIN } else { 0 };
        let word = flag | store.attributes_count(hold) << 32 | tail_len as u64;
        // From one region's time to the other's.
        let there = |ms: u64| {
            let ms = ms.saturating_add(to.region.time_base_ms());
            ms.saturating_sub(self.region.time_base_ms()).min(now_ms)
        };
        // In a FIFO queue the retention begins anew.
        let sent_ms = match fresh || self.place.is_fifo() {
            true => now_ms,
            false => there(hold.sent_ms()),
        };
        let receives = match fresh {
            true => 0,
            false => hold.receive_count().saturating_sub(1),
        };
        let stamp = claimed.moved_stamp(sent_ms, receives.into());
        let sum = match to.place.checksum {
            true => checksum(claimed.bytes(target, len), seed(stamp, word)),
            false => 0,
        };
        let first_ms = store.first_received_ms(hold).map_or(now_ms, there);
        let nonce = self.name(store);
        #[cfg(feature = "fifo")]
        if let Some(group) = group {
            target.prepare_moved(&claimed, group);
        }
        let arrival = target.seal(
            claimed,
            &Cargo {
                size: size_of_stored(sum, len, word),
                attributes: word,
                stamp,
                first_ms,
                nonce,
                slot: hold.index as usize,
            },
        );
        let (tag, index) = (tag_of(name_of(&target)), hold.index as usize);
        let Some(departed) = store.depart(hold, tag, arrival.index) else {
            target.break_up(arrival);
            store.unborrow(hold, self.region.owner());
            return Moved::Lost;
        };
        let landed = target.land(arrival.index, nonce, index);
        order_landed(to, &target, arrival.index);
        if landed {
            notify(to.region, &target, 1);
        }
        make_durable(to, &target); // before it leaves: a power loss finds it in one of the two
        store.leave(index, departed, self.region.owner());
        // It is moved, whatever the disk says; and who receives is not told of other messages.
        let _ = self.make_durable();
        Moved::Away
    }

    /// [`finish_moves`](Self::finish_moves), if somebody has died since that was done.
    #[inline(always)]
    pub(super) fn finish_moves_if_bereaved(&self, store: &Store<'_>) {
        // ORDERING: Acquire; [bereaved] the proof of that death.
        if store.head().receive.bereaved.load(Ordering::Acquire) != 0 {
            self.finish_moves();
        }
    }

    /// Finishes what deaths have left of moves between this queue and its queue of dead letters.
    #[cold]
    pub(super) fn finish_moves(&self) {
        let store = self.store();
        let id = store.head().policy.get(DEAD_LETTERS);
        if id != 0 {
            self.region.dead_letters(id, &mut |to| {
                // ORDERING: AcqRel; [bereaved] what the dead did is seen by who proved it, and
                // by us.
                let bereaved = &store.head().receive.bereaved;
                bereaved.swap(0, Ordering::AcqRel); // one who dies in here sets it again
                self.finish_moves_to(&[to], false);
            });
        }
    }

    /// Finishes what deaths have left of moves from this queue to `targets`. `all`: there are no
    /// other queues to which it may have moved messages; so what has departed to none of them is
    /// gone with its queue.
    #[cold]
    pub(crate) fn finish_moves_to(&self, targets: &[Neighbour<'_>], all: bool) {
        let (store, owner) = (self.store(), self.region.owner());
        let nonce = self.name(&store);
        let usable = |to: &&Neighbour<'_>| to.region.check().is_ok();
        store.finish_departed(owner, &mut |tag, slot, from| {
            let mut landing = match all {
                true => Landing::Before,
                false => Landing::Unknown,
            };
            for to in targets {
                let target = to.region.store(to.place);
                if tag_of(name_of(&target)) != tag || slot >= target.words().len() {
                    continue; // another queue
                }
                if !usable(&to) {
                    return Landing::Unknown;
                }
                let landed = !left_out!("landing") && target.land(slot, nonce, from);
                order_landed(to, &target, slot);
                if landed {
                    notify(to.region, &target, 1);
                }
                make_durable(to, &target); // who has landed it before may have died before this
                if landed {
                    return Landing::Landed;
                }
                landing = Landing::Before;
            }
            landing
        });
        for to in targets.iter().filter(usable) {
            to.region.tend(); // so that what the dead were moving there is orphaned
            let target = to.region.store(to.place);
            let tag = tag_of(name_of(&target));
            target.settle_orphans(to.region.owner(), tag, nonce, &store);
        }
    }
}

/// Takes a receive back from the figures: what was to be moved and is not was given to nobody.
fn nobody_received(store: &Store<'_>) {
    let counters = &store.head().counters;
    counters.received.fetch_sub(1, Ordering::Relaxed);
}

impl<R: Region, C: Clock> Received<'_, R, C> {
    /// Leaves a message where it is that was to be moved: visible `at_once`, or when its visibility
    /// timeout is over, but not before 1 s, so that who moves messages does not meet it again and
    /// again. Nobody has received it.
    #[cold]
    pub(crate) fn stays(self, at_once: bool) {
        let store = self.queue.store();
        nobody_received(&store);
        if at_once {
            let _ = self.release(); // or its time is over
        } else if self.hold.due_ms() < self.received_ms.saturating_add(RETRY_MS) {
            let this = ManuallyDrop::new(self);
            this.queue.hold_back(&store, &this.hold, this.received_ms);
        }
    }
}

/// Claims room in the queue of dead letters; drops what is too old there if it is full.
fn claim(
    target: &Store<'_>,
    to: &Neighbour<'_>,
    run: usize,
    owner: u32,
    now_ms: u64,
) -> Option<crate::region::arena::Claimed> {
    if let Some(claimed) = target.claim_free(run, owner) {
        return Some(claimed);
    }
    if target.is_due(now_ms) {
        let oldest_ms = now_ms.saturating_sub(target.head().policy.get(RETENTION_MS));
        let visible = match to.place.is_fifo() {
            true => target.expire_groups(&Now {
                now_ms,
                oldest_ms,
                owner,
            }),
            false => target.expire_some(now_ms, oldest_ms, owner),
        };
        if visible != 0 {
            notify(to.region, target, visible);
        }
    }
    target.claim_free(run, owner)
}

/// Puts what has landed in a FIFO queue into its group, whoever let it land: before it leaves the
/// other one, so that nothing of its group overtakes it.
fn order_landed(to: &Neighbour<'_>, target: &Store<'_>, slot: usize) {
    #[cfg(feature = "fifo")]
    if to.place.is_fifo() {
        target.order_landed(slot, to.region.owner());
    }
    let _ = (to, target, slot);
}

/// Waits until what has landed in a queue with a journal is on the disk: only then may it leave the
/// other one, whose journal might be faster.
fn make_durable(to: &Neighbour<'_>, target: &Store<'_>) {
    #[cfg(feature = "mapped")]
    if to.place.is_journaled() {
        // If the disk refuses, it is there for every process, and the next commit tries again.
        let _ = to.region.commit(to.place, target.position());
    }
    let _ = (to, target);
}
