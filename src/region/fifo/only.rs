//! The delete of a message that is its group's only one: it is taken out at once, with three
//! exchanges and a store.
//!
//! # Protocol
//!
//! The deleter
//!
//! 1. reads the message's arrow and the group's own: nothing follows, and the group's leads to it.
//!    Then it may be the only one;
//! 2. makes it a tombstone that *names its deleter*: it is deleted;
//! 3. closes its arrow, if that is still what it was;
//! 4. turns the group's own arrow to End, if that is still what it was: the group is empty;
//! 5. frees the slot, by a store.
//!
//! If 3 and 4 succeed, both arrows stood since they were read, so the message was in the list all
//! that time, with nothing before it and nothing behind it, `[only-closed]`. It was the deleter's
//! until 2, so the slot was no other message's. If one of them fails, the deleter *gives its name
//! up*, by a compare-exchange, and goes on as in [`settle`](super::settle) from whatever the list
//! has come to.
//!
//! # Who frees it
//!
//! ```text
//!              2                      5, by its deleter
//!   Held ----------> named tombstone --------------------> Free
//!                        |      \                            ^ ^
//!      its name goes: 3  |       \  who has won the arrow    | |
//!   or 4 failed, or its  |        +--------------------------+ |
//!      deleter has died  v                                     |
//!                    tombstone --------------------------------+
//!                                   who has won the arrow, or mending when it is in no list
//! ```
//!
//! One arrow leads to a tombstone, and one wins it. While the word names a living deleter, nobody
//! changes it but who has won that arrow, `[freed-by-namer]`. So a deleter that has won it is
//! alone, and need not ask what the word is; one that has not won changes it by compare-exchange
//! only. Let D be the deleter, H one who walks the list, M one who mends, beside living ones.
//!
//! - H turns the group's arrow before D does: D fails at 3 or 4. H frees the slot whether the name
//!   is still there or not; D's exchange of the name comes before that, or fails.
//! - H stops, or dies, between winning the arrow and freeing. D has given its name up, so M finds a
//!   tombstone in no list that names nobody, and frees it. H, if it goes on, finds it freed: the
//!   words of two messages of a slot differ.
//! - M finds the tombstone in no list, and D is about to store. The word names D, so M leaves it.
//!   The twin frees it: the slot is sent into, and D's store takes that message away.
//! - D stands still before 5: the slot is free when it goes on. Before 4: H, or M as one who walks,
//!   takes it out.
//!
//! # Deaths
//!
//! Repair makes the dead one's tombstones name nobody ([`unname`](Store::unname)), before the index
//! of the dead is given out again. In the list, they are then tombstones as any others; out of it,
//! mending frees them. Nobody stores to them any more, and H, who may be about to free one, frees
//! it all the same.

use super::layout::{Group, Next, NextWord};
use super::settle::Settling;
use super::turn::Spot;
use crate::region::arena::Hold;
use crate::region::store::Store;
use crate::region::word::Word;
use crate::sync::{Ordering, store_load_after_rmw};

/// A held message that is about to be deleted.
pub(super) struct Held<'s> {
    /// Its group's entry.
    entry: &'s Group,
    spot: Spot<'s>,
    /// Its arrow, and the group's own.
    next: NextWord,
    first: NextWord,
}

impl<'s> Settling<'s> {
    /// Deletes a message that is as its receive has left it: `None` if it is not. What others do
    /// `between` its word and the rest is for models.
    #[inline(always)]
    pub(super) fn delete_held(
        &mut self,
        hold: &Hold,
        run: usize,
        between: impl FnOnce(),
    ) -> Option<()> {
        let held = self.look_at_held(hold)?;
        let tombstone = Word::tombstone(hold.word.generation(), 0, run as u64);
        if self.may_be_only(&held) {
            let named = tombstone.named_by(self.owner);
            self.entomb_held(hold, &held, named)?;
            between();
            if self.take_out_only(&held, named, run) {
                return Some(());
            }
        } else {
            self.entomb_held(hold, &held, tombstone)?;
            between();
        }
        // It has been in the list of that entry since it was received.
        self.leave(hold.group as usize);
        Some(())
    }

    /// Step 1, if nobody is known to be at the message.
    #[inline(always)]
    fn look_at_held(&self, hold: &Hold) -> Option<Held<'s>> {
        if hold.word.pins() != 0 || hold.due_ms() <= self.now_ms {
            return None;
        }
        let spot = self.store.spot(hold.index as usize)?;
        let entry = self.store.groups().elements.get(hold.group as usize)?;
        let same = spot.note.stamp.load(Ordering::Relaxed) == hold.stamp;
        // ORDERING: SeqCst, both; [only-closed] read before the word is changed.
        let next = NextWord(spot.link.next.load(Ordering::SeqCst));
        let first = NextWord(entry.first.load(Ordering::SeqCst));
        same.then_some(Held {
            entry,
            spot,
            next,
            first,
        })
    }

    /// Makes it a tombstone, if the word is as the receive has left it.
    #[inline(always)]
    fn entomb_held(&self, hold: &Hold, held: &Held<'_>, tombstone: Word) -> Option<()> {
        let (slot, word) = (held.spot.slot, held.spot.word);
        let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
        #[cfg(feature = "mapped")]
        self.store.mark_id(slot);
        // ORDERING: SeqCst; as in `entomb`.
        let won = word.compare_exchange(hold.word.0, tombstone.0, done, failed);
        won.ok()?;
        #[cfg(feature = "mapped")]
        self.store.mark(slot);
        #[cfg(not(feature = "mapped"))]
        let _ = slot;
        Some(())
    }

    /// Whether it may be the only one.
    #[inline(always)]
    fn may_be_only(&self, held: &Held<'_>) -> bool {
        let leads_to_it = held.first.plain() == Some(held.spot.slot);
        held.next.is_open() && leads_to_it && Word::can_be_named(self.owner)
    }

    /// Steps 3 to 5: whether it was the only one.
    #[inline(always)]
    fn take_out_only(&mut self, held: &Held<'_>, named: Word, run: usize) -> bool {
        let Held {
            entry,
            spot,
            next,
            first,
        } = held;
        store_load_after_rmw();
        // ORDERING: SeqCst; [narrow-seen] read before the group is found empty.
        let wide = entry.wide.load(Ordering::SeqCst);
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let (closed, empty) = (next.then_closed().0, first.then(Next::End).0);
        let (place, own) = (&spot.link.next, &entry.first);
        // ORDERING: SeqCst; [only-closed] nothing is appended behind it from here on.
        if place.compare_exchange(next.0, closed, done, failed).is_err()
            // ORDERING: SeqCst; who wins this frees the place.
            || own.compare_exchange(first.0, empty, done, failed).is_err()
        {
            self.give_name_up(spot.slot, named);
            return false;
        }
        match run {
            1 => self.free_own(spot, named),
            _ => self.free_own_run(spot.slot, named),
        }
        if wide & 1 != 0 {
            self.narrow(entry, wide);
        }
        true
    }

    /// Step 5.
    #[inline(always)]
    fn free_own(&mut self, spot: &Spot<'_>, tombstone: Word) {
        let free = Word::free(tombstone.generation() + 1);
        // ORDERING: Release; [slot-freed], [freed-by-namer] nobody else changes this word.
        spot.word.store(free.0, Ordering::Release);
        self.note_free(spot.slot);
    }

    /// The same of several slots: first it is a claim as any other.
    #[cold]
    #[inline(never)]
    fn free_own_run(&self, slot: usize, tombstone: Word) {
        let run = tombstone.tombstone_run();
        let claim = Word::claimed(self.owner, tombstone.generation(), run);
        // ORDERING: Release; [slot-freed], [freed-by-namer] as above.
        self.store.words()[slot].store(claim.0, Ordering::Release);
        self.store.free_claimed(slot, run as usize);
        self.store.put_free(slot, run as usize);
    }

    /// Another one is at it as well.
    #[cold]
    #[inline(never)]
    fn give_name_up(&self, slot: usize, tombstone: Word) {
        // ORDERING: Release; [freed-by-namer]. It fails if the slot has been freed.
        let (done, failed) = (Ordering::Release, Ordering::Relaxed);
        let (word, nameless) = (&self.store.words()[slot], tombstone.nameless());
        let _ = word.compare_exchange(tombstone.0, nameless.0, done, failed);
    }

    #[cold]
    #[inline(never)]
    fn narrow(&self, entry: &Group, wide: u64) {
        self.store.narrow(entry, wide);
    }
}

impl Store<'_> {
    /// Takes the name of a dead deleter from the tombstone in a slot, if that is still `named`.
    pub(in crate::region) fn unname(&self, index: usize, named: Word) {
        let nameless = named.nameless().0;
        // ORDERING: AcqRel; [freed-by-namer] on behalf of the dead.
        let (done, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        let _ = self.words()[index].compare_exchange(named.0, nameless, done, failed);
    }

    /// [`delete_in_turn`](Self::delete_in_turn) in the common case, with what others do `between`
    /// its first steps and the next.
    #[cfg(ringmain_loom)]
    pub fn delete_around(&self, hold: &Hold, owner: u32, between: &dyn Fn()) {
        let mut settling = Settling::new(*self, 0, owner);
        let deleted = settling.delete_held(hold, 1, between);
        assert!(deleted.is_some(), "it is held");
        settling.finish();
    }

    /// The steps of one who dies when it deletes a message that may be the only one of its group: 0
    /// with the tombstone named, 1 its arrow closed, 2 out of the list and not freed.
    #[cfg(ringmain_loom)]
    pub fn die_deleting_only(&self, hold: &Hold, owner: u32, steps: usize) {
        let settling = Settling::new(*self, 0, owner);
        let held = settling.look_at_held(hold).expect("it is held");
        let tombstone = Word::tombstone(hold.word.generation(), 0, 1);
        if !settling.may_be_only(&held) {
            let entombed = settling.entomb_held(hold, &held, tombstone);
            return entombed.expect("it is held");
        }
        let named = tombstone.named_by(owner);
        settling
            .entomb_held(hold, &held, named)
            .expect("it is held");
        let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let (closed, empty) = (held.next.then_closed().0, held.first.then(Next::End).0);
        let (place, own) = (&held.spot.link.next, &held.entry.first);
        let closes = || place.compare_exchange(held.next.0, closed, done, failed);
        if steps > 0 && closes().is_ok() && steps > 1 {
            let _ = own.compare_exchange(held.first.0, empty, done, failed);
        }
    }
}
