//! The list of a group: its messages in the order of their sends.
//!
//! # The list
//!
//! ```text
//!   Group.first --> slot --> slot --> ... --> slot --> End
//!                    Link.next each                        Group.last: near the end
//! ```
//!
//! Each arrow is a [`NextWord`]; all of them change by compare-exchange, and each change makes the
//! word's version grow, so that one who comes late with an old word fails. A message is *linked* by
//! the change of the last arrow from End to its slot. Michael & Scott's queue (1996) without its
//! dummy, since the group itself is the first place.
//!
//! Numbers grow along the list, `[numbered-first]`, also if it was empty in between. A sender has
//! reserved the number of its message, and links it behind one with a smaller number, or into a
//! list without messages if nobody has reserved numbers since it did; else it takes a later one,
//! after it has read the end of the list (`own`). A message that is in no order when it is sealed
//! (see [`send`](super::send)), or that was moved here, is *numbered* when it is linked: its
//! sequence word goes from `{ unordered, generation }` to the next number of the queue. Nothing is
//! linked behind it before that.
//!
//! A deleted message is a *tombstone* until it is out of the list (Harris 2001): its arrow is
//! *frozen*, so that nothing behind it can be taken out by way of it; then the arrow before it is
//! turned to what follows. The last place of a list is never taken out while it may still be
//! appended to: a tombstone there stays, unless it is alone. Then its arrow is *closed*, and the
//! group's first one goes to End: the group is empty.
//!
//! # Helping
//!
//! [`put_in_order`](Store::put_in_order) may be done for one message without a number by many: the
//! sender, another one who sends the same id, a repair. A helper reads the end of the list and
//! *then* looks whether the message is numbered. If it is not, then it was not linked before that
//! end, since what is linked behind it would have numbered it; so the compare-exchange at the end
//! links it, or fails because somebody has, `[linked-once]`.
//!
//! # The hint
//!
//! `Group.last` names a place near the end by `{ sequence:32, slot:32 }`, and only moves to greater
//! numbers: a sender that had to walk for a few places moves it to where it has come. One that
//! leads nowhere is replaced, since after 2^31 sends to other groups it looks as if it were ahead.
//! Before a place is taken out, the hint is moved beyond it, `[hint-ahead]`, so it names a place
//! that is linked, or is of a time before the group was last empty; that is told by the place's own
//! sequence or arrow, and then the list is walked from its start.
//!
//! # Deaths
//!
//! Linked and not numbered: whoever walks there numbers it. A tombstone not taken out: so does he.
//! Taken out and not freed: a repair finds it in no list ([`mend_sends`](Store::mend_sends)).

use super::layout::{Group, Link, Next, NextWord, UNORDERED};
use crate::region::arena::Hold;
use crate::region::store::Store;
use crate::region::word::Word;
use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};

/// A sender that has walked for so many places moves the hint.
const HINT_STEPS: usize = 3;

/// What came of one attempt to link a message.
enum Linked {
    /// It is linked and numbered; `true`: the group had no message before.
    Done(bool),
    /// The group's entry is no group any more.
    Gone,
    /// The list leads nowhere.
    Damaged,
}

/// What came of putting a message in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It has this sequence number; `true`: the group was empty, and this call has linked it.
    Placed(u64, bool),
    /// It is not in its slot any more.
    Gone,
    /// There is no entry for its group, or the group's list is damaged.
    NoPlace,
}

/// Where a list ends.
pub(super) enum End {
    /// At this place, which is numbered; its arrow.
    At(usize, NextWord),
    /// Others have changed the list: look again.
    Changed,
    /// Nowhere.
    Damaged,
}

/// A message in a group's list as it was seen: linked, and not deleted then.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its first slot.
    pub slot: usize,
    /// Its state word.
    pub word: Word,
    /// Its number.
    pub sequence: u64,
    /// The arrow that leads to it.
    seen: NextWord,
    /// Whose arrow that is: a slot's; `None`: the group's.
    before: Option<usize>,
}

impl Link {
    pub(super) fn next(&self) -> NextWord {
        // ORDERING: SeqCst; acquires what the sender of the next message wrote.
        NextWord(self.next.load(Ordering::SeqCst))
    }

    /// The sequence number, or what stands there before there is one.
    pub(super) fn number(&self) -> u64 {
        // ORDERING: SeqCst; [linked-once] read after the end of the list.
        self.sequence.load(Ordering::SeqCst)
    }
}

/// `{ sequence:32, slot:32 }`
pub(super) const fn hint(sequence: u64, slot: usize) -> u64 {
    sequence << 32 | slot as u64 & 0xffff_ffff
}

/// Whether a hint names a place before this sequence number.
const fn is_behind(hint: u64, sequence: u64) -> bool {
    ((sequence as u32).wrapping_sub((hint >> 32) as u32)).cast_signed() > 0
}

/// Links a message in the list of the group `index`, at its end `place`, if that is still `seen`.
#[inline(always)]
pub(super) fn link_at(
    place: &AtomicU64,
    seen: NextWord,
    link: &Link,
    slot: usize,
    index: usize,
) -> bool {
    link.group.store(index as u64 + 1, Ordering::Relaxed);
    let next = seen.then(Next::Slot(slot));
    // ORDERING: SeqCst; [linked-once], [closed-empty]; releases what the sender wrote.
    let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
    place.compare_exchange(seen.0, next.0, done, failed).is_ok()
}

impl Store<'_> {
    /// Prepares the link of a slot that the caller has claimed, for a message in the group with
    /// this key. `number`: what it is to have, or, until it is numbered, `{ unordered:1, moved:1,
    /// 0:44, generation:18 }`.
    #[inline(always)]
    pub(super) fn prepare_link(link: &Link, number: u64, key: [u64; 2]) {
        link.sequence.store(number, Ordering::Relaxed);
        link.id.store(0, Ordering::Relaxed);
        // ORDERING: Release; [numbered-first] one who comes late with the earlier message, and sees
        // a word of this key, sees that message's sequence word gone.
        link.key[0].store(key[0], Ordering::Release);
        link.key[1].store(key[1], Ordering::Release);
        // ORDERING: Release; one who comes late sees the new version, or all that is above.
        link.next.store(link.next().anew().0, Ordering::Release);
    }

    /// Puts the sealed message that `unordered` names into the list of its group, if it is not
    /// there, and numbers it. `group`: the group's entry a moment ago, if it is known.
    ///
    /// # Progress
    ///
    /// Lock-free; idempotent, by anybody.
    pub fn put_in_order(
        &self,
        slot: usize,
        unordered: u64,
        mut group: Option<usize>,
        owner: u32,
    ) -> Order {
        let Some(link) = self.links().get(slot) else {
            return Order::Gone; // damage
        };
        let mut first = false;
        loop {
            let seen = link.number();
            if seen & UNORDERED == 0 {
                return Order::Placed(seen, first);
            }
            let key = [0, 1].map(|half| link.key[half].load(Ordering::Acquire));
            // The key is this message's if the word is, and the word is read after it.
            if seen != unordered || link.number() != seen {
                if link.number() & UNORDERED != 0 {
                    return Order::Gone;
                }
                continue;
            }
            let Some(index) = group.take().or_else(|| self.group_of(key, owner)) else {
                return Order::NoPlace;
            };
            match self.append(index, key, slot, seen, owner) {
                Linked::Done(was_empty) => first |= was_empty,
                Linked::Gone => {}
                Linked::Damaged => return Order::NoPlace,
            }
        }
    }

    /// Appends a message whose sequence word is `unordered` to the list of a group.
    fn append(
        &self,
        index: usize,
        key: [u64; 2],
        slot: usize,
        unordered: u64,
        owner: u32,
    ) -> Linked {
        let group = &self.groups().elements[index];
        let link = &self.links()[slot];
        loop {
            let first = group.first();
            if !group.is(key) {
                return Linked::Gone;
            }
            let (place, seen, at) = match first.next() {
                Next::Closed => return Linked::Gone,
                Next::End => (&group.first, first, None),
                Next::Slot(_) => match self.find_end(group, first, owner) {
                    End::At(at, seen) => (&self.links()[at].next, seen, Some(at)),
                    End::Changed => continue,
                    End::Damaged => return Linked::Damaged,
                },
            };
            store_load_after_rmw();
            if at == Some(slot) {
                self.number(slot, unordered); // somebody has linked it, and it is the last
                return Linked::Done(false);
            }
            if link.number() != unordered {
                return Linked::Done(false);
            }
            if link_at(place, seen, link, slot, index) {
                self.number(slot, unordered);
                return Linked::Done(at.is_none());
            }
        }
    }

    /// Numbers a linked message whose sequence word is `unordered`, if nobody has: its id's entry
    /// first. The number that it has.
    fn number(&self, slot: usize, unordered: u64) -> u64 {
        let link = &self.links()[slot];
        let entry = link.id.load(Ordering::Acquire);
        let stamp = self.notes()[slot].stamp.load(Ordering::Acquire);
        // Entry and stamp are this message's if the word is, and the word is read after them.
        let now = link.number();
        if now != unordered {
            return now;
        }
        // ORDERING: AcqRel; [numbered-first] taken after the message was linked.
        let last = self.fifo_head().sequence.fetch_add(1, Ordering::AcqRel);
        let mine = last.wrapping_add(1) & !UNORDERED;
        let mine = self.ids_table().accept(entry, slot as u32, stamp, mine);
        // ORDERING: SeqCst; [linked-once] before anything is linked behind it.
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        match link
            .sequence
            .compare_exchange(unordered, mine, done, failed)
        {
            Ok(_) => mine,
            Err(now) => now,
        }
    }

    /// Moves the hint on to a numbered place, if that is further than where it is.
    pub(super) fn move_hint(&self, group: &Group, sequence: u64, slot: usize) {
        if sequence & UNORDERED != 0 {
            return; // the place is another message's by now
        }
        let mut seen = group.last.load(Ordering::Acquire);
        while is_behind(seen, sequence) {
            // ORDERING: AcqRel; [hint-ahead].
            let (done, failed) = (Ordering::AcqRel, Ordering::Acquire);
            match group
                .last
                .compare_exchange(seen, hint(sequence, slot), done, failed)
            {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Puts a new hint in the place of one that leads nowhere, whatever its number: it may be so
    /// old that it looks as if it were ahead. Should the place be taken out meanwhile, its arrow is
    /// frozen, and the new one leads nowhere as well.
    #[cold]
    fn renew_hint(&self, group: &Group, stale: u64, sequence: u64, slot: usize) {
        if sequence & UNORDERED == 0 {
            // ORDERING: AcqRel; [hint-ahead] nobody has moved it since.
            let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            let new = hint(sequence, slot);
            let _ = group.last.compare_exchange(stale, new, done, failed);
        }
    }

    /// The last place of a list that begins with `first`.
    pub(super) fn find_end(&self, group: &Group, first: NextWord, owner: u32) -> End {
        // ORDERING: Acquire; the place's sequence and arrow are no older.
        let hint = group.last.load(Ordering::Acquire);
        if let Some((slot, seen, _)) = self.hinted(hint) {
            match seen.next() {
                Next::End => return End::At(slot, seen),
                Next::Slot(_) if !seen.is_frozen() => {
                    return self.walk_to_end(group, (Some(slot), seen), None, owner);
                }
                _ => {}
            }
        }
        self.walk_to_end(group, (None, first), Some(hint), owner)
    }

    /// A place with this number, and its arrow, if it is one of the list still.
    #[inline(always)]
    pub(super) fn numbered(&self, slot: usize, number: u64) -> Option<(usize, NextWord, u64)> {
        let link = self.links().get(slot)?;
        let seen = link.next();
        (link.number() == number).then_some((slot, seen, number))
    }

    /// The place that a hint names, its arrow, and its number, if it is one of the list still.
    #[inline(always)]
    pub(super) fn hinted(&self, hint: u64) -> Option<(usize, NextWord, u64)> {
        let slot = hint as u32 as usize;
        let link = self.links().get(slot)?;
        let (seen, number) = (link.next(), link.number());
        let is_it = number & UNORDERED == 0 && number as u32 == (hint >> 32) as u32;
        is_it.then_some((slot, seen, number))
    }

    /// Walks from a linked place's arrow on. `stale`: the hint, if it led nowhere.
    fn walk_to_end(
        &self,
        group: &Group,
        (mut before, mut seen): (Option<usize>, NextWord),
        stale: Option<u64>,
        owner: u32,
    ) -> End {
        for steps in 0..=self.links().len() {
            let Next::Slot(at) = seen.next() else {
                return End::Damaged;
            };
            let Some(link) = self.links().get(at) else {
                return End::Damaged;
            };
            let (next, number) = (link.next(), link.number());
            // ORDERING: SeqCst; still linked behind `before`: then these are its words.
            if self.arrow(group, before).load(Ordering::SeqCst) != seen.0 {
                return End::Changed;
            }
            let sequence = match number & UNORDERED {
                0 => number,
                _ => self.number(at, number),
            };
            match next.next() {
                Next::End => {
                    match stale {
                        _ if steps < HINT_STEPS => {}
                        None => self.move_hint(group, sequence, at),
                        Some(stale) => self.renew_hint(group, stale, sequence, at),
                    }
                    return End::At(at, next);
                }
                Next::Slot(_) if !next.is_frozen() => (before, seen) = (Some(at), next),
                // A tombstone that is to be taken out, or a list that is being closed.
                _ if self.take_out(group, (before, seen), at, owner) => return End::Changed,
                _ => return End::Damaged,
            }
        }
        End::Damaged // a circle
    }

    /// The arrow of a place: a slot's, or the group's own.
    pub(super) fn arrow<'s>(&'s self, group: &'s Group, before: Option<usize>) -> &'s AtomicU64 {
        match before {
            Some(slot) => &self.links()[slot].next,
            None => &group.first,
        }
    }

    /// Takes the place `at` out of a list, to which the arrow `seen` of `before` leads, if it is a
    /// tombstone and not one that is to stay. Returns whether anything changed, so that it is worth
    /// looking again.
    fn take_out(
        &self,
        group: &Group,
        (before, seen): (Option<usize>, NextWord),
        at: usize,
        owner: u32,
    ) -> bool {
        let arrow = self.arrow(group, before);
        let Some((frozen, word)) = self.freeze(arrow, seen, at, before.is_none()) else {
            return arrow.load(Ordering::SeqCst) != seen.0;
        };
        let next = match frozen.next() {
            Next::Slot(next) => {
                // [hint-ahead]; what follows a linked frozen place is linked.
                let number = self.links().get(next).map(Link::number);
                if arrow.load(Ordering::SeqCst) != seen.0 {
                    return true;
                }
                if let Some(number) = number {
                    let sequence = match number & UNORDERED {
                        0 => number,
                        _ => self.number(next, number),
                    };
                    self.move_hint(group, sequence, next);
                }
                Next::Slot(next)
            }
            Next::End if before.is_some() => return false,
            Next::End => {
                let closed = frozen.then(Next::Closed).0;
                // ORDERING: SeqCst; [linked-once] nothing is linked behind it from here on.
                let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
                let link = &self.links()[at].next;
                if link
                    .compare_exchange(frozen.0, closed, done, failed)
                    .is_err()
                {
                    return true;
                }
                Next::End
            }
            Next::Closed => Next::End,
        };
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        // ORDERING: SeqCst; who wins this frees the place.
        let won = arrow.compare_exchange(seen.0, seen.then(next).0, done, failed);
        if won.is_ok() {
            self.free_tombstone(at, word, owner);
        }
        true
    }

    /// Freezes the arrow of a tombstone to which `seen` leads, and closes it if it is `alone`: the
    /// first, and none follows. That and its word. `None`: it is none, or `seen` does not lead to
    /// it any more.
    fn freeze(
        &self,
        arrow: &AtomicU64,
        seen: NextWord,
        at: usize,
        alone: bool,
    ) -> Option<(NextWord, Word)> {
        loop {
            let link = self.links().get(at)?;
            let next = link.next();
            let word = Word(self.words()[at].load(Ordering::SeqCst));
            if !word.is_tombstone() || arrow.load(Ordering::SeqCst) != seen.0 {
                return None;
            }
            if next.is_frozen() {
                return Some((next, word));
            }
            // If the arrow is what it was, so is the message.
            let frozen = match next.next() {
                Next::End if alone => next.then_closed(),
                _ => next.then_frozen(),
            };
            // ORDERING: SeqCst, as each change of an arrow; nothing behind it is taken out by way
            // of it from here on.
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let won = link.next.compare_exchange(next.0, frozen.0, done, failed);
            if won.is_ok() {
                return Some((frozen, word));
            }
        }
    }

    /// Frees the tombstone `tombstone`, which is in no list; or leaves it to its last reader. A
    /// repair may have been faster, and there may be another one in the slot by now.
    pub(super) fn free_tombstone(&self, at: usize, tombstone: Word, owner: u32) {
        let word = &self.words()[at];
        loop {
            let seen = Word(word.load(Ordering::Acquire));
            if !seen.is_same_tombstone(tombstone) {
                return; // [freed-by-namer] its name may have been given up
            }
            let run = seen.tombstone_run();
            let next = match seen.pins() {
                0 if run == 1 => Word::free(seen.generation() + 1),
                0 => Word::claimed(owner, seen.generation(), run),
                pins => Word::retired(seen.generation(), pins, run),
            };
            // ORDERING: AcqRel; [slot-freed], and the other readers are done.
            let won = word.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire);
            if won.is_err() {
                continue;
            }
            if next.pins() == 0 {
                let run = run as usize;
                if run != 1 {
                    self.free_claimed(at, run);
                }
                self.put_free(at, run);
            }
            return;
        }
    }

    /// The oldest message of a group that is not deleted; tombstones before it are taken out.
    /// `None`: the group has none.
    pub fn oldest(&self, index: usize, owner: u32) -> Option<Member> {
        let group = self.groups().elements.get(index)?;
        self.member_after(group, None, owner)
    }

    /// The message that follows another one in its group, and is not deleted. `None`: there is
    /// none, or that one is not in the list any more.
    pub fn next_member(&self, index: usize, member: &Member, owner: u32) -> Option<Member> {
        let group = self.groups().elements.get(index)?;
        self.member_after(group, Some(member.slot), owner)
    }

    pub(super) fn member_after(
        &self,
        group: &Group,
        before: Option<usize>,
        owner: u32,
    ) -> Option<Member> {
        for _ in 0..=self.links().len() {
            let seen = NextWord(self.arrow(group, before).load(Ordering::SeqCst));
            let Next::Slot(at) = seen.next() else {
                return None;
            };
            if seen.is_frozen() {
                return None;
            }
            let link = self.links().get(at)?;
            let number = link.number();
            let word = Word(self.words()[at].load(Ordering::SeqCst));
            if self.arrow(group, before).load(Ordering::SeqCst) != seen.0 {
                continue;
            }
            let sequence = match number & UNORDERED {
                0 => number,
                _ => self.number(at, number), // also of a tombstone: [linked-once]
            };
            if word.is_tombstone() {
                if !self.take_out(group, (before, seen), at, owner) {
                    return None;
                }
                continue;
            }
            if word.is_coming() && self.complete(at, word) {
                continue;
            }
            return Some(Member {
                slot: at,
                word,
                sequence,
                seen,
                before,
            });
        }
        None
    }

    /// Whether a member is still where it was seen.
    pub fn is_linked(&self, index: usize, member: &Member) -> bool {
        let group = &self.groups().elements[index];
        self.arrow(group, member.before).load(Ordering::SeqCst) == member.seen.0
    }

    /// The sequence number of a held message; `None` if its memory is damaged.
    pub fn sequence_of(&self, hold: &Hold) -> Option<u64> {
        let number = self.links().get(hold.index as usize)?.number();
        (number & UNORDERED == 0).then_some(number)
    }
}
