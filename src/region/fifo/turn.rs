//! Turns: who receives from a group, and what ends that.
//!
//! # Protocol
//!
//! A group with messages in flight is *locked*. Nothing says so but the words of its messages: the
//! one who holds the oldest has the turn. A receiver
//!
//! 1. makes the oldest message ready if its time is over, and gives up if it is in flight;
//! 2. if the group is *wide*, looks at the ten oldest: one of them that is in flight locks the
//!    group as well; else the group is narrow again;
//! 3. holds the oldest, by one compare-exchange: that is the turn;
//! 4. for more messages, makes the group wide, holds those that follow, in order, and then looks
//!    whether its hold of the oldest still stands. If not, its time was over meanwhile: it gives
//!    the others back and has received nothing.
//!
//! Between 1 and 2, and between the holds and the look of 4, each side does a read-modify-write and
//! then reads what the other one writes; so one of two receivers sees the other, `[turn-seen]`: a
//! receiver of a later turn sees what an earlier one holds, or that one sees that its turn is over.
//! One that stops before its look holds messages beyond the oldest until their time is over, as one
//! does that stops after it: that is the visibility timeout.
//!
//! A turn takes ten messages at most, and nobody gets others before it is over; so what is in
//! flight is among the ten oldest that are not deleted.
//!
//! # Free groups
//!
//! A group is *free* if its oldest message is ready and none is in flight. Whoever makes a message
//! ready, or takes one away, and then finds the group free, issues a ticket for it. Two who do so
//! at once both look after their own change, so at least one finds it free, `[freed-seen]`. Tickets
//! are hints: one for a group that is locked is passed by, and a group may have two, if two issue
//! them at once. The turn uses the ticket up, so that the group gets one at the end when it is free
//! again. The first ticket's group is served first, so groups are served in the order in which they
//! became free.
//!
//! # Deaths
//!
//! A dead receiver's holds are returned by repair, whichever of the steps it was in. One who died
//! between its change and its ticket leaves a group that is free and has no ticket before `last`:
//! [`mend_tickets`](Store::mend_tickets) issues one.

use super::layout::Next;
use super::list::Member;
use crate::error::Error;
use crate::region::arena::{Hold, stamp_generation, stamp_sent_ms};
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, PIN_CELLS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::{Ordering, store_load_after_rmw};
use core::ops::Range;
use heapless::Vec;

/// The most messages of one turn.
pub const TURN_MAX: usize = 10;

/// After so many messages of one group that were refused, a receive leaves the rest to the next.
const REFUSED_MAX: usize = 64;

/// How messages of a group are received.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Who receives.
    pub owner: u32,
    /// Whether the bytes are read in place.
    pub borrowed: bool,
    /// The time, ms.
    pub now_ms: u64,
    /// When the visibility runs out, ms.
    pub due_at_ms: u64,
}

/// What a group is up to, as a look finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has messages, and none is in flight.
    Ready,
    /// One of its messages is in flight.
    Locked,
    /// Its oldest message is delayed, and the others are behind it.
    Delayed,
    /// It has no messages, or is no group.
    Empty,
}

/// What an oldest message is up to.
enum Oldest {
    Ready(Member),
    Locked,
    None,
}

impl Store<'_> {
    /// Receives up to `max` messages, those of one group before those of the next.
    ///
    /// # Progress
    ///
    /// Lock-free. The tickets that are there when it begins are looked at once each, those that are
    /// issued meanwhile are the next call's.
    pub fn receive_in_turn(&self, turn: &Turn, max: usize, mut found: impl FnMut(Hold) -> bool) {
        let tickets = self.tickets();
        // And one that a pusher has put and not counted.
        let (mut left, mut have) = (tickets.len().saturating_add(1), 0);
        while have < max && left != 0 {
            left -= 1;
            let Some(ticket) = tickets.peek() else {
                return;
            };
            let group = ticket.index as usize;
            let (mut taken, mut refused, mut first) = (0, 0, None);
            // Refused ones are gone, and then the next is the oldest.
            while have < max && taken == refused && refused < REFUSED_MAX {
                let holds = self.take_turn(group, turn, (max - have).min(TURN_MAX));
                let counted = self.give_out(&holds, turn.owner, &mut found);
                have += counted;
                taken += holds.len();
                refused += holds.len() - counted;
                first = holds.first().copied();
                if holds.is_empty() {
                    break;
                }
            }
            let passed = tickets.pass(&ticket);
            store_load_after_rmw();
            // It may still be free; or it became so while this call found it locked, or held it,
            // and who made it so has seen the ticket: [passed-seen].
            if refused != 0 || passed && !first.is_some_and(|first| self.stands(&first)) {
                self.offer(group, turn.now_ms, turn.owner);
            }
        }
    }

    /// Gives the messages of a turn to `found`; how many it takes. Behind one that it refuses and
    /// that stays nothing is received.
    fn give_out(&self, holds: &[Hold], owner: u32, found: &mut impl FnMut(Hold) -> bool) -> usize {
        let mut counted = 0;
        for (at, hold) in holds.iter().enumerate() {
            if found(*hold) {
                counted += 1;
            } else if self.current(hold).is_some() {
                holds[at + 1..]
                    .iter()
                    .for_each(|hold| self.give_back(hold, owner));
                break;
            }
        }
        counted
    }

    /// Whether a hold is as it was.
    fn stands(&self, hold: &Hold) -> bool {
        // ORDERING: SeqCst; [turn-seen], [passed-seen]. Pins of former readers come and go.
        let word = Word(self.words()[hold.index as usize].load(Ordering::SeqCst));
        word.with_pins(0) == hold.word.with_pins(0)
    }

    /// One turn at a group, if it is free.
    pub fn take_turn(&self, group: usize, turn: &Turn, max: usize) -> Vec<Hold, TURN_MAX> {
        let mut holds = Vec::new();
        let Some(entry) = self.groups().elements.get(group) else {
            return holds; // damage
        };
        let mut oldest = match self.oldest_ready(group, turn) {
            Oldest::Ready(oldest) => oldest,
            Oldest::Locked | Oldest::None => return holds,
        };
        store_load_after_rmw();
        // ORDERING: SeqCst; [turn-seen] read after the oldest was made ready.
        let wide = entry.wide.load(Ordering::SeqCst);
        if wide & 1 != 0 {
            if self.is_in_flight_after(group, &oldest, turn) {
                return holds;
            }
            let narrow = ((wide >> 1) + 1) << 1;
            let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
            if entry
                .wide
                .compare_exchange(wide, narrow, done, failed)
                .is_err()
            {
                return holds; // another one's turn
            }
            oldest = match self.oldest_ready(group, turn) {
                Oldest::Ready(again) if again.slot == oldest.slot => again,
                _ => return holds,
            };
        }
        let Some(first) = self.hold_member(&oldest, turn) else {
            return holds;
        };
        let _ = holds.push(first);
        if max > 1 && self.next_member(group, &oldest, turn.owner).is_some() {
            self.widen(group);
            self.hold_more(group, oldest, turn, max, &mut holds);
        }
        holds
    }

    fn hold_member(&self, member: &Member, turn: &Turn) -> Option<Hold> {
        let hold = self.hold_seen(
            member.slot,
            member.word,
            turn.owner,
            turn.borrowed,
            turn.due_at_ms,
        )?;
        self.lower_due(member.slot / BLOCK_SLOTS, turn.due_at_ms);
        Some(hold)
    }

    /// Says that messages behind the oldest may be in flight.
    fn widen(&self, group: usize) {
        let wide = &self.groups().elements[group].wide;
        let mut seen = wide.load(Ordering::Relaxed);
        loop {
            let next = ((seen >> 1) + 1) << 1 | 1;
            // ORDERING: SeqCst; [turn-seen] before the messages behind are held.
            match wide.compare_exchange(seen, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Step 4: the messages after the one that this turn holds.
    fn hold_more(
        &self,
        group: usize,
        mut at: Member,
        turn: &Turn,
        max: usize,
        holds: &mut Vec<Hold, TURN_MAX>,
    ) {
        let first = holds[0];
        while holds.len() < max {
            let Some(next) = self.next_member(group, &at, turn.owner) else {
                break;
            };
            if next.word.phase() != Phase::Ready {
                break;
            }
            let Some(hold) = self.hold_member(&next, turn) else {
                break;
            };
            let _ = holds.push(hold);
            at = next;
        }
        store_load_after_rmw();
        if !self.stands(&first) {
            for hold in holds.iter() {
                self.give_back(hold, turn.owner);
            }
            holds.clear();
            self.offer(group, turn.now_ms, turn.owner);
        }
    }

    /// Makes a message ready that this call holds, if it still does, as if it had not been
    /// received: nobody was given it, so nobody has a receipt of this generation.
    fn give_back(&self, hold: &Hold, owner: u32) {
        let word = &self.words()[hold.index as usize];
        let mut seen = Word(word.load(Ordering::Acquire));
        let last = stamp_generation(hold.stamp).wrapping_sub(1) & (GENERATIONS - 1);
        let counted = u64::from(hold.word.generation() != last); // else the count has stopped
        let before = hold.word.generation().wrapping_sub(counted) & (GENERATIONS - 1);
        while seen.with_pins(0) == hold.word.with_pins(0) {
            let ready = Word::ready(before, seen.pins());
            // ORDERING: SeqCst; [slot-returned], [freed-seen].
            match word.compare_exchange(seen.0, ready.0, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => seen = Word(now),
            }
        }
        self.unborrow(hold, owner);
    }

    /// Step 1: the oldest message, made ready if its time is over.
    fn oldest_ready(&self, group: usize, turn: &Turn) -> Oldest {
        for _ in 0..=PIN_CELLS + 1 {
            let Some(oldest) = self.oldest(group, turn.owner) else {
                return Oldest::None;
            };
            match oldest.word.phase() {
                Phase::Ready => return Oldest::Ready(oldest),
                Phase::Held if self.is_over(&oldest, turn.now_ms) => {
                    self.expire(oldest.slot, oldest.word);
                }
                _ => return Oldest::Locked,
            }
        }
        Oldest::Locked // two former holders still read it, or others are at it
    }

    /// Whether a held message's time is over.
    fn is_over(&self, member: &Member, now_ms: u64) -> bool {
        let stamp = self.notes()[member.slot].stamp.load(Ordering::Relaxed);
        stamp_sent_ms(stamp) + member.word.due_ms() <= now_ms
    }

    /// Whether a held message is one that nobody has received yet: it is delayed, and locks nothing
    /// but what is behind it. One that is received meanwhile has another word.
    fn is_delayed(&self, member: &Member) -> bool {
        let stamp = self.notes()[member.slot].stamp.load(Ordering::Relaxed);
        member.word.generation() == stamp_generation(stamp)
    }

    /// Step 2: whether one of the messages behind the oldest is in flight. Those whose time is over
    /// are made ready.
    fn is_in_flight_after(&self, group: usize, oldest: &Member, turn: &Turn) -> bool {
        let mut at = *oldest;
        for _ in 1..TURN_MAX {
            let Some(next) = self.next_member(group, &at, turn.owner) else {
                break;
            };
            let locks = match next.word.phase() {
                Phase::Ready => false,
                Phase::Held if self.is_delayed(&next) => false,
                Phase::Held => {
                    !(self.is_over(&next, turn.now_ms) && self.expire(next.slot, next.word))
                }
                _ => true, // it is being moved to another queue
            };
            if locks {
                return true;
            }
            at = next;
        }
        !self.is_linked(group, oldest) // then those were another's messages, perhaps
    }

    /// Issues a ticket for a group if it is free. Call it after each change that may have made it
    /// so.
    pub fn offer(&self, group: usize, now_ms: u64, owner: u32) {
        store_load_after_rmw();
        if self.is_free(group, now_ms, owner) {
            self.issue(group);
        }
    }

    /// Issues a ticket, unless the group has one that is not passed by. That may be passed at this
    /// moment by one who has found the group locked: it looks again after that, `[passed-seen]`.
    pub(super) fn issue(&self, group: usize) {
        if !self.has_ticket(group)
            && let Some(position) = self.tickets().push(group as u32)
        {
            let ticket = &self.groups().elements[group].ticket;
            // ORDERING: Release; [passed-seen] who reads it finds the ticket pushed. Who reads what
            // stood here before may issue another; of two who issue at once either may stand here.
            ticket.store(position.wrapping_add(1), Ordering::Release);
        }
    }

    /// Whether the group's latest ticket is not passed by, as far as its entry knows.
    fn has_ticket(&self, group: usize) -> bool {
        let tickets = self.tickets();
        // ORDERING: SeqCst; [passed-seen] read after the change that may have made the group free.
        let ticket = self.groups().elements[group].ticket.load(Ordering::SeqCst);
        let ahead = ticket.wrapping_sub(tickets.first_position());
        ahead != 0 && ahead <= tickets.len() as u64 // or damage
    }

    /// Whether a group has messages and none is in flight.
    fn is_free(&self, group: usize, now_ms: u64, owner: u32) -> bool {
        let Some(oldest) = self.oldest(group, owner) else {
            return false;
        };
        let in_flight = |member: &Member| match member.word.phase() {
            Phase::Ready => false,
            Phase::Held => !self.is_over(member, now_ms),
            _ => true, // it is being moved to another queue
        };
        if in_flight(&oldest) {
            return false;
        }
        let wide = self.groups().elements[group].wide.load(Ordering::SeqCst);
        let mut at = oldest;
        for _ in 1..TURN_MAX * (wide & 1) as usize {
            let Some(next) = self.next_member(group, &at, owner) else {
                break;
            };
            if in_flight(&next) && !self.is_delayed(&next) {
                return false;
            }
            at = next;
        }
        true
    }

    /// What a group is up to.
    pub fn standing(&self, group: usize, now_ms: u64, owner: u32) -> Standing {
        if self.is_free(group, now_ms, owner) {
            return Standing::Ready;
        }
        let Some(oldest) = self.oldest(group, owner) else {
            return Standing::Empty;
        };
        match oldest.word.phase() == Phase::Held && self.is_delayed(&oldest) {
            true => Standing::Delayed,
            false => Standing::Locked,
        }
    }

    /// Deletes the message of `hold`, which takes `run` slots. `Ok(false)`: it is gone already.
    ///
    /// # Errors
    ///
    /// [`Error::StaleReceipt`]: it was received again. [`Error::NotInFlight`]: its time is over.
    /// [`Error::Pinned`].
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn delete_in_turn(
        &self,
        hold: &Hold,
        run: usize,
        now_ms: u64,
        owner: u32,
    ) -> Result<bool, Error> {
        let index = hold.index as usize;
        loop {
            let Some(seen) = self.current(hold) else {
                self.unpin(hold, owner);
                return Ok(false);
            };
            if seen.generation() != hold.word.generation() {
                self.unpin(hold, owner);
                return Err(Error::StaleReceipt);
            }
            let over = seen.phase() != Phase::Held || hold.sent_ms() + seen.due_ms() <= now_ms;
            if over {
                self.unborrow(hold, owner);
                return Err(Error::NotInFlight);
            }
            let hint = self.links()[index].group.load(Ordering::Relaxed);
            let own = self.own_pin(hold);
            let reader = seen.is_borrowed() && !hold.word.is_borrowed();
            if let Some(key) = self.entomb(index, seen, run, own, reader)? {
                if let Some(group) = self.group_by(key, hint) {
                    self.offer(group, now_ms, owner);
                    self.take_out_of_turn(group, index, owner);
                }
                return Ok(true);
            }
        }
    }

    /// Takes a tombstone out of its list that is not at its head: it is among the ten oldest, so a
    /// walk over those does it. The last place of a list stays, until another message follows or
    /// the group is empty.
    fn take_out_of_turn(&self, group: usize, index: usize, owner: u32) {
        if !Word(self.words()[index].load(Ordering::Relaxed)).is_tombstone() {
            return;
        }
        let mut at = self.oldest(group, owner);
        for _ in 1..TURN_MAX {
            let Some(member) = at else {
                return;
            };
            at = self.next_member(group, &member, owner);
        }
    }

    /// Makes a message a tombstone, without the pins in `own`; its group's key. `None`: the word
    /// has changed, look again.
    ///
    /// # Errors
    ///
    /// [`Error::Pinned`] as in [`remove`](Store::remove).
    pub(super) fn entomb(
        &self,
        index: usize,
        seen: Word,
        run: usize,
        own: u64,
        reader: bool,
    ) -> Result<Option<[u64; 2]>, Error> {
        let link = &self.links()[index];
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        let Some(pins) = self.pins_left(index, seen, own, reader)? else {
            return Ok(None);
        };
        let next = Word::tombstone(seen.generation(), pins, run as u64);
        // ORDERING: SeqCst; [freed-seen]; otherwise as in `remove`.
        let word = &self.words()[index];
        let won = word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::Relaxed);
        if won.is_err() {
            return Ok(None);
        }
        #[cfg(feature = "mapped")]
        self.mark(index);
        Ok(Some(key))
    }

    /// Makes the message of `hold` visible at once, at the head of its group.
    ///
    /// # Errors
    ///
    /// Those of [`release`](Store::release).
    pub fn release_in_turn(&self, hold: &Hold, now_ms: u64, owner: u32) -> Result<(), Error> {
        let link = &self.links()[hold.index as usize];
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Relaxed));
        let hint = link.group.load(Ordering::Relaxed);
        self.release(hold, now_ms, owner)?;
        if let Some(group) = self.group_by(key, hint) {
            self.offer(group, now_ms, owner);
        }
        Ok(())
    }

    /// After a message was moved to another queue: what stands behind it may be received.
    pub(in crate::region) fn leave_group(&self, index: usize, owner: u32) {
        if let Some(group) = self.group_at(index) {
            self.offer(group, self.latest_ms(), owner);
            self.take_out_of_turn(group, index, owner);
        }
    }

    /// Issues tickets for the groups that are free and have none: who should have done so has died,
    /// or stands still; or the tickets are damaged.
    pub fn mend_tickets(&self, groups: Range<usize>, now_ms: u64, owner: u32) {
        self.tickets().mend();
        let entries = self.groups().elements;
        for (group, entry) in entries
            .iter()
            .enumerate()
            .take(groups.end)
            .skip(groups.start)
        {
            let empty = matches!(entry.first().next(), Next::End | Next::Closed);
            if !empty && !self.has_ticket(group) {
                self.offer(group, now_ms, owner);
            }
        }
    }
}
