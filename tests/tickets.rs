//! The queue of tickets under threads: each index that was pushed is passed exactly once, and those
//! of each pusher in its order; one by one and in rows. The library keeps the type to itself, so
//! its source comes in here.
#![cfg(not(ringmain_loom))]
#![allow(clippy::disallowed_types)] // stands in for the library's own `sync`

use std::sync::Mutex;
use std::thread;

#[path = "../src/ring/tickets.rs"]
mod tickets;

/// What the source asks of the library.
mod sync {
    pub use std::sync::atomic::{AtomicU64, Ordering};
}

use sync::AtomicU64;
use tickets::Tickets;

#[test]
fn threads_keep_the_order_of_each_pusher() {
    threads(1);
    threads(5);
}

/// Pushers that count so many tickets at once, and consumers that pass so many.
fn threads(row: u32) {
    const PUSHERS: u32 = 3;
    const EACH: u32 = 8000;
    let (first, last) = (AtomicU64::new(0), AtomicU64::new(0));
    let cells = [const { AtomicU64::new(0) }; 16];
    let tickets = Tickets {
        first: &first,
        last: &last,
        cells: &cells,
    };
    let passed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            scope.spawn(move || {
                let mut from = tickets.last_position();
                for number in 0..EACH {
                    let index = pusher << 16 | number;
                    while row == 1 && tickets.push(index).is_none()
                        || row > 1 && tickets.claim(&mut from, index).is_none()
                    {
                        tickets.count(from);
                        thread::yield_now();
                    }
                    if number % row == 0 {
                        tickets.count(from);
                    }
                }
                tickets.count(from);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while tickets.first_position() < u64::from(PUSHERS * EACH) {
                    let Some(ticket) = tickets.peek() else {
                        thread::yield_now();
                        continue;
                    };
                    if row == 1 && tickets.pass(&ticket) {
                        mine.push(ticket);
                    }
                    if row == 1 {
                        continue;
                    }
                    let mut seen = vec![ticket];
                    let further = ticket.position + 1..ticket.position + u64::from(row);
                    seen.extend(further.map_while(|position| tickets.peek_at(position)));
                    let to = seen[seen.len() - 1].position;
                    if let Some(passed) = tickets.pass_row(ticket.position, to) {
                        assert!(!tickets.stands(to, seen[seen.len() - 1].index));
                        mine.extend(seen.iter().filter(|ticket| ticket.position >= passed));
                    }
                }
                passed.lock().expect("no panic").extend(mine);
            });
        }
    });
    let mut passed = passed.into_inner().expect("no panic");
    passed.sort_by_key(|ticket| ticket.position);
    assert_eq!(passed.len(), (PUSHERS * EACH) as usize);
    let mut next = [0; PUSHERS as usize];
    for (position, ticket) in passed.iter().enumerate() {
        assert_eq!(ticket.position, position as u64);
        let expected = &mut next[(ticket.index >> 16) as usize];
        assert_eq!(ticket.index & 0xffff, *expected);
        *expected += 1;
    }
}
