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
//! One who receives from several groups takes its turns first, then gives their messages out, and
//! then passes the tickets.
//!
//! A turn takes ten messages at most, and nobody gets others before it is over; so what is in
//! flight is among the ten oldest that are not deleted.
//!
//! # Deaths
//!
//! A dead receiver's holds are returned by repair, whichever of the steps it was in. The tickets
//! that it has looked at and not passed are the next receiver's.

use super::layout::{Group, Link, Next, NextWord};
use super::list::Member;
use crate::region::arena::{Hold, hold_word, stamp_generation};
use crate::region::layout::Note;
use crate::region::store::Store;
use crate::region::word::{GENERATIONS, PIN_CELLS, Phase, Word};
use crate::ring::blocks::BLOCK_SLOTS;
use crate::ring::tickets::Ticket;
use crate::sync::{AtomicU64, Ordering, store_load_after_rmw};
use heapless::Vec;

/// The most messages of one turn.
pub const TURN_MAX: usize = 10;

/// So many tickets are looked at before they are passed.
const ROW_MAX: usize = 16;

/// After so many messages of one group that were refused, a receive leaves the rest to the next.
const REFUSED_MAX: u16 = 64;

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

/// A group that a receive has looked at.
#[derive(Debug, Clone, Copy)]
struct Looked {
    group: u32,
    /// Which of the holds is that of its oldest message; [`NONE`].
    first: u8,
    /// How many messages of its turn were refused.
    of_turn: u8,
    /// How many were refused in all; then the group may be free.
    refused: u16,
}

/// Of a group in which nothing is held.
const NONE: u8 = u8::MAX;

/// What one receive does for several groups: it takes turns at some, gives their messages out,
/// passes their tickets, and at last lowers the bounds over what it holds.
struct Receiving {
    looked: Vec<Looked, ROW_MAX>,
    /// Position of the first of their tickets.
    from: u64,
    /// What the turns hold, group by group.
    holds: Vec<Hold, TURN_MAX>,
    /// The block in which something was held last; none of the queue's if nothing was.
    block: usize,
    /// What a purge had forgotten when it began.
    forgotten: u64,
}

impl Receiving {
    #[inline(always)]
    const fn new(forgotten: u64) -> Self {
        Self {
            forgotten,
            looked: Vec::new(),
            from: 0,
            holds: Vec::new(),
            block: usize::MAX,
        }
    }
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

    /// The message to which an arrow leads, in the common case that there is one which is numbered,
    /// and not forgotten. It may be a tombstone.
    #[inline(always)]
    fn plain_member(&self, arrow: &AtomicU64, forgotten: u64) -> Option<(Spot<'s>, Word)> {
        let seen = NextWord(arrow.load(Ordering::SeqCst));
        let spot = self.spot(seen.plain()?)?;
        let number = spot.link.sequence.load(Ordering::SeqCst);
        let word = Word(spot.word.load(Ordering::SeqCst));
        // ORDERING: SeqCst; still where the arrow leads: then these are its words.
        let stands = arrow.load(Ordering::SeqCst) == seen.0;
        // One that has no number is not greater either: its highest bit is set.
        let kept = number.cast_signed() > forgotten.cast_signed();
        (stands && kept).then_some((spot, word))
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
        let (mut left, mut have) = (self.tickets().len(), 0);
        let mut receiving = Receiving::new(self.forgotten());
        while have < max && left != 0 {
            left = self.take_turns(&mut receiving, turn, (max - have).min(TURN_MAX), left);
            let mut at = 0;
            while let Some(hold) = receiving.holds.get(at) {
                at += 1;
                match found(*hold) {
                    true => have += 1,
                    false => at = self.after_refused(&mut receiving, turn, at),
                }
            }
            self.pass_by(&mut receiving, turn);
        }
        self.lower_held(receiving.block, turn.due_at_ms);
    }

    /// Takes turns at the groups of at most `left` tickets, until `max` messages are held. How many
    /// tickets are left.
    fn take_turns(
        &self,
        receiving: &mut Receiving,
        turn: &Turn,
        max: usize,
        mut left: usize,
    ) -> usize {
        let tickets = self.tickets();
        let mut next = tickets.peek();
        receiving.from = next.map_or(0, |ticket| ticket.position);
        while let Some(Ticket { position, index }) = next {
            left -= 1;
            let first = receiving.holds.len() as u8;
            let taken = self.take_turn_of(index as usize, turn, max, receiving);
            let _ = receiving.looked.push(Looked {
                group: index,
                first: if taken { first } else { NONE },
                of_turn: 0,
                refused: 0,
            });
            if receiving.holds.len() == max || receiving.looked.is_full() || left == 0 {
                return left;
            }
            next = tickets.peek_at(position.wrapping_add(1));
        }
        match receiving.looked.is_empty() {
            true => 0,
            false => left, // others have passed tickets, perhaps
        }
    }

    /// What is given out after the message before `at` was refused. If that stays where it is,
    /// those of its group behind it are given back. If nothing of its turn was given out, and its
    /// messages are gone, then the next is the oldest, and its turn begins.
    #[cold]
    #[inline(never)]
    fn after_refused(&self, receiving: &mut Receiving, turn: &Turn, mut at: usize) -> usize {
        let Receiving { looked, holds, .. } = receiving;
        let its = looked
            .iter_mut()
            .rfind(|looked| usize::from(looked.first) < at);
        let (Some(looked), Some(refused)) = (its, holds.get(at - 1)) else {
            return at;
        };
        let (group, stays) = (refused.group, self.current(refused).is_some());
        looked.of_turn += 1;
        looked.refused += 1;
        while let Some(behind) = holds.get(at)
            && behind.group == group
        {
            if !stays {
                return at;
            }
            self.give_back(behind, turn.owner);
            looked.of_turn += 1;
            looked.refused += 1;
            at += 1;
        }
        let room = usize::from(looked.of_turn);
        if at - usize::from(looked.first) != room || looked.refused >= REFUSED_MAX {
            return at;
        }
        let more = self.take_turn(group as usize, turn, room);
        if !more.is_empty() {
            at -= more.len();
            holds[at..][..more.len()].copy_from_slice(&more);
            (looked.first, looked.of_turn) = (at as u8, 0);
        }
        at
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
            let first = receiving.holds.get(usize::from(looked.first));
            if looked.refused != 0 || at as u64 >= others && !self.still_holds(first) {
                self.offer_cold(looked.group as usize, turn);
            }
        }
        receiving.looked.clear();
        receiving.holds.clear();
    }

    /// Whether a group's oldest message is held as it was.
    #[inline(always)]
    fn still_holds(&self, first: Option<&Hold>) -> bool {
        // ORDERING: SeqCst; [passed-seen]. Pins of former readers come and go.
        first.is_some_and(|first| {
            let word = Word(self.words()[first.index as usize].load(Ordering::SeqCst));
            word.with_pins(0) == first.word.with_pins(0)
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

    /// One turn at a group, if it is free.
    pub fn take_turn(&self, group: usize, turn: &Turn, max: usize) -> Vec<Hold, TURN_MAX> {
        let mut receiving = Receiving::new(self.forgotten());
        self.take_turn_of(group, turn, max.min(TURN_MAX), &mut receiving);
        self.lower_held(receiving.block, turn.due_at_ms);
        receiving.holds
    }

    /// The same, of one who has taken turns at other groups: until it holds `max` messages in all.
    /// Whether it has received something; the bounds over that are the caller's to lower.
    #[inline(always)]
    fn take_turn_of(
        &self,
        group: usize,
        turn: &Turn,
        max: usize,
        receiving: &mut Receiving,
    ) -> bool {
        let Some(entry) = self.groups().elements.get(group) else {
            return false; // damage
        };
        if let Some((spot, word)) = self.plain_member(&entry.first, receiving.forgotten)
            && word.phase() == Phase::Ready
        {
            store_load_after_rmw();
            // ORDERING: SeqCst; [turn-seen] read after the oldest was made ready.
            if entry.wide.load(Ordering::SeqCst) & 1 == 0 {
                return self.hold_turn(group, (&spot, word), turn, max, receiving);
            }
        }
        self.seek_turn((group, entry), turn, max, receiving)
    }

    /// Steps 1 to 4, in whichever case.
    #[inline(never)]
    fn seek_turn(
        &self,
        (group, entry): (usize, &Group),
        turn: &Turn,
        max: usize,
        receiving: &mut Receiving,
    ) -> bool {
        match self.seek_oldest(group, entry, turn) {
            Some((spot, word)) => self.hold_turn(group, (&spot, word), turn, max, receiving),
            None => false,
        }
    }

    /// Steps 3 and 4.
    #[inline(always)]
    fn hold_turn(
        &self,
        group: usize,
        (spot, word): (&Spot<'_>, Word),
        turn: &Turn,
        max: usize,
        receiving: &mut Receiving,
    ) -> bool {
        if !self.hold_spot(spot, word, group, turn, receiving) {
            return false;
        }
        let next = NextWord(spot.link.next.load(Ordering::SeqCst));
        let more = receiving.holds.len() < max && matches!(next.next(), Next::Slot(_));
        !more || self.hold_more(group, turn, max, receiving)
    }

    /// Steps 1 and 2: the oldest message if it may be held.
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

    /// Receives a message whose word is still `seen`, which is ready: whether it did. The bounds
    /// over the block are lowered when it becomes another one.
    #[inline(always)]
    fn hold_spot(
        &self,
        spot: &Spot<'_>,
        seen: Word,
        group: usize,
        turn: &Turn,
        receiving: &mut Receiving,
    ) -> bool {
        let how = (turn.owner, turn.borrowed, turn.due_at_ms);
        let hold = hold_word(spot.word, spot.note, spot.slot, seen, how, group as u32);
        let Some(hold) = hold else {
            return false;
        };
        let _ = receiving.holds.push(hold);
        let at = spot.slot / BLOCK_SLOTS;
        if receiving.block != at {
            self.lower_held(receiving.block, turn.due_at_ms);
            receiving.block = at;
        }
        true
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

    /// Step 4, after a hold of the oldest, until `max` messages are held: whether the turn stands.
    #[inline(never)]
    fn hold_more(&self, group: usize, turn: &Turn, max: usize, receiving: &mut Receiving) -> bool {
        let before = receiving.holds.len() - 1;
        let first = receiving.holds[before];
        self.widen(group);
        let mut at = first.index as usize;
        while receiving.holds.len() < max {
            let forgotten = receiving.forgotten;
            let Some((spot, word)) = self.member_behind(group, at, turn, forgotten) else {
                break;
            };
            if word.phase() != Phase::Ready || !self.hold_spot(&spot, word, group, turn, receiving)
            {
                break;
            }
            at = spot.slot;
        }
        store_load_after_rmw();
        let stands = self.still_holds(Some(&first));
        if !stands {
            for hold in &receiving.holds[before..] {
                self.give_back(hold, turn.owner);
            }
            receiving.holds.truncate(before);
            self.offer(group, turn.now_ms, turn.owner);
        }
        stands
    }

    /// The message behind another one of its group.
    #[inline(always)]
    fn member_behind(
        &self,
        group: usize,
        slot: usize,
        turn: &Turn,
        forgotten: u64,
    ) -> Option<(Spot<'_>, Word)> {
        let arrow = &self.links().get(slot)?.next;
        match self.plain_member(arrow, forgotten) {
            Some((spot, word)) if !word.is_tombstone() => Some((spot, word)),
            _ if NextWord(arrow.load(Ordering::SeqCst)).next() == Next::End => None,
            _ => {
                let entry = self.groups().elements.get(group)?;
                let member = self.member_after(entry, Some(slot), turn.owner)?;
                if !self.is_to_be_had(member.sequence) {
                    return None; // the next turn drops it
                }
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
            let Some(oldest) = self.oldest_kept(group, turn.owner) else {
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
