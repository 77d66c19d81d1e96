//! Tickets: pushers and consumers that stop, laps over two cells, and what a ticket publishes.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use ringmain::internals::tickets::{Ticket, Tickets};
use ringmain::sync::{AtomicU64, Ordering};

use crate::twin::{check, must_fail};

struct Memory {
    first: AtomicU64,
    last: AtomicU64,
    cells: Vec<AtomicU64>,
    /// What is settled before index 0 is pushed.
    message: UnsafeCell<u32>,
}

// SAFETY: what the models are to find out; loom watches each access.
unsafe impl Sync for Memory {}
// SAFETY: as above.
unsafe impl Send for Memory {}

impl Memory {
    fn new(cells: usize) -> Arc<Self> {
        Arc::new(Self {
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            cells: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            message: UnsafeCell::new(0),
        })
    }

    fn tickets(&self) -> Tickets<'_> {
        Tickets {
            first: &self.first,
            last: &self.last,
            cells: &self.cells,
        }
    }

    /// Passes the first ticket: its index, if this call passed one.
    fn take(&self) -> Option<u32> {
        let ticket = self.tickets().peek()?;
        self.tickets().pass(&ticket).then_some(ticket.index)
    }

    /// Passes what is there, alone.
    fn drain(&self) -> Vec<u32> {
        let row = std::iter::from_fn(|| self.take()).collect();
        assert_eq!((self.tickets().peek(), self.tickets().len()), (None, 0));
        row
    }

    fn cell(&self, position: u64) -> &AtomicU64 {
        &self.cells[position as usize % self.cells.len()]
    }
}

fn word(position: u64, index: u32) -> u64 {
    position << 32 | (u64::from(index) + 1)
}

/// How a pusher goes about it: whether it pushed.
type Push = fn(&Memory, u32) -> bool;

fn sound(memory: &Memory, index: u32) -> bool {
    memory.tickets().push(index).is_some()
}

/// Two pushers, of which one pushes two, beside a consumer, in four cells.
#[test]
fn the_order_of_each_pusher_is_kept() {
    check(|| {
        let memory = Memory::new(4);
        let pushers = [vec![10, 11], vec![20]].map(|row| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                for index in row {
                    assert!(sound(&memory, index), "room for all");
                }
            })
        });
        let mut seen: Vec<u32> = (0..2).filter_map(|_| memory.take()).collect();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(memory.tickets().len(), 3 - seen.len());
        seen.extend(memory.drain());
        assert_eq!(memory.tickets().first_position(), 3);
        let of = |kind: u32| seen.iter().filter(move |&&i| i / 10 == kind).copied();
        assert!(of(1).eq([10, 11]) && of(2).eq([20]), "{seen:?}");
    });
}

/// The same beside one who pushes in a row, and counts at the end.
#[test]
fn a_row_is_pushed_in_order() {
    check(|| {
        let memory = Memory::new(4);
        let pusher = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let tickets = memory.tickets();
                let mut from = tickets.last_position();
                for index in [10, 11] {
                    assert!(tickets.claim(&mut from, index).is_some(), "room for all");
                }
                tickets.count(from);
            })
        };
        let mut seen: Vec<u32> = memory.take().into_iter().collect();
        assert!(sound(&memory, 20));
        pusher.join().unwrap();
        assert_eq!(memory.tickets().len(), 3 - seen.len());
        seen.extend(memory.drain());
        seen.retain(|&index| index != 20);
        assert_eq!(seen, [10, 11]);
    });
}

/// How a consumer passes the tickets from one position to another: the first that it has passed.
type PassRow = fn(&Memory, u64, u64) -> Option<u64>;

/// Two consumers, of which one looks at two tickets before it passes them, beside a pusher: each
/// ticket is passed by one.
fn rows(pass: PassRow) {
    let memory = Memory::new(4);
    assert!(sound(&memory, 1) && sound(&memory, 2));
    let consumer = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let Some(first) = memory.tickets().peek() else {
                return vec![];
            };
            let mut row = vec![first];
            row.extend(memory.tickets().peek_at(first.position + 1));
            let to = row[row.len() - 1].position;
            let passed = pass(&memory, first.position, to);
            let mine = row
                .iter()
                .filter(|t| passed.is_some_and(|p| p <= t.position));
            mine.map(|ticket| ticket.index).collect()
        })
    };
    let mut seen: Vec<u32> = memory.take().into_iter().collect();
    assert!(sound(&memory, 3));
    seen.extend(memory.take());
    seen.extend(consumer.join().unwrap());
    seen.extend(memory.drain());
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn a_row_is_passed_once() {
    check(|| rows(|memory, from, to| memory.tickets().pass_row(from, to)));
}

#[test]
fn twin_a_row_is_passed_once() {
    must_fail("tickets: a row passed from where it was looked at", || {
        rows(|memory, from, to| {
            memory.tickets().pass_row(from, to)?;
            Some(from)
        })
    });
}

/// Two consumers and a pusher: each ticket is passed by one.
#[test]
fn a_ticket_is_passed_once() {
    check(|| {
        let memory = Memory::new(2);
        assert!(sound(&memory, 1));
        let consumer = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || [memory.take(), memory.take()])
        };
        let pusher = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || assert!(sound(&memory, 2)))
        };
        let mut seen: Vec<u32> = memory.take().into_iter().collect();
        seen.extend(consumer.join().unwrap().into_iter().flatten());
        pusher.join().unwrap();
        seen.extend(memory.drain());
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

/// A sleeper pushes one while laps go by in two cells; nothing is lost and the order holds.
fn laps(push: Push) {
    let memory = Memory::new(2);
    let sleeper = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || push(&memory, 9))
    };
    let mut seen = Vec::new();
    for index in 0..3 {
        assert!(push(&memory, index), "one of two cells is free");
        // What is passed now is this one, or the sleeper's before it.
        seen.extend(memory.take());
        if seen.last() == Some(&9) {
            seen.extend(memory.take());
        }
    }
    assert!(sleeper.join().unwrap(), "one of two cells is free");
    seen.extend(memory.drain());
    assert_eq!(seen.iter().filter(|&&index| index == 9).count(), 1);
    seen.retain(|&index| index != 9);
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn laps_over_two_cells() {
    check(|| laps(sound));
}

/// A push with its parts laid open: whether it looks if `last` has gone on, so that a cell which is
/// not of its position is of the lap before; and the orders of `last`.
fn open_push(memory: &Memory, index: u32, looks_again: bool, counted: [Ordering; 2]) -> bool {
    let [load, moved] = counted;
    let full = memory.cells.len() as u64;
    let mut position = memory.last.load(load);
    loop {
        let first = memory.first.load(Ordering::SeqCst);
        let cell = memory.cell(position);
        let seen = cell.load(Ordering::SeqCst);
        let last = memory.last.load(load);
        if looks_again && last > position {
            position = last;
            continue;
        }
        if position.wrapping_sub(first) == full {
            return false;
        }
        let old = seen >> 32 != position || seen == 0;
        let (new, order) = (word(position, index), Ordering::SeqCst);
        let claimed = old && cell.compare_exchange(seen, new, order, order).is_ok();
        position += 1;
        let mut last = memory.last.load(load);
        while claimed && last < position {
            match memory.last.compare_exchange(last, position, moved, load) {
                Ok(_) => break,
                Err(now) => last = now,
            }
        }
        if claimed {
            return true;
        }
    }
}

const COUNTED: [Ordering; 2] = [Ordering::Acquire, Ordering::AcqRel];

#[test]
fn twins_of_a_push_over_laps() {
    check(|| laps(|memory, index| open_push(memory, index, true, COUNTED)));
    must_fail("tickets: a claim over any tag", || {
        laps(|memory, index| open_push(memory, index, false, COUNTED))
    });
    must_fail("tickets: last moved relaxed", || {
        laps(|memory, index| open_push(memory, index, true, [Ordering::Relaxed; 2]))
    });
}

/// A pusher does its first step and dies; the other pushes and consumes, beside it and after it.
fn death_of_a_pusher(first_step: Push, peek: fn(&Memory) -> Option<Ticket>) {
    let memory = Memory::new(2);
    let victim = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || assert!(first_step(&memory, 1)))
    };
    let take = || {
        let ticket = peek(&memory)?;
        assert!(memory.tickets().pass(&ticket));
        Some(ticket.index)
    };
    let mut seen: Vec<u32> = take().into_iter().collect();
    assert!(sound(&memory, 2));
    victim.join().unwrap();
    seen.extend(std::iter::from_fn(take));
    assert!(sound(&memory, 3), "both cells are free");
    seen.extend(std::iter::from_fn(take));
    assert_eq!(seen.pop(), Some(3));
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}

fn claims(memory: &Memory, index: u32) -> bool {
    let tickets = memory.tickets();
    let mut from = tickets.last_position();
    tickets.claim(&mut from, index).is_some()
}

fn sound_peek(memory: &Memory) -> Option<Ticket> {
    memory.tickets().peek()
}

#[test]
fn pusher_dies_here() {
    check(|| death_of_a_pusher(claims, sound_peek));
}

/// A pusher claims two in a row, and dies before it counts them.
#[test]
fn pusher_of_a_row_dies_here() {
    check(|| {
        let memory = Memory::new(4);
        let victim = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let tickets = memory.tickets();
                let mut from = tickets.last_position();
                for index in [10, 11] {
                    assert!(tickets.claim(&mut from, index).is_some(), "room for all");
                }
            })
        };
        let mut seen: Vec<u32> = memory.take().into_iter().collect();
        assert!(sound(&memory, 2));
        victim.join().unwrap();
        assert_eq!(
            memory.tickets().len(),
            3 - seen.len(),
            "not all are counted"
        );
        seen.extend(memory.drain());
        assert!(sound(&memory, 3), "all cells are free");
        seen.extend(memory.drain());
        assert_eq!(seen.pop(), Some(3));
        seen.retain(|&index| index != 2);
        assert_eq!(seen, [10, 11]);
    });
}

#[test]
fn twin_pusher_that_moves_last_first() {
    must_fail("tickets: last moved before the cell is filled", || {
        // Dead before it fills the cell: its own ticket is not asked for, those of others are.
        let memory = Memory::new(2);
        let victim = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.last.fetch_add(1, Ordering::SeqCst))
        };
        assert!(sound(&memory, 2));
        victim.join().unwrap();
        assert_eq!(memory.drain(), [2], "a hole holds up the others");
    });
}

#[test]
fn twin_peek_without_help() {
    must_fail("tickets: a peek that leaves last behind", || {
        death_of_a_pusher(claims, |memory| {
            let position = memory.first.load(Ordering::SeqCst);
            let cell = memory.cell(position).load(Ordering::SeqCst);
            let index = (cell as u32).wrapping_sub(1);
            (cell == word(position, index) && cell != 0).then_some(Ticket { position, index })
        });
    });
}

/// A consumer looks at the first ticket and dies; a pusher goes on, and the other consumer.
fn death_of_a_consumer(pops: bool) {
    let memory = Memory::new(2);
    assert!(sound(&memory, 1));
    let victim = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            let ticket = memory.tickets().peek();
            if let (true, Some(ticket)) = (pops, ticket) {
                memory.tickets().pass(&ticket);
            }
        })
    };
    let pusher = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || assert!(sound(&memory, 2)))
    };
    let mut seen: Vec<u32> = memory.take().into_iter().collect();
    pusher.join().unwrap();
    victim.join().unwrap();
    seen.extend(memory.drain());
    assert_eq!(seen, [1, 2]);
}

#[test]
fn consumer_dies_here() {
    check(|| death_of_a_consumer(false));
}

#[test]
fn twin_consumer_that_pops_first() {
    must_fail("tickets: a consumer that passes before it acts", || {
        death_of_a_consumer(true)
    });
}

/// The message is written, then its ticket pushed; the consumer reads it, passes the ticket, and
/// the next pusher that finds it passed writes again.
fn publishes(push: Push, pass: Ordering) {
    let memory = Memory::new(1);
    let pusher = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            // SAFETY: nobody else looks before the ticket is pushed.
            memory.message.with_mut(|message| unsafe { *message = 5 });
            assert!(push(&memory, 0));
            while memory.tickets().first_position() == 0 {
                thread::yield_now();
            }
            // SAFETY: the consumer is done when the ticket is passed.
            memory.message.with_mut(|message| unsafe { *message = 6 });
        })
    };
    let ticket = loop {
        match memory.tickets().peek() {
            Some(ticket) => break ticket,
            None => thread::yield_now(),
        }
    };
    // SAFETY: its ticket is there.
    assert_eq!(memory.message.with(|message| unsafe { *message }), 5);
    let passed = memory
        .first
        .compare_exchange(ticket.position, 1, pass, Ordering::Relaxed);
    assert_eq!(passed, Ok(0));
    pusher.join().unwrap();
}

#[test]
fn a_ticket_publishes_and_its_pass_too() {
    check(|| publishes(sound, Ordering::SeqCst));
}

fn relaxed_claim(memory: &Memory, index: u32) -> bool {
    let (yes, no) = (Ordering::Relaxed, Ordering::Relaxed);
    let claim = memory.cells[0].compare_exchange(0, word(0, index), yes, no);
    claim.is_ok() && memory.last.compare_exchange(0, 1, yes, no).is_ok()
}

#[test]
fn twins_that_publish_nothing() {
    must_fail("tickets: a claim relaxed", || {
        publishes(relaxed_claim, Ordering::SeqCst)
    });
    must_fail("tickets: a pass relaxed", || {
        publishes(sound, Ordering::Relaxed)
    });
}
