//! A sender's own way: what a send does where nobody else is at its message, its group or its id.
//!
//! The steps are those of [`send`](super::send), and each ends in one of theirs as soon as anything
//! is not as it mostly is: then others are at it as well, and there is helping to be done.
//!
//! # Calls of several messages
//!
//! Each message goes all its steps before the next one begins with the first of them, so a batch is
//! sent in its order, and the second of two with one id finds the first accepted. What is not a
//! step is done for all of them at once:
//!
//! - Before, groups and ids are looked up ([`Known`]). What that says is old when it is used, and
//!   the steps' compare-exchanges tell: the word under which an id was absent has changed, the
//!   group has another key, or its list is closed.
//! - Before, slots are claimed and filled, as many as there are at once. One who dies then leaves
//!   more claims than one, which repair frees; one who finds that a message is a duplicate gives
//!   that one's back. A message for which no slot was left looks again when its turn comes, since
//!   one before it may have given its own back.
//! - After, tickets are counted: a row of them, which a consumer finds at once (`ring::tickets`).
//!   Who dies before leaves tickets that are there and not counted.
//! - After, the cursor of ids is moved to where the call has come ([`cursor`](super::cursor)). Who
//!   dies before leaves entries that others pass by.
//! - After the last message of each block, the bound of the block is lowered to the time at which
//!   these messages are too old: not before, since a bound that was looked at after the first of
//!   them may be raised before the second is sealed (`ring::due`). Who dies before leaves messages
//!   whose age is found later, as one does that dies after its seal.

use super::cursor::Cursor;
use super::ids::{IdKey, Ids, Named, Remember};
use super::layout::{Group, Link, Next, Remembered, UNORDERED};
use super::list::link_at;
use super::send::{Finished, Ordered, Sent, sealed};
use crate::region::arena::{Claimed, stamp_generation};
use crate::region::policy::RETENTION_MS;
use crate::region::store::{Store, fetch};
use crate::region::word::{GENERATIONS, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::chains::{Absent, Chains, Found};
use crate::sync::{Ordering, store_load_after_rmw};

/// What was looked up before a send: all of it may be old by then.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The entry of its group, if that was found at once.
    group: Option<usize>,
    /// Under which word its id was not found; `None`: it was.
    absent: Option<Absent>,
}

/// A message that is numbered: its slot, and its number.
pub type Behind = (usize, u64);

impl Known {
    /// Nothing was looked up.
    pub const NONE: Self = Self {
        group: None,
        absent: None,
    };

    /// Looks only where the chains begin: [`look_closely`](Self::look_closely) is to follow. What
    /// that will need is asked for.
    #[inline(always)]
    pub fn look_ahead(
        groups: &Chains<'_, Group>,
        ids: &Chains<'_, Remembered>,
        group: [u64; 2],
        id: &IdKey,
    ) -> Self {
        let first = groups.first_index(group[0]);
        if let Some(entry) = first.and_then(|at| groups.elements.get(at)) {
            fetch(entry);
        }
        Self {
            group: first,
            absent: match ids.first_or_absent(id.hash) {
                Found::Absent(absent) => Some(absent),
                Found::At(first) => {
                    if let Some(entry) = ids.elements.get(first) {
                        fetch(entry);
                    }
                    None
                }
            },
        }
    }

    /// Looks at what lies there.
    #[inline(always)]
    pub fn look_closely(
        &mut self,
        groups: &Chains<'_, Group>,
        ids: &Ids<'_>,
        group: [u64; 2],
        id: &IdKey,
    ) {
        self.group = self.group.filter(|at| {
            // A group's own list is open between two looks at its key, as in `group_by`.
            let entry = groups.elements.get(*at);
            entry.is_some_and(|entry| {
                entry.is(group) && entry.first().next() != Next::Closed && entry.is(group)
            })
        });
        if self.absent.is_none() {
            self.absent = ids.absent(id);
        }
    }
}

/// A sender's calls on its own way: what it does once for all messages of a call. To be
/// [finished](Own::finish).
#[derive(Debug)]
#[must_use]
pub struct Own<'a> {
    /// Where entries for their ids are claimed.
    pub cursor: Cursor<'a>,
    /// Tickets that are not counted.
    row: Option<u64>,
    /// The block of the last message, whose bound is not lowered; none of the queue's if there was
    /// none.
    block: usize,
    /// When its messages are too old, ms.
    aged_at_ms: u64,
    /// What came of the last message, if it is not that it went this way.
    instead: Option<Sent>,
}

impl<'a> Own<'a> {
    /// Of an owner, who sends at this time.
    #[inline(always)]
    pub fn new(store: &Store<'a>, owner: u32, now_ms: u64) -> Self {
        let retention_ms = store.head().policy.get(RETENTION_MS);
        Self {
            cursor: store.ids_table().cursor(owner),
            row: None,
            block: usize::MAX,
            aged_at_ms: now_ms + retention_ms + 1,
            instead: None,
        }
    }

    /// Who sends.
    #[inline(always)]
    pub const fn owner(&self) -> u32 {
        self.cursor.owner
    }

    /// What came of a send that has no number to return.
    pub fn instead(&mut self) -> Sent {
        self.instead.take().unwrap_or(Sent::Unfinished(0))
    }

    /// Leaves what came of a send to its caller. It lies apart, so that a number is returned in a
    /// register, and not written and read again.
    #[cold]
    fn leave(&mut self, sent: Sent) -> Option<u64> {
        self.instead = Some(sent);
        None
    }

    /// Notes that a message of this block was sealed.
    #[inline(always)]
    fn note_block(&mut self, store: &Store<'_>, block: usize) {
        if block != self.block {
            self.lower_aged(store);
            self.block = block;
        }
    }

    #[inline(always)]
    fn lower_aged(&self, store: &Store<'_>) {
        if self.block < store.blocks().len() {
            store.lower_aged(self.block, self.aged_at_ms);
        }
    }

    /// Does what is left to be done.
    #[inline(always)]
    pub fn finish(mut self, store: &Store<'_>) {
        self.lower_aged(store);
        self.cursor.move_on();
        store.count_row(self.row);
    }
}

/// A sealed message, as its sender names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    /// Its first slot, and its stamp.
    pub named: Named,
    /// Its sequence word until it is numbered.
    pub unordered: u64,
    /// The entry of its id, and one more.
    pub entry: u64,
}

impl Store<'_> {
    /// Looks at what a send of a message with this group and this id will need.
    #[inline(always)]
    pub fn look_up(&self, group: [u64; 2], id: &IdKey) -> Known {
        let (groups, ids) = (self.groups(), self.ids_table());
        let mut known = Known::look_ahead(&groups, &ids.entries, group, id);
        known.look_closely(&groups, &ids, group, id);
        known
    }

    /// [`send_in_order`](Self::send_in_order) with what the caller has looked up before: the
    /// message's number. `None`: see [`Own::instead`].
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
        behind: Option<Behind>,
        own: &mut Own<'_>,
    ) -> Option<u64> {
        let (index, run) = (claimed.index as usize, claimed.run as usize);
        let owner = own.cursor.owner;
        let Some(spot) = self.spot(index) else {
            return own.leave(Sent::Unfinished(0)); // no claim is of a slot that there is not
        };
        // So that nothing that others finish for this sender can fail for want of an entry.
        let Some(group) = known.group.or_else(|| self.group_of(message.group, owner)) else {
            self.abort(claimed);
            return own.leave(Sent::GroupsFull);
        };
        let generation = claimed.next_generation() & (GENERATIONS - 1);
        let claim = Word::claimed(owner, generation.wrapping_sub(1), run as u64);
        let unordered = UNORDERED | generation;
        Self::prepare_link(spot.link, unordered, message.group);
        let (size, attributes) = (message.size, message.attributes);
        let (_, stamp) = self.write_head(claimed, size, attributes, message.sent_ms);
        let (id, named) = (message.id, Named::new(index as u32, stamp));
        let window = (message.sent_ms, message.until_ms);
        let entry = match own.cursor.remember(id, &named, window, known.absent) {
            Remember::New(entry) => entry,
            other => match self.remember_late(other, run, &named, message, &mut own.cursor) {
                Ok(entry) => entry,
                Err(sent) => return own.leave(sent),
            },
        };
        let sent = Sealed {
            named,
            unordered,
            entry: u64::from(entry) + 1,
        };
        let ready = sealed(stamp_generation(stamp), message.delay_ms);
        let number = match self.seal_seen((index, spot.word), claim, ready) {
            true => self.append_own(group, message, (&sent, spot.link), behind, own),
            false => None,
        };
        let block = index / BLOCK_SLOTS;
        own.note_block(self, block);
        if message.delay_ms != 0 {
            self.lower_due(block, message.sent_ms + message.delay_ms);
        }
        number.or_else(|| own.leave(self.send_late(group, message.delay_ms, &sent, owner)))
    }

    /// Seals and puts in order what others are at as well, or whose place has to be looked for.
    #[cold]
    #[inline(never)]
    fn send_late(&self, group: usize, delay_ms: u64, sent: &Sealed, owner: u32) -> Sent {
        let (slot, stamp) = (sent.named.slot as usize, sent.named.stamp);
        self.seal_ordered(slot, stamp, delay_ms);
        let named = (slot, stamp, sent.unordered);
        let entry = (sent.entry as u32).wrapping_sub(1);
        match self.finish_sealed(entry, named, Some(group), owner) {
            Finished::InOrder(sequence) => Sent::New(stamp, sequence),
            Finished::Unknown => Sent::New(stamp, 0),
            Finished::NoPlace => Sent::Unfinished(stamp),
        }
    }

    /// Links the message that the caller has just sealed where the words of its group say that the
    /// list ends, and numbers it. `None`: the end has to be looked for, or somebody else was at it.
    #[inline(always)]
    fn append_own(
        &self,
        index: usize,
        message: &Ordered<'_>,
        (sent, link): (&Sealed, &Link),
        behind: Option<Behind>,
        own: &mut Own<'_>,
    ) -> Option<u64> {
        let group = self.groups().elements.get(index)?;
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
        if seen.next() != Next::End || link.number() != sent.unordered {
            return None;
        }
        if !link_at(place, seen, link, sent.named.slot as usize, index) {
            return None;
        }
        let given = self.give_number(&own.cursor.ids, link, sent);
        if was_empty {
            match message.delay_ms {
                0 => self.issue_in_row((index, group), &mut own.row), // the only one, or was
                _ => self.offer_late(index, own.cursor.owner),
            }
        }
        given
    }

    /// Offers a group whose oldest message is delayed: its time may be over by now.
    #[cold]
    #[inline(never)]
    fn offer_late(&self, group: usize, owner: u32) {
        self.offer(group, self.latest_ms(), owner);
    }

    /// Gives a linked message the next number; that of its id, if that is accepted already. `None`:
    /// it has one.
    #[inline(always)]
    pub(super) fn give_number(&self, ids: &Ids<'_>, link: &Link, message: &Sealed) -> Option<u64> {
        // ORDERING: AcqRel; [numbered-first] taken after the message was linked.
        let last = self.fifo_head().sequence.fetch_add(1, Ordering::AcqRel);
        let mine = last.wrapping_add(1) & !UNORDERED;
        let mine = ids.accept_named(message.entry, &message.named, mine);
        // ORDERING: SeqCst; [linked-once] before anything is linked behind it.
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let (word, unordered) = (&link.sequence, message.unordered);
        let given = word.compare_exchange(unordered, mine, done, failed);
        given.is_ok().then_some(mine)
    }
}
