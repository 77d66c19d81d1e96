//! Turns: who receives from a group, and what ends that.
//!
//! # Protocol
//!
//! A group with messages in flight is *locked*. Nothing says so but the words of its messages: the
//! one who holds the oldest has the turn. A receiver
//!
//! 1. makes the oldest message ready if its time is over, and gives up if it is in flight;
//! 2. if the group is *wide*, looks at the oldest once more and at the nine behind it: one of them
//!    that is in flight locks the group as well; else the group is narrow again, unless somebody
//!    has made it wide anew since this step began;
//! 3. holds the oldest, by one compare-exchange: that is the turn;
//! 4. for more messages, makes the group wide, holds those that follow, in order, and then looks
//!    whether its hold of the oldest still stands. If not, its time was over meanwhile: it gives
//!    the others back and has received nothing.
//!
//! Between 1 and 2, and between the holds and the look of 4, each side does a read-modify-write and
//! then reads what the other one writes; so one of two receivers sees the other, `[turn-seen]`: a
//! receiver of a later turn sees what an earlier one holds, or that one sees that its turn is over.
//! Narrowing is for whoever finds a group free, the deleter of the last message of a turn for one:
//! it reads `wide` before it looks at the oldest, and changes it by compare-exchange after it has
//! looked behind, `[narrow-seen]`. So a turn that had made the group wide before had held its
//! oldest before: its holds are seen, or its turn is over; and one that does so later is wide.
//! One that stops before its look holds messages beyond the oldest until their time is over, as one
//! does that stops after it: that is the visibility timeout.
//!
//! A turn takes ten messages at most, and nobody gets others before it is over; so what is in
//! flight is among the ten oldest that are not deleted.
//!
//! # Deaths
//!
//! A dead receiver's holds are returned by repair, whichever of the steps it was in. The tickets
//! that it has looked at and not passed are the next receiver's.

use super::layout::{Group, Link, Next, NextWord, UNORDERED};
use super::list::Member;
use crate::region::arena::{Hold, hold_word, stamp_generation};
use crate::region::layout::Note;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, PIN_CELLS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::tickets::{Ticket, Tickets};
use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};
use heapless::Vec;

/// The most messages of one turn.
pub const TURN_MAX: usize = 10;

/// So many tickets are looked at before they are passed.
const ROW_MAX: usize = 16;

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

/// What an oldest message is up to.
enum Oldest {
    Ready(Member),
    Locked,
    None,
}

/// A slot's parts, of an index that was checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'s> {
    pub slot: usize,
    pub word: &'s AtomicU64,
    pub note: &'s Note,
    pub link: &'s Link,
}

/// A group that a receive has looked at, and its hold of the oldest message.
#[derive(Debug, Clone, Copy)]
struct Looked {
    group: u32,
    /// One that is none: it holds nothing there.
    slot: u32,
    word: Word,
    /// Messages were refused, so the group may be free.
    refused: bool,
}

/// What one receive does later for all of its groups: passes their tickets, and lowers the bounds
/// over what it holds.
struct Receiving {
    looked: Vec<Looked, ROW_MAX>,
    /// Position of the first of their tickets.
    from: u64,
    /// The block in which something was held last; none of the queue's if nothing was.
    block: usize,
}

impl<'s> Store<'s> {
    /// The parts of a slot.
    #[inline(always)]
    pub(super) fn spot(&self, slot: usize) -> Option<Spot<'s>> {
        Some(Spot {
            slot,
            word: self.words().get(slot)?,
            note: self.notes().get(slot)?,
            link: self.links().get(slot)?,
        })
    }

    /// The message to which an arrow leads, in the common case that there is one which is numbered.
    /// It may be a tombstone.
    #[inline(always)]
    fn plain_member(&self, arrow: &AtomicU64) -> Option<(Spot<'s>, Word)> {
        let seen = NextWord(arrow.load(Ordering::SeqCst));
        let Next::Slot(at) = seen.next() else {
            return None;
        };
        let spot = self.spot(at)?;
        let number = spot.link.sequence.load(Ordering::SeqCst);
        let word = Word(spot.word.load(Ordering::SeqCst));
        // ORDERING: SeqCst; still where the arrow leads: then these are its words.
        let stands = arrow.load(Ordering::SeqCst) == seen.0;
        (stands && !seen.is_frozen() && number & UNORDERED == 0).then_some((spot, word))
    }
}

impl Store<'_> {
    /// Receives up to `max` messages, those of one group before those of the next.
    ///
    /// # Progress
    ///
    /// Lock-free. As many tickets are looked at as there are when it begins, once each; those that
    /// are issued meanwhile are the next call's.
    #[inline]
    pub fn receive_in_turn(&self, turn: &Turn, max: usize, mut found: impl FnMut(Hold) -> bool) {
        let tickets = self.tickets();
        let (mut left, mut have) = (tickets.len(), 0);
        let mut receiving = Receiving {
            looked: Vec::new(),
            from: 0,
            block: usize::MAX,
        };
        let mut behind = Vec::new();
        while have < max && left != 0 {
            left -= 1;
            let Some(ticket) = self.next_ticket(&tickets, &mut receiving, turn) else {
                break;
            };
            let mut looked = Looked {
                group: ticket.index,
                slot: u32::MAX,
                word: Word(0),
                refused: false,
            };
            let mut refused = 0;
            // Refused ones are gone, and then the next is the oldest.
            while have < max && refused < REFUSED_MAX {
                behind.clear();
                let (most, block) = ((max - have).min(TURN_MAX), &mut receiving.block);
                let group = ticket.index as usize;
                let Some(first) = self.take_turn_of(group, turn, most, &mut behind, block) else {
                    break;
                };
                (looked.slot, looked.word) = (first.index, first.word);
                let counted = self.give_out(first, &behind, turn.owner, &mut found);
                have += counted;
                if counted == behind.len() + 1 {
                    break;
                }
                refused += behind.len() + 1 - counted;
                looked.refused = true;
                if counted != 0 {
                    break;
                }
            }
            if receiving.looked.is_empty() {
                receiving.from = ticket.position;
            }
            let _ = receiving.looked.push(looked);
        }
        self.pass_by(&mut receiving, turn);
        self.lower_held(receiving.block, turn.due_at_ms);
    }

    /// The ticket after those that were looked at; those are passed before, if it is not the next.
    #[inline(always)]
    fn next_ticket(
        &self,
        tickets: &Tickets<'_>,
        receiving: &mut Receiving,
        turn: &Turn,
    ) -> Option<Ticket> {
        let len = receiving.looked.len();
        if len != 0 && len < ROW_MAX {
            let further = tickets.peek_at(receiving.from.wrapping_add(len as u64));
            if further.is_some() {
                return further;
            }
        }
        self.pass_by(receiving, turn);
        tickets.peek()
    }

    /// Passes the tickets that were looked at.
    #[inline(always)]
    fn pass_by(&self, receiving: &mut Receiving, turn: &Turn) {
        let (from, len) = (receiving.from, receiving.looked.len() as u64);
        if len == 0 {
            return;
        }
        let to = from.wrapping_add(len - 1);
        let first = self.tickets().pass_row(from, to);
        // Of so many it found that others have passed them.
        let others = first.map_or(len, |first| first.wrapping_sub(from));
        store_load_after_rmw();
        for (at, looked) in receiving.looked.iter().enumerate() {
            // The group may still be free; or it became so while this call found it locked, or held
            // it, and who made it so has seen the ticket: [passed-seen].
            if looked.refused || at as u64 >= others && !self.still_holds(looked) {
                self.offer_cold(looked.group as usize, turn);
            }
        }
        receiving.looked.clear();
    }

    /// Whether a group's oldest message is held as it was.
    #[inline(always)]
    fn still_holds(&self, looked: &Looked) -> bool {
        // ORDERING: SeqCst; [passed-seen]. Pins of former readers come and go.
        let word = self.words().get(looked.slot as usize);
        word.is_some_and(|word| {
            Word(word.load(Ordering::SeqCst)).with_pins(0) == looked.word.with_pins(0)
        })
    }

    #[cold]
    #[inline(never)]
    fn offer_cold(&self, group: usize, turn: &Turn) {
        self.offer(group, turn.now_ms, turn.owner);
    }

    /// Lowers the bounds over a block in which something was held.
    #[inline(always)]
    fn lower_held(&self, block: usize, due_at_ms: u64) {
        if block < self.blocks().len() {
            self.lower_due(block, due_at_ms);
        }
    }

    /// Gives the messages of a turn to `found`; how many it takes. Behind one that it refuses and
    /// that stays nothing is received.
    #[inline(always)]
    fn give_out(
        &self,
        first: Hold,
        mut behind: &[Hold],
        owner: u32,
        found: &mut impl FnMut(Hold) -> bool,
    ) -> usize {
        let (mut hold, mut counted) = (first, 0);
        loop {
            if found(hold) {
                counted += 1;
            } else if self.stays(&hold, behind, owner) {
                return counted;
            }
            let Some((next, rest)) = behind.split_first() else {
                return counted;
            };
            (hold, behind) = (*next, rest);
        }
    }

    /// Whether a message that was refused stays where it is; then those behind it are given back.
    #[cold]
    #[inline(never)]
    fn stays(&self, refused: &Hold, behind: &[Hold], owner: u32) -> bool {
        let stays = self.current(refused).is_some();
        if stays {
            behind.iter().for_each(|hold| self.give_back(hold, owner));
        }
        stays
    }

    /// Whether a hold is as it was.
    fn stands(&self, hold: &Hold) -> bool {
        // ORDERING: SeqCst; [turn-seen]. Pins of former readers come and go.
        let word = Word(self.words()[hold.index as usize].load(Ordering::SeqCst));
        word.with_pins(0) == hold.word.with_pins(0)
    }

    /// One turn at a group, if it is free.
    pub fn take_turn(&self, group: usize, turn: &Turn, max: usize) -> Vec<Hold, TURN_MAX> {
        let (mut behind, mut block) = (Vec::new(), usize::MAX);
        let first = self.take_turn_of(group, turn, max, &mut behind, &mut block);
        self.lower_held(block, turn.due_at_ms);
        first.into_iter().chain(behind).collect()
    }

    /// The same: the hold of the oldest; puts those of the messages behind it into `behind`, which
    /// is empty. The bounds over `block`, in which it has held the last one, are the caller's to
    /// lower.
    #[inline(always)]
    fn take_turn_of(
        &self,
        group: usize,
        turn: &Turn,
        max: usize,
        behind: &mut Vec<Hold, TURN_MAX>,
        block: &mut usize,
    ) -> Option<Hold> {
        let entry = self.groups().elements.get(group)?; // none is damage
        let oldest = match self.plain_member(&entry.first) {
            Some((spot, word)) if word.phase() == Phase::Ready => {
                store_load_after_rmw();
                // ORDERING: SeqCst; [turn-seen] read after the oldest was made ready.
                match entry.wide.load(Ordering::SeqCst) & 1 {
                    0 => Some((spot, word)),
                    _ => self.seek_oldest(group, entry, turn),
                }
            }
            _ => self.seek_oldest(group, entry, turn),
        };
        let (spot, word) = oldest?;
        let first = self.hold_spot(&spot, word, turn, block)?;
        let next = NextWord(spot.link.next.load(Ordering::SeqCst));
        let more = max > 1 && matches!(next.next(), Next::Slot(_));
        (!more || self.hold_more(group, &first, turn, max - 1, behind, block)).then_some(first)
    }

    /// Steps 1 and 2, in whichever case: the oldest message if it may be held.
    #[inline(never)]
    fn seek_oldest(&self, group: usize, entry: &Group, turn: &Turn) -> Option<(Spot<'_>, Word)> {
        let Oldest::Ready(mut oldest) = self.oldest_ready(group, turn) else {
            return None;
        };
        store_load_after_rmw();
        // ORDERING: SeqCst; [turn-seen] read after the oldest was made ready.
        let wide = entry.wide.load(Ordering::SeqCst);
        if wide & 1 != 0 {
            oldest = self.ready_again(group, &oldest, turn)?;
            if self.is_in_flight_after(group, &oldest, turn) || !self.narrow(entry, wide) {
                return None; // another one's turn
            }
            oldest = self.ready_again(group, &oldest, turn)?;
        }
        Some((self.spot(oldest.slot)?, oldest.word))
    }

    /// The oldest message once more, if it is the same and ready.
    fn ready_again(&self, group: usize, oldest: &Member, turn: &Turn) -> Option<Member> {
        match self.oldest_ready(group, turn) {
            Oldest::Ready(again) if again.slot == oldest.slot => Some(again),
            _ => None,
        }
    }

    /// Says that no message behind the oldest is in flight. `wide` was read, then the oldest was
    /// found ready, or no message at all, and then those behind it were looked at. A turn that has
    /// held the oldest since has made the group wide anew, or will.
    pub(super) fn narrow(&self, entry: &Group, wide: u64) -> bool {
        let narrow = ((wide >> 1) + 1) << 1;
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        let narrowed = entry.wide.compare_exchange(wide, narrow, done, failed);
        narrowed.is_ok()
    }

    /// Receives a message whose word is still `seen`, which is ready. The bounds over `block` are
    /// lowered when it becomes another one.
    #[inline(always)]
    fn hold_spot(
        &self,
        spot: &Spot<'_>,
        seen: Word,
        turn: &Turn,
        block: &mut usize,
    ) -> Option<Hold> {
        let how = (turn.owner, turn.borrowed, turn.due_at_ms);
        let hold = hold_word(spot.word, spot.note, spot.slot, seen, how)?;
        let at = spot.slot / BLOCK_SLOTS;
        if *block != at {
            self.lower_held(*block, turn.due_at_ms);
            *block = at;
        }
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

    /// Step 4: up to `max` messages after the oldest, which this turn holds. `false`: it is over.
    #[inline(never)]
    fn hold_more(
        &self,
        group: usize,
        first: &Hold,
        turn: &Turn,
        max: usize,
        behind: &mut Vec<Hold, TURN_MAX>,
        block: &mut usize,
    ) -> bool {
        self.widen(group);
        let mut at = first.index as usize;
        while behind.len() < max {
            let Some((spot, word)) = self.member_behind(group, at, turn) else {
                break;
            };
            if word.phase() != Phase::Ready {
                break;
            }
            let Some(hold) = self.hold_spot(&spot, word, turn, block) else {
                break;
            };
            let _ = behind.push(hold);
            at = spot.slot;
        }
        store_load_after_rmw();
        let stands = self.stands(first);
        if !stands {
            for hold in core::iter::once(first).chain(behind.iter()) {
                self.give_back(hold, turn.owner);
            }
            behind.clear();
            self.offer(group, turn.now_ms, turn.owner);
        }
        stands
    }

    /// The message behind another one of its group.
    #[inline(always)]
    fn member_behind(&self, group: usize, slot: usize, turn: &Turn) -> Option<(Spot<'_>, Word)> {
        let arrow = &self.links().get(slot)?.next;
        match self.plain_member(arrow) {
            Some((spot, word)) if !word.is_tombstone() => Some((spot, word)),
            _ if NextWord(arrow.load(Ordering::SeqCst)).next() == Next::End => None,
            _ => {
                let entry = self.groups().elements.get(group)?;
                let member = self.member_after(entry, Some(slot), turn.owner)?;
                Some((self.spot(member.slot)?, member.word))
            }
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
    pub(super) fn is_over(&self, member: &Member, now_ms: u64) -> bool {
        self.is_held_over(member.slot, member.word, now_ms)
    }

    /// Whether a held message is one that nobody has received yet: it is delayed, and locks nothing
    /// but what is behind it. One that is received meanwhile has another word.
    pub(super) fn is_delayed(&self, member: &Member) -> bool {
        let stamp = self.notes()[member.slot].stamp.load(Ordering::Relaxed);
        member.word.generation() == stamp_generation(stamp)
    }

    /// Whether a member behind which none was found is the last of its list still, but for a
    /// tombstone that has to stay there. Else it was taken out meanwhile.
    pub(super) fn is_last(&self, member: &Member) -> bool {
        let Some(link) = self.links().get(member.slot) else {
            return true; // damage, as below
        };
        let arrow = NextWord(link.next.load(Ordering::SeqCst));
        let behind = match arrow.next() {
            Next::End => return !arrow.is_frozen(),
            Next::Closed => return false,
            Next::Slot(behind) => behind,
        };
        let Some(spot) = self.spot(behind) else {
            return true;
        };
        let next = NextWord(spot.link.next.load(Ordering::SeqCst));
        let word = Word(spot.word.load(Ordering::SeqCst));
        let stands = link.next.load(Ordering::SeqCst) == arrow.0 && !arrow.is_frozen();
        stands && word.is_tombstone() && next.next() == Next::End
    }

    /// Step 2: whether one of the messages behind the oldest is in flight. Those whose time is over
    /// are made ready.
    fn is_in_flight_after(&self, group: usize, oldest: &Member, turn: &Turn) -> bool {
        let mut at = *oldest;
        for _ in 1..TURN_MAX {
            let Some(next) = self.next_member(group, &at, turn.owner) else {
                if !self.is_last(&at) {
                    return true; // it was dropped meanwhile: look another time
                }
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
}
