//! Free groups: those that can be received from, and their tickets.
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
//! One who died between its change and its ticket leaves a group that is free and has no ticket:
//! [`mend_tickets`](Store::mend_tickets) issues one. Tickets that were not counted are there.

use super::layout::{Group, Next};
use super::list::Member;
use super::turn::TURN_MAX;
use crate::region::arena::stamp_sent_ms;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::ring::tickets::Tickets;
use crate::sync::{Ordering, store_load_after_rmw};
use core::ops::Range;

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

impl Group {
    /// Whether its latest ticket is there and not passed by, as far as it knows; `index`: its own.
    #[inline(always)]
    fn has_ticket(&self, tickets: &Tickets<'_>, index: usize) -> bool {
        // ORDERING: SeqCst; [passed-seen] read after the change that may have made the group free.
        let ticket = self.ticket.load(Ordering::SeqCst);
        tickets.stands(ticket.wrapping_sub(1), index as u32)
    }

    #[inline(always)]
    fn note_ticket(&self, position: u64) {
        // ORDERING: Release; [passed-seen] who reads it finds the ticket pushed. Who reads what
        // stood here before may issue another; of two who issue at once either may stand here.
        self.ticket
            .store(position.wrapping_add(1), Ordering::Release);
    }
}

impl Store<'_> {
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
        let tickets = self.tickets();
        let entry = &self.groups().elements[group];
        if !entry.has_ticket(&tickets, group)
            && let Some(position) = tickets.push(group as u32)
        {
            entry.note_ticket(position);
        }
    }

    /// The same of one who issues several, and counts them at the end: `row` is where the next one
    /// goes.
    #[inline(always)]
    pub(super) fn issue_in_row(&self, (group, entry): (usize, &Group), row: &mut Option<u64>) {
        let tickets = self.tickets();
        if entry.has_ticket(&tickets, group) {
            return;
        }
        let from = row.get_or_insert_with(|| tickets.last_position());
        if let Some(position) = tickets.claim(from, group as u32) {
            entry.note_ticket(position);
        }
    }

    /// Counts the tickets of a row.
    pub(super) fn count_row(&self, row: Option<u64>) {
        if let Some(end) = row {
            self.tickets().count(end);
        }
    }

    /// Whether the time of a held message is over.
    pub(super) fn is_held_over(&self, slot: usize, word: Word, now_ms: u64) -> bool {
        let stamp = self.notes()[slot].stamp.load(Ordering::Relaxed);
        stamp_sent_ms(stamp) + word.due_ms() <= now_ms
    }

    /// Whether a group has messages and none is in flight. If it is wide without need, it is narrow
    /// afterwards: the next receiver need not look.
    pub(super) fn is_free(&self, group: usize, now_ms: u64, owner: u32) -> bool {
        let Some(entry) = self.groups().elements.get(group) else {
            return false;
        };
        // ORDERING: SeqCst; [turn-seen] read before the oldest: see `narrow`.
        let before = entry.wide.load(Ordering::SeqCst);
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
        let wide = entry.wide.load(Ordering::SeqCst);
        if wide & 1 == 0 {
            return true;
        }
        let (mut at, mut ready) = (oldest, oldest.word.phase() == Phase::Ready);
        for _ in 1..TURN_MAX {
            let Some(next) = self.next_member(group, &at, owner) else {
                ready &= self.is_last(&at);
                break;
            };
            let delayed = next.word.phase() == Phase::Held && self.is_delayed(&next);
            if in_flight(&next) && !delayed {
                return false;
            }
            ready &= delayed || next.word.phase() == Phase::Ready;
            at = next;
        }
        if ready && before == wide && self.is_linked(group, &oldest) {
            self.narrow(entry, wide);
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

    /// Issues tickets for the groups that are free and have none: who should have done so has died,
    /// or stands still; or the tickets are damaged.
    pub fn mend_tickets(&self, groups: Range<usize>, now_ms: u64, owner: u32) {
        let tickets = self.tickets();
        tickets.mend();
        let entries = self.groups().elements;
        for (group, entry) in entries
            .iter()
            .enumerate()
            .take(groups.end)
            .skip(groups.start)
        {
            let empty = matches!(entry.first().next(), Next::End | Next::Closed);
            if !empty && !entry.has_ticket(&tickets, group) {
                self.offer(group, now_ms, owner);
            }
        }
    }
}
