//! A sender's own way: what a send does where nobody else is at its message, its group or its id.
//!
//! The steps are those of [`send`](super::send), and each ends in one of theirs as soon as anything
//! is not as it mostly is: then others are at it as well, and there is helping to be done.

use super::cursor::Cursor;
use super::ids::{IdKey, Remember};
use super::layout::{Link, Next, UNORDERED};
use super::list::link_at;
use super::send::{Finished, Ordered, Sent, sealed};
use crate::region::arena::{Claimed, stamp_generation};
use crate::region::policy::RETENTION_MS;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::chains::Absent;
use crate::sync::{Ordering, store_load_after_rmw};

/// What was looked up before a send: all of it may be old by then.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The entry of its group, if that was found at once.
    group: Option<usize>,
    /// Under which word its id was not found; `None`: it was.
    absent: Option<Absent>,
    /// The message that its sender has linked in this group just before, if it did.
    pub behind: Option<Behind>,
}

/// A message that is numbered: its slot, and its number.
pub type Behind = (usize, u64);

impl Known {
    /// Nothing was looked up.
    pub const NONE: Self = Self {
        group: None,
        absent: None,
        behind: None,
    };
}

/// A sealed message, as its sender names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    /// Its first slot.
    pub slot: usize,
    /// Its stamp.
    pub stamp: u64,
    /// Its sequence word until it is numbered.
    pub unordered: u64,
    /// The entry of its id, and one more.
    pub entry: u64,
}

impl Store<'_> {
    /// Looks at what a send of a message with this group and this id will need.
    #[inline(always)]
    pub fn look_up(&self, group: [u64; 2], id: &IdKey) -> Known {
        Known {
            group: self.first_in_chain(group),
            absent: self.ids_table().absent(id),
            behind: None,
        }
    }

    /// The entry of the group with this key, if it is the first of its chain.
    #[inline(always)]
    fn first_in_chain(&self, key: [u64; 2]) -> Option<usize> {
        let groups = self.groups();
        let index = groups.first_index(key[0])?;
        let group = groups.elements.get(index)?;
        // A group's own list is open between two looks at its key, as in `group_by`.
        let open = group.is(key) && group.first().next() != Next::Closed && group.is(key);
        open.then_some(index)
    }

    /// [`send_in_order`](Self::send_in_order) with what the caller has looked up before, and with
    /// the cursor of its calls.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub fn send_known(
        &self,
        claimed: Claimed,
        message: &Ordered<'_>,
        known: &Known,
        cursor: &mut Cursor<'_>,
    ) -> Sent {
        let (index, run) = (claimed.index as usize, claimed.run as usize);
        let owner = cursor.owner;
        // So that nothing that others finish for this sender can fail for want of an entry.
        let Some(group) = known.group.or_else(|| self.group_of(message.group, owner)) else {
            self.abort(claimed);
            return Sent::GroupsFull;
        };
        let generation = claimed.next_generation() & (GENERATIONS - 1);
        let claim = Word::claimed(owner, generation.wrapping_sub(1), run as u64);
        let unordered = UNORDERED | generation;
        self.prepare_link(index, unordered, message.group);
        let (size, attributes) = (message.size, message.attributes);
        let (_, stamp) = self.write_head(claimed, size, attributes, message.sent_ms);
        let (id, named) = (message.id, (index as u32, stamp));
        let window = (message.sent_ms, message.until_ms);
        let entry = match cursor.remember(id, named, window, known.absent) {
            Remember::New(entry) => entry,
            other => match self.remember_late(other, run, named, message, cursor) {
                Ok(entry) => entry,
                Err(sent) => return sent,
            },
        };
        let own = Sealed {
            slot: index,
            stamp,
            unordered,
            entry: u64::from(entry) + 1,
        };
        let ready = sealed(stamp_generation(stamp), message.delay_ms);
        let sent = match self.seal_seen(index, claim, ready) {
            true => self.append_own(group, message, &own, known.behind, owner),
            false => None,
        };
        let retention_ms = self.head().policy.get(RETENTION_MS);
        let block = index / BLOCK_SLOTS;
        self.lower_aged(block, message.sent_ms + retention_ms + 1);
        if message.delay_ms != 0 {
            self.lower_due(block, message.sent_ms + message.delay_ms);
        }
        match sent {
            Some(sequence) => Sent::New(stamp, sequence),
            None => self.send_late(group, message.delay_ms, &own, owner),
        }
    }

    /// Seals and puts in order what others are at as well, or whose place has to be looked for.
    #[cold]
    #[inline(never)]
    fn send_late(&self, group: usize, delay_ms: u64, own: &Sealed, owner: u32) -> Sent {
        self.seal_ordered(own.slot, own.stamp, delay_ms);
        let named = (own.slot, own.stamp, own.unordered);
        let entry = (own.entry as u32).wrapping_sub(1);
        match self.finish_sealed(entry, named, Some(group), owner) {
            Finished::InOrder(sequence) => Sent::New(own.stamp, sequence),
            Finished::Unknown => Sent::New(own.stamp, 0),
            Finished::NoPlace => Sent::Unfinished(own.stamp),
        }
    }

    /// Links the message that the caller has just sealed where the words of its group say that the
    /// list ends, and numbers it. `None`: the end has to be looked for, or somebody else was at it.
    #[inline(always)]
    fn append_own(
        &self,
        index: usize,
        message: &Ordered<'_>,
        own: &Sealed,
        behind: Option<Behind>,
        owner: u32,
    ) -> Option<u64> {
        let group = self.groups().elements.get(index)?;
        let link = self.links().get(own.slot)?;
        let first = group.first();
        if !group.is(message.group) {
            return None;
        }
        let (place, seen, was_empty) = match first.next() {
            Next::Closed => return None,
            Next::End => (&group.first, first, true),
            Next::Slot(_) => {
                // ORDERING: Acquire; as in `find_end`.
                let hint = || group.last.load(Ordering::Acquire);
                let (at, seen) = match behind {
                    Some((at, number)) => self.numbered(at, number)?,
                    None => self.hinted(hint())?,
                };
                (&self.links()[at].next, seen, false)
            }
        };
        store_load_after_rmw();
        // [linked-once] looked at after the end of the list.
        if seen.next() != Next::End || link.number() != own.unordered {
            return None;
        }
        if !link_at(place, seen, link, own.slot, index) {
            return None;
        }
        let given = self.give_number(link, own);
        if was_empty {
            match message.delay_ms {
                0 => self.issue(index), // it is the only one, or was
                _ => self.offer(index, self.latest_ms(), owner),
            }
        }
        given
    }

    /// Gives a linked message the next number; that of its id, if that is accepted already. `None`:
    /// it has one.
    #[inline(always)]
    pub(super) fn give_number(&self, link: &Link, message: &Sealed) -> Option<u64> {
        // ORDERING: AcqRel; [numbered-first] taken after the message was linked.
        let last = self.fifo_head().sequence.fetch_add(1, Ordering::AcqRel);
        let mine = last.wrapping_add(1) & !UNORDERED;
        let (entry, slot, stamp) = (message.entry, message.slot as u32, message.stamp);
        let mine = self.ids_table().accept(entry, slot, stamp, mine);
        // ORDERING: SeqCst; [linked-once] before anything is linked behind it.
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let (word, unordered) = (&link.sequence, message.unordered);
        let given = word.compare_exchange(unordered, mine, done, failed);
        given.is_ok().then_some(mine)
    }
}
