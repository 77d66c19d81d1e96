//! Whether the messages of each group came in order.
//!
//! Two orders are checked, and a message that breaks either counts once. By the queue's own
//! sequence numbers: what has the smaller one is delivered first, in each group. And by the
//! senders' word, which the queue does not know: of one producer and its successors, what was sent
//! first.
//!
//! Journals are read one after the other, so deliveries are not heard of in their order. Each has
//! its time, taken before anything of the batch is deleted, hence before anybody else can receive
//! further messages of the group: in a group, times grow as deliveries follow each other. So the
//! latest deliveries of a group are kept by their place in it, and each new one has to fit, by its
//! time, between its neighbours. What is not the first delivery of its message changes nothing.

use std::collections::{HashMap, VecDeque};

use super::wire::Place;

/// Deliveries that are kept of each group. Of one that is heard of later than so many others it is
/// only checked whether it was before all of them.
const KEPT: usize = 64;

/// A place in a group: a number that grows, maybe after a greater one.
type At = (u64, u64);
/// When a message was delivered: a time, and where in its batch.
type When = (u64, usize);

/// The latest first deliveries of a group, by their places.
#[derive(Debug, Default)]
struct Line {
    latest: VecDeque<(At, When)>,
    /// Whether something was left out at the front.
    is_cut: bool,
}

impl Line {
    /// Takes up a delivery. Returns whether it is in order.
    fn take(&mut self, at: At, when: When) -> bool {
        let index = self.latest.partition_point(|&(other, _)| other < at);
        if let Some(known) = self.latest.get_mut(index)
            && known.0 == at
        {
            known.1 = known.1.min(when);
            return true;
        }
        let before = index.checked_sub(1).map(|before| self.latest[before].1);
        let after = self.latest.get(index).map(|after| after.1);
        if before.is_some_and(|before| before > when) || after.is_some_and(|after| after < when) {
            return false;
        }
        if index == 0 && self.is_cut {
            return true;
        }
        self.latest.insert(index, (at, when));
        if self.latest.len() > KEPT {
            self.latest.pop_front();
            self.is_cut = true;
        }
        true
    }
}

/// What is known of the order of all groups.
#[derive(Debug, Default)]
pub(super) struct Order {
    by_queue: HashMap<u64, Line>,
    by_producer: HashMap<(u64, u32), Line>,
    /// First deliveries that were out of order.
    pub(super) reordered: u64,
}

impl Order {
    /// Takes up a batch that was received at this time.
    pub(super) fn note(&mut self, at_ns: u64, places: &[Place]) {
        for (index, place) in places.iter().enumerate() {
            let (group, author, when) = (place.group, place.author, (at_ns, index));
            let line = self.by_queue.entry(group).or_default();
            let by_queue = line.take((0, place.sequence), when);
            let line = self.by_producer.entry((group, author.producer));
            let at = (u64::from(author.incarnation), place.seq);
            let by_producer = line.or_default().take(at, when);
            self.reordered += u64::from(!(by_queue && by_producer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Author;
    use super::*;

    fn place(group: u64, sequence: u64, incarnation: u32, seq: u64) -> Place {
        let author = Author {
            producer: 0,
            incarnation,
        };
        Place {
            group,
            sequence,
            author,
            seq,
        }
    }

    fn reordered(batches: &[(u64, &[Place])]) -> u64 {
        let mut order = Order::default();
        for (at_ns, places) in batches {
            order.note(*at_ns, places);
        }
        order.reordered
    }

    #[test]
    fn journals_may_be_read_in_any_order() {
        let batches = [
            (30, &[place(1, 3, 0, 2), place(2, 9, 0, 0)][..]),
            (10, &[place(1, 1, 0, 0)]),
            (20, &[place(1, 2, 0, 1)]),
        ];
        assert_eq!(reordered(&batches), 0);
    }

    #[test]
    fn what_is_out_of_order_is_found() {
        let by_queue = [(10, &[place(1, 2, 0, 0)][..]), (20, &[place(1, 1, 0, 1)])];
        assert_eq!(reordered(&by_queue), 1);
        let by_producer = [(10, &[place(1, 1, 1, 0)][..]), (20, &[place(1, 2, 0, 7)])];
        assert_eq!(reordered(&by_producer), 1);
        let in_a_batch = [(10, &[place(1, 2, 0, 2), place(1, 1, 0, 1)][..])];
        assert_eq!(reordered(&in_a_batch), 1);
        let of_two_groups = [(10, &[place(1, 2, 0, 2), place(2, 1, 0, 1)][..])];
        assert_eq!(reordered(&of_two_groups), 0);
    }

    #[test]
    fn only_first_deliveries_count() {
        let batches = [
            (10, &[place(1, 1, 0, 0), place(1, 2, 0, 1)][..]),
            (20, &[place(1, 1, 0, 0), place(1, 2, 0, 1)]),
            (30, &[place(1, 3, 0, 2)]),
        ];
        assert_eq!(reordered(&batches), 0);
    }

    #[test]
    fn what_is_heard_of_very_late_is_checked_as_well() {
        let mut order = Order::default();
        for number in 1..=2 * KEPT as u64 {
            order.note(number, &[place(1, number, 0, number)]);
        }
        assert_eq!(order.by_queue[&1].latest.len(), KEPT);
        order.note(0, &[place(1, 0, 0, 0)]);
        assert_eq!(order.reordered, 0);
        order.note(9 * KEPT as u64, &[place(1, 0, 0, 0)]);
        assert_eq!(order.reordered, 1);
    }
}
