//! Entries for ids: calls that claim several before they move the cursor, at once, and one that
//! dies before it does.

use crate::fixture::{LATER_MS, Memory};
use crate::groups::survived;
use crate::twin::{check, check_within, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::fifo::cursor::Cursor;
use ringmain::internals::fifo::ids::{First, Named, Remember};
use ringmain::sync::Ordering;

const ENTRIES: usize = 4;

/// How one of the messages of a call has its id remembered.
type One = for<'c> fn(&Memory, &mut Cursor<'c>, u64) -> Remember<'c>;

fn remember<'c>(_: &Memory, cursor: &mut Cursor<'c>, id: u64) -> Remember<'c> {
    let named = Named::new(id as u32, id);
    cursor.remember(&Memory::id(id), &named, (0, LATER_MS), None)
}

/// Remembers an id, and accepts its message with the id for its number.
fn accept(memory: &Memory, cursor: &mut Cursor<'_>, id: u64, one: One) {
    let remembered = one(memory, cursor, id);
    let Remember::New(mine) = remembered else {
        panic!("{remembered:?}, and there is room");
    };
    let (ids, entry) = (memory.store().ids_table(), u64::from(mine.index) + 1);
    assert_eq!(ids.accept(entry, id as u32, id, id), id);
    mine.settle();
}

/// A call of several messages.
fn call(memory: &Memory, ids: [u64; 2], owner: u32, one: One) {
    let mut cursor = memory.store().ids_table().cursor(owner);
    for id in ids {
        accept(memory, &mut cursor, id, one);
    }
    cursor.move_on();
}

/// All ids from 1 on are remembered, and there is room for no other.
fn full(memory: &Memory) {
    let store = memory.store();
    let mut cursor = store.ids_table().cursor(1);
    for id in 1..=ENTRIES as u64 {
        let first = First {
            slot: id as u32,
            stamp: id,
            sequence: id,
        };
        let remembered = remember(memory, &mut cursor, id);
        assert!(matches!(remembered, Remember::Duplicate(it) if it == first));
    }
    let ninth = remember(memory, &mut cursor, 9);
    assert!(matches!(ninth, Remember::Full), "{ninth:?}");
}

/// Two calls at once have all entries between them, and neither finds the table full.
#[test]
fn two_calls_have_an_entry_for_each() {
    check(|| {
        let memory = Memory::fifo_with(1, ENTRIES);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || call(&memory, [1, 2], 2, remember))
        };
        call(&memory, [3, 4], 1, remember);
        other.join().unwrap();
        full(&memory);
    });
}

/// A call dies with the cursor before the two entries that it has used, while another one has the
/// others. `steps` are accepted.
fn died(one: One, steps: u64) {
    let memory = Memory::fifo_with(1, ENTRIES);
    let other = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || call(&memory, [3, 4], 1, one))
    };
    let store = memory.store();
    let mut cursor = store.ids_table().cursor(2);
    (1..=steps).for_each(|id| accept(&memory, &mut cursor, id, one));
    let mut late = Vec::new();
    for id in steps + 1..=2 {
        let Remember::New(mine) = one(&memory, &mut cursor, id) else {
            panic!("there is room");
        };
        late.push((id, u64::from(mine.index) + 1));
    }
    store.ids_table().repair(&|owner| owner == 2); // and here it dies
    other.join().unwrap();
    // Another sender of its ids accepts what it has left.
    for (id, entry) in late {
        store.ids_table().accept(entry, id as u32, id, id);
    }
    full(&memory);
}

#[test]
fn a_caller_dies_before_the_cursor() {
    for steps in 0..=2 {
        check_within(2, move || died(remember, steps)); // with three it takes two minutes
    }
}

/// One who looks at the entry at the cursor alone.
fn remember_at_once<'c>(memory: &Memory, cursor: &mut Cursor<'c>, id: u64) -> Remember<'c> {
    let store = memory.store();
    let at = store.ids_table().head.ids_cursor.load(Ordering::SeqCst) as usize % ENTRIES;
    let entry = &store.ids().elements[at];
    let claimed = entry.until_ms.load(Ordering::SeqCst) > 0;
    // What this call has claimed lies at the cursor as well.
    let theirs = entry.stamp.load(Ordering::SeqCst).div_ceil(2) != id.div_ceil(2);
    if claimed && theirs {
        return Remember::Full;
    }
    remember(memory, cursor, id)
}

#[test]
fn twin_a_caller_dies_before_the_cursor() {
    must_fail("ids: a call that looks at the cursor alone", || {
        died(remember_at_once, 2);
    });
}

/// `groups::a_sender_dies` with a repair that takes an entry out of its chain in whatever life it
/// is by then: that of another sender, who has voided it and used it again.
#[test]
fn twin_an_entry_is_repaired_in_its_life() {
    must_fail(
        "ids: a repair that takes out what is inserted later",
        || {
            survived(0, |memory| {
                let store = memory.store();
                store.repair(&|owner| owner == 2, 1);
                let chains = store.ids();
                let state = chains.elements[0].state.load(Ordering::SeqCst);
                let is_dead = state >> 62 == 1 && state >> 52 & 1023 == 2;
                if is_dead && !chains.is_chained(1, 0) {
                    chains.unchain(1, 0);
                }
            });
        },
    );
}

/// A call claims what the others do not look beyond.
#[test]
fn twin_two_calls_have_an_entry_for_each() {
    must_fail("ids: a call that comes further than others look", || {
        let memory = Memory::fifo_with(1, ENTRIES);
        let store = memory.store();
        call(&memory, [1, 2], 2, remember);
        let mut cursor = store.ids_table().cursor(2);
        accept(&memory, &mut cursor, 3, remember);
        let cursor = &store.ids_table().head.ids_cursor;
        cursor.store(0, Ordering::SeqCst); // as if none had been moved
        accept(&memory, &mut store.ids_table().cursor(1), 4, remember);
        full(&memory);
    });
}
