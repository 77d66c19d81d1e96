//! Helping with a send: what others do for a sender that stands still, or is dead.
//!
//! The steps of a send are those of [`send`](super::send). A message that is linked and not sealed
//! is completed by whoever meets it in its list.
//!
//! # Protocol
//!
//! A second sender of the id that finds the entry coming needs the first one's message sealed. If
//! it is linked, he completes it. If not, only its sender may link it, and that may do so at any
//! moment; so he first takes that away from it:
//!
//! - he makes the claim a *helped* one, his own. A sender looks whether its claim stands after it
//!   has read the end of the list, and links only then;
//! - he *stirs* that end: its word changes, so a sender that has read it before links nothing,
//!   `[helped-seen]`;
//! - he walks the list. If the message is in it, it was linked before, and he completes it;
//! - else, if the claim is still the helped one, it was not sealed meanwhile, so it was in no list.
//!   He takes its number away, if that is the one by which he has walked, and else begins again:
//!   its sequence word is `{ unordered, generation }`, and from here on anybody may link it;
//! - he seals it, and puts it in order: it is linked, and then gets a new number, and its id with
//!   it (`list`).
//!
//! A sender that finds itself helped, or no place at the end, goes the same way from where it is.
//! Each step is one compare-exchange that says what it expects, so they may be done twice, side by
//! side, and by who comes late.
//!
//! # Deaths
//!
//! A dead helper leaves a helped claim, which its owner is still answerable for, or a message that
//! is sealed in no order. Another second sender goes on from there, and so does the sender, and
//! repair.

use super::layout::{Next, NextWord, UNORDERED};
use super::list::End;
use super::send::sealed;
use crate::region::arena::{stamp_generation, stamp_sent_ms};
use crate::region::policy::DELAY_MS;
use crate::region::store::Store;
use crate::region::word::Word;
use crate::ring::blocks::BLOCK_SLOTS;
use crate::sync::Ordering;

impl Store<'_> {
    /// The word of a message that is not sealed.
    pub(super) fn unsealed(&self, index: usize, stamp: u64) -> Option<Word> {
        // ORDERING: SeqCst; [helped-seen], and the stamp is no older.
        let seen = Word(self.words()[index].load(Ordering::SeqCst));
        let same = seen.is_coming_as(stamp_generation(stamp))
            && self.notes()[index].stamp.load(Ordering::Relaxed) == stamp;
        same.then_some(seen)
    }

    /// Whether a message is not sealed.
    pub(super) fn is_unsealed(&self, index: usize, stamp: u64) -> bool {
        self.unsealed(index, stamp).is_some()
    }

    /// Seals a message that another one is about to send: in order, if it is linked, or to be put
    /// in order. `false`: its group's list is damaged.
    pub(super) fn help(&self, index: usize, stamp: u64, owner: u32) -> bool {
        let (word, link) = (&self.words()[index], &self.links()[index]);
        while let Some(seen) = self.unsealed(index, stamp) {
            if !seen.is_helped() {
                let helped = seen.helped_by(owner);
                let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
                // ORDERING: SeqCst; [helped-seen] before the end of the list is read.
                let _ = word.compare_exchange(seen.0, helped.0, done, failed);
                continue;
            }
            let number = link.number();
            let key = [0, 1].map(|half| link.key[half].load(Ordering::Acquire));
            // ORDERING: SeqCst; the number and the key are this message's if the word is.
            if word.load(Ordering::SeqCst) != seen.0 {
                continue;
            }
            if number & UNORDERED == 0 {
                if !self.stir_end(key, owner) {
                    return false;
                }
                if self.is_in_list(index, key, number) {
                    self.complete_and_offer(index, seen, owner);
                    continue;
                }
                // ORDERING: SeqCst; not sealed while the list was walked, so it had not left it.
                if word.load(Ordering::SeqCst) != seen.0 {
                    continue;
                }
                let unordered = UNORDERED | stamp_generation(stamp);
                let (done, failed) = (Ordering::SeqCst, Ordering::Relaxed);
                // ORDERING: SeqCst; [linked-once] before it is sealed.
                let taken = link
                    .sequence
                    .compare_exchange(number, unordered, done, failed);
                if taken.is_err() {
                    continue; // it has a later number, under which it may be in the list
                }
            }
            self.seal_for(index, seen, stamp);
        }
        true
    }

    /// Seals the message with this stamp for its sender, if its word is still `seen`.
    fn seal_for(&self, index: usize, seen: Word, stamp: u64) {
        let delay_ms = self.head().policy.get(DELAY_MS);
        let sealed = sealed(stamp_generation(stamp), delay_ms);
        if self.seal_seen((index, &self.words()[index]), seen, sealed) && delay_ms != 0 {
            self.lower_due(index / BLOCK_SLOTS, stamp_sent_ms(stamp) + delay_ms);
        }
    }

    /// Changes the version of the last arrow of a group's list, or sees that it has changed, or
    /// that there is no list: whoever has read it before links nothing there. `false`: the list is
    /// damaged.
    fn stir_end(&self, key: [u64; 2], owner: u32) -> bool {
        loop {
            let Some(index) = self.group_of(key, owner) else {
                return true; // that which the sender has read was closed
            };
            let group = &self.groups().elements[index];
            let first = group.first();
            if !group.is(key) {
                continue;
            }
            let (place, seen) = match first.next() {
                Next::Closed => continue,
                Next::End => (&group.first, first),
                Next::Slot(_) => match self.find_end(group, first, owner) {
                    End::At(at, seen) => (&self.links()[at].next, seen),
                    End::Changed => continue,
                    End::Damaged => return false,
                },
            };
            // ORDERING: SeqCst, as each change of an arrow; [helped-seen].
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = place.compare_exchange(seen.0, seen.then(Next::End).0, done, failed);
            return true;
        }
    }

    /// Steps 3 and 4 for a linked message whose word was seen, which is coming: by whoever meets it
    /// in its list. `false`: it changes nothing, since its memory is damaged.
    pub(super) fn complete(&self, index: usize, seen: Word) -> bool {
        let link = &self.links()[index];
        let (number, entry) = (link.number(), link.id.load(Ordering::Acquire));
        let stamp = self.notes()[index].stamp.load(Ordering::Acquire);
        // ORDERING: SeqCst; all of it is this message's if the word is.
        if self.words()[index].load(Ordering::SeqCst) != seen.0 {
            return true;
        }
        let sound = number & UNORDERED == 0 && seen.is_coming_as(stamp_generation(stamp));
        if !sound {
            return false;
        }
        self.ids_table().accept(entry, index as u32, stamp, number);
        self.seal_for(index, seen, stamp);
        true
    }

    /// The same, for a sender that may not come to issue a ticket.
    fn complete_and_offer(&self, index: usize, seen: Word, owner: u32) {
        self.complete(index, seen);
        if let Some(group) = self.group_at(index) {
            self.offer(group, self.latest_ms(), owner);
        }
    }

    /// What a repair does with the claim of a dead owner: completes the message if it is linked, or
    /// if others were at it. `false`: it is a claim, to be freed.
    pub(in crate::region) fn complete_theirs(&self, index: usize, seen: Word, owner: u32) -> bool {
        let Some(link) = self.links().get(index) else {
            return false;
        };
        let number = link.number();
        let stamp = self.notes()[index].stamp.load(Ordering::Acquire);
        let key = [0, 1].map(|half| link.key[half].load(Ordering::Acquire));
        if !seen.is_coming_as(stamp_generation(stamp)) {
            return false; // it came to no head
        }
        let linked = number & UNORDERED == 0 && self.is_in_list(index, key, number);
        if linked {
            self.complete_and_offer(index, seen, owner);
        } else if seen.is_helped() {
            self.help(index, stamp, owner);
        }
        linked || seen.is_helped()
    }

    /// Whether a slot is in the list of its group: a walk up to its sequence number.
    pub(super) fn is_in_list(&self, slot: usize, key: [u64; 2], sequence: u64) -> bool {
        'again: loop {
            let Some(index) = self.find_group(key) else {
                return false;
            };
            let group = &self.groups().elements[index];
            let (mut before, mut seen) = (None, group.first());
            // The last arrow that is not frozen: while it stands, so does what is frozen behind it.
            let mut sure = (before, seen);
            for _ in 0..=self.links().len() {
                let Next::Slot(at) = seen.next() else {
                    return false;
                };
                let Some(link) = self.links().get(at) else {
                    return false;
                };
                let (next, number) = (link.next(), link.number());
                let stands = |(before, seen): (Option<usize>, NextWord)| {
                    self.arrow(group, before).load(Ordering::SeqCst) == seen.0
                };
                if !stands((before, seen)) || !stands(sure) || !group.is(key) {
                    continue 'again;
                }
                if at == slot {
                    return true;
                }
                if number & UNORDERED == 0 && number > sequence {
                    return false;
                }
                (before, seen) = (Some(at), next);
                if !next.is_frozen() {
                    sure = (before, seen);
                }
            }
            return false;
        }
    }
}
