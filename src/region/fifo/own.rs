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
//! - Before, numbers are reserved for all of them. One that is too small when its message is to be
//!   linked, since another sender's is before it, is left out, and later ones are reserved for the
//!   rest.
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
use super::layout::{FifoHead, Group, Link, Next, NextWord, Remembered, UNORDERED};
use super::list::{End, link_at};
use super::send::{Finished, Ordered, Sent, sealed};
use super::turn::Spot;
use crate::region::arena::{Claimed, stamp_generation};
use crate::region::policy::RETENTION_MS;
use crate::region::store::{Store, fetch};
use crate::region::word::{GENERATIONS, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::chains::{Absent, Chains, Found};
use crate::sync::Ordering;

/// The most messages of one call.
const BATCH_MAX: u64 = 10;

/// What was looked up before a send: all of it may be old by then.
#[derive(Debug, Clone, Copy)]
pub struct Known<'s> {
    /// The entry of its group, if that was found at once.
    group: Option<Entry<'s>>,
    /// Under which word its id was not found; `None`: it was.
    absent: Option<Absent<'s>>,
}

/// A group's entry: its index, and itself.
type Entry<'s> = (usize, &'s Group);

/// A message that is numbered: its slot, and its number.
pub type Behind = (usize, u64);

/// The last place of a list: its slot, its arrow, and its number.
type Last = (usize, NextWord, u64);

impl<'s> Known<'s> {
    /// Nothing was looked up.
    pub const NONE: Self = Self {
        group: None,
        absent: None,
    };

    /// Looks only where the chains begin: [`look_closely`](Self::look_closely) is to follow. What
    /// that will need is asked for.
    #[inline(always)]
    pub fn look_ahead(
        groups: &Chains<'s, Group>,
        ids: &Chains<'s, Remembered>,
        group: [u64; 2],
        id: &IdKey,
    ) -> Self {
        let first = groups.first_index(group[0]);
        let first = first.and_then(|at| Some((at, groups.elements.get(at)?)));
        if let Some((_, entry)) = first {
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
    pub fn look_closely(&mut self, ids: &Ids<'s>, group: [u64; 2], id: &IdKey) {
        self.group = self.group.filter(|(_, entry)| {
            // A group's own list is open between two looks at its key, as in `group_by`.
            entry.is(group) && entry.first().next() != Next::Closed && entry.is(group)
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
    /// Numbers for its messages.
    numbers: Numbers,
    /// What came of the last message, if it is not that it went this way.
    instead: Option<Sent>,
}

/// Numbers that a call has reserved, and how many messages are left for which it has not.
#[derive(Debug)]
struct Numbers {
    next: u64,
    /// After the last of them.
    end: u64,
    left: u64,
}

impl Numbers {
    /// For so many messages.
    const fn new(left: u64) -> Self {
        let (next, end) = (0, 0);
        Self { next, end, left }
    }

    /// The next number.
    #[inline(always)]
    fn next(&mut self, head: &FifoHead) -> u64 {
        if self.next == self.end {
            self.reserve(head);
        }
        let number = self.next & !UNORDERED;
        self.next = self.next.wrapping_add(1);
        self.left = self.left.wrapping_sub(1);
        number
    }

    /// Reserves a number for each message that is left.
    #[inline(always)]
    fn reserve(&mut self, head: &FifoHead) {
        let many = self.left.clamp(1, BATCH_MAX);
        // ORDERING: AcqRel; [numbered-first].
        self.next = head
            .sequence
            .fetch_add(many, Ordering::AcqRel)
            .wrapping_add(1);
        self.end = self.next.wrapping_add(many);
    }

    /// A later number in place of the last one; for those that are left, too.
    fn anew(&mut self, head: &FifoHead) -> u64 {
        self.left = self.left.wrapping_add(1);
        self.reserve(head);
        self.next(head)
    }

    /// Whether nobody has reserved others since.
    #[inline(always)]
    fn are_latest(&self, head: &FifoHead) -> bool {
        // ORDERING: Acquire; [numbered-first] read after the end of a list.
        head.sequence.load(Ordering::Acquire).wrapping_add(1) == self.end
    }
}

impl<'a> Own<'a> {
    /// Of an owner, who sends so many messages at this time.
    #[inline(always)]
    pub fn new(store: &Store<'a>, owner: u32, now_ms: u64, many: usize) -> Self {
        let retention_ms = store.head().policy.get(RETENTION_MS);
        Self {
            cursor: store.ids_table().cursor(owner),
            row: None,
            block: usize::MAX,
            aged_at_ms: now_ms + retention_ms + 1,
            numbers: Numbers::new(many as u64),
            instead: None,
        }
    }

    /// Of one that has reserved this number.
    #[cfg(ringmain_loom)]
    pub fn with_number(store: &Store<'a>, owner: u32, number: u64) -> Self {
        let mut own = Self::new(store, owner, 0, 1);
        (own.numbers.next, own.numbers.end) = (number, number + 1);
        own
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

/// A message whose id is remembered, as its sender names it.
#[derive(Debug, Clone, Copy)]
struct Coming<'s> {
    spot: Spot<'s>,
    /// Its word.
    claim: Word,
    /// The number that it is to have.
    number: u64,
    /// The key of its group.
    group: [u64; 2],
}

impl<'s> Store<'s> {
    /// Looks at what a send of a message with this group and this id will need.
    #[inline(always)]
    pub fn look_up(&self, group: [u64; 2], id: &IdKey) -> Known<'s> {
        let (groups, ids) = (self.groups(), self.ids_table());
        let mut known = Known::look_ahead(&groups, &ids.entries, group, id);
        known.look_closely(&ids, group, id);
        known
    }

    /// The entry of a group, and itself.
    #[inline(never)]
    fn entry_of_group(&self, group: [u64; 2], owner: u32) -> Option<Entry<'s>> {
        let index = self.group_of(group, owner)?;
        Some((index, self.groups().elements.get(index)?))
    }
}

impl Store<'_> {
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
        known: &Known<'_>,
        behind: Option<Behind>,
        own: &mut Own<'_>,
    ) -> Option<u64> {
        let (index, run) = (claimed.index as usize, claimed.run as usize);
        let owner = own.cursor.owner;
        let Some(spot) = self.spot(index) else {
            return own.leave(Sent::Unfinished(0)); // no claim is of a slot that there is not
        };
        // So that nothing that others finish for this sender can fail for want of an entry.
        let known_or_made = match known.group {
            None => self.entry_of_group(message.group, owner),
            known => known,
        };
        let Some((group, its)) = known_or_made else {
            self.abort(claimed);
            return own.leave(Sent::GroupsFull);
        };
        let generation = claimed.next_generation() & (GENERATIONS - 1);
        let claim = Word::claimed(owner, generation.wrapping_sub(1), run as u64);
        let number = own.numbers.next(self.fifo_head());
        Self::prepare_link(spot.link, number, message.group);
        let (size, attributes) = (message.size, message.attributes);
        let (_, stamp) = self.write_head(claimed, size, attributes, message.sent_ms);
        let (id, named) = (message.id, Named::new(index as u32, stamp));
        let window = (message.sent_ms, message.until_ms);
        let mine = match own.cursor.remember(id, &named, window, known.absent) {
            Remember::New(mine) => mine,
            other => {
                let at = (index, run, stamp);
                match self.remember_late(other, at, id, window, &mut own.cursor) {
                    Ok(mine) => mine,
                    Err(sent) => return own.leave(sent),
                }
            }
        };
        let coming = Coming {
            spot,
            claim,
            number,
            group: message.group,
        };
        let (number, was_empty) = match self.append_own((group, its), &coming, behind, own) {
            Some((number, was_empty)) => {
                mine.accept(number);
                let ready = sealed(stamp_generation(stamp), message.delay_ms);
                if !self.seal_seen((index, spot.word), claim, ready) {
                    self.seal_ordered(index, stamp, message.delay_ms); // unless a helper has
                }
                (Some(number), was_empty)
            }
            None => {
                let named = (mine.index, index, stamp);
                let sent = self.send_late(group, message.delay_ms, named, own);
                (own.leave(sent), false)
            }
        };
        mine.settle();
        let block = index / BLOCK_SLOTS;
        own.note_block(self, block);
        if message.delay_ms != 0 {
            self.lower_due(block, message.sent_ms + message.delay_ms);
        }
        if was_empty {
            match message.delay_ms {
                0 => self.issue_in_row((group, its), &mut own.row), // the only one, or was
                _ => self.offer_late(group, owner),
            }
        }
        number
    }

    /// The way of all for a message that its sender has not linked: it is to be numbered when it
    /// is, by whoever links it.
    #[cold]
    #[inline(never)]
    fn send_late(
        &self,
        group: usize,
        delay_ms: u64,
        (entry, index, stamp): (u32, usize, u64),
        own: &Own<'_>,
    ) -> Sent {
        let unordered = UNORDERED | stamp_generation(stamp);
        let sequence = &self.links()[index].sequence;
        let number = sequence.load(Ordering::Acquire);
        if number & UNORDERED == 0 {
            // ORDERING: SeqCst; [linked-once] before it is sealed. If a helper has done it, it may
            // be numbered by now, and that is what this changes nothing of.
            let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
            if self.is_unsealed(index, stamp) {
                let _ = sequence.compare_exchange(number, unordered, done, failed);
            }
        }
        self.seal_ordered(index, stamp, delay_ms);
        let named = (index, stamp, unordered);
        match self.finish_sealed(entry, named, Some(group), own.owner()) {
            Finished::InOrder(sequence) => Sent::New(stamp, sequence),
            Finished::Unknown => Sent::New(stamp, 0),
            Finished::NoPlace => Sent::Unfinished(stamp),
        }
    }

    /// Links a message where the words of its group say that the list ends: its number, and
    /// whether it is the first. `None`: it is not linked, and this call does not link it: the end
    /// has to be looked for, or somebody else was at it.
    #[inline(always)]
    fn append_own(
        &self,
        (index, group): Entry<'_>,
        coming: &Coming<'_>,
        behind: Option<Behind>,
        own: &mut Own<'_>,
    ) -> Option<(u64, bool)> {
        let first = group.first();
        if !group.is(coming.group) {
            return None;
        }
        let (place, seen, last) = match first.next() {
            Next::Closed => return None,
            Next::End => (&group.first, first, None),
            Next::Slot(_) => {
                let (at, seen, number) = self.last_of(group, first, behind, own.owner())?;
                (&self.links()[at].next, seen, Some(number))
            }
        };
        let Spot {
            slot, word, link, ..
        } = coming.spot;
        // ORDERING: SeqCst; [helped-seen] read after the end of the list.
        if word.load(Ordering::SeqCst) != coming.claim.0 {
            return None;
        }
        let mut number = coming.number;
        let greater = match last {
            Some(last) => number > last,
            None => own.numbers.are_latest(self.fifo_head()),
        };
        if !greater {
            number = self.number_anew(link, number, own)?;
        }
        link_at(place, seen, link, slot, index).then_some((number, last.is_none()))
    }

    /// The last place of a list that begins with `first`: its arrow, and its number.
    #[inline(always)]
    fn last_of(
        &self,
        group: &Group,
        first: NextWord,
        behind: Option<Behind>,
        owner: u32,
    ) -> Option<Last> {
        let near = match behind {
            Some((at, number)) => self.numbered(at, number),
            // ORDERING: Acquire; as in `find_end`.
            None => self.hinted(group.last.load(Ordering::Acquire)),
        };
        near.filter(|(_, seen, _)| seen.next() == Next::End)
            .or_else(|| self.seek_last(group, first, owner))
    }

    /// The same, wherever the hint leads.
    #[inline(never)]
    fn seek_last(&self, group: &Group, first: NextWord, owner: u32) -> Option<Last> {
        let End::At(at, seen) = self.find_end(group, first, owner) else {
            return None;
        };
        let number = self.links().get(at)?.number();
        (number & UNORDERED == 0).then_some((at, seen, number))
    }

    /// Gives a message that is not linked a later number. `None`: a helper takes care of it.
    #[cold]
    #[inline(never)]
    fn number_anew(&self, link: &Link, number: u64, own: &mut Own<'_>) -> Option<u64> {
        let anew = own.numbers.anew(self.fifo_head());
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        let changed = link.sequence.compare_exchange(number, anew, done, failed);
        changed.is_ok().then_some(anew)
    }

    /// Offers a group whose oldest message is delayed: its time may be over by now.
    #[cold]
    #[inline(never)]
    fn offer_late(&self, group: usize, owner: u32) {
        self.offer(group, self.latest_ms(), owner);
    }
}
