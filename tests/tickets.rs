//! The queue of tickets under threads: each index that was pushed is passed exactly once, and those
//! of each pusher in its order. The library keeps the type to itself, so its source comes in here.
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
                for number in 0..EACH {
                    while tickets.push(pusher << 16 | number).is_none() {
                        thread::yield_now();
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while tickets.first_position() < u64::from(PUSHERS * EACH) {
                    match tickets.peek() {
                        Some(ticket) if tickets.pass(&ticket) => mine.push(ticket),
                        Some(_) => {}
                        None => thread::yield_now(),
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
