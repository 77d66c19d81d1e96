//! The log of a shard whose tail one participant reserves: others, readers, deaths.

use std::sync::Arc;

use loom::thread;
use ringmain::internals::log::{Header, Position, Refusal, Reservation, State, Step};
use ringmain::sync::Ordering;

use crate::log::{ME, Memory, OTHER};
use crate::twin::{check, must_fail};

fn spawn<T: 'static>(
    memory: &Arc<Memory>,
    act: impl FnOnce(&Memory) -> T + 'static,
) -> thread::JoinHandle<T> {
    let memory = Arc::clone(memory);
    thread::spawn(move || act(&memory))
}

fn reserve(memory: &Memory, owner: u32) -> Result<Reservation<'_>, Refusal> {
    memory
        .log()
        .reserve(Position::FIRST, owner, 1, None, || true)
}

/// The two stores of an append, of which a holder may make one, or in the wrong order.
#[derive(Clone, Copy)]
enum Store {
    Behind,
    Committed,
}

fn store(memory: &Memory, at: Position, store: Store) {
    let (index, header) = match store {
        Store::Behind => (at.index() + 1, Header::reserved(ME, at.lap())),
        Store::Committed => (at.index(), Header::new(State::Committed, 0, 1, at.lap())),
    };
    memory.header(index).store(header.0, Ordering::Release);
}

/// A holder appends two records, another participant puts one: it is refused, or is before or
/// behind the two.
fn exclusive(append: fn(&Memory, &mut Reservation<'_>, u64)) {
    let memory = Memory::new();
    let other = spawn(&memory, |memory| memory.put(OTHER, 1, 9));
    let mine = reserve(&memory, ME);
    if let Ok(mut mine) = mine {
        append(&memory, &mut mine, 1);
        if mine.fits(1) {
            append(&memory, &mut mine, 2);
        }
        memory.log().release(mine);
    }
    let put = other.join().unwrap();
    let values = memory.values();
    match put {
        Ok(_) => assert!(
            [&[1, 2, 9][..], &[9, 1], &[1, 9]].contains(&&values[..]),
            "{values:?}"
        ),
        Err(refusal) => {
            assert_eq!(refusal, Refusal::Reserved(ME));
            assert_eq!(values, [1, 2]);
        }
    }
    assert_eq!(memory.rest().1, Step::Empty);
    memory.put(OTHER, 1, 7).unwrap();
}

fn append(memory: &Memory, mine: &mut Reservation<'_>, value: u64) {
    memory.log().append(mine, 1, |at| memory.write(at, value));
}

#[test]
fn a_reservation_keeps_others_out() {
    check(|| exclusive(append));
}

#[test]
fn twin_a_reservation_keeps_others_out() {
    must_fail(
        "log: a record committed before the boundary behind it is reserved",
        || {
            exclusive(|memory, mine, value| {
                memory.write(mine.at, value);
                store(memory, mine.at, Store::Committed);
                store(memory, mine.at, Store::Behind);
                mine.at = Position(mine.at.0 + 1);
            })
        },
    );
}

/// A reader sees a holder's records whole, and in order.
#[test]
fn a_holders_records_are_seen_whole() {
    check(|| {
        let memory = Memory::new();
        let reader = spawn(&memory, |memory| memory.values());
        let mut mine = reserve(&memory, ME).unwrap();
        append(&memory, &mut mine, 1);
        append(&memory, &mut mine, 2);
        memory.log().release(mine);
        let seen = reader.join().unwrap();
        assert!([&[][..], &[1], &[1, 2]].contains(&&seen[..]), "{seen:?}");
    });
}

/// A claimant has seen the boundary free; then it is reserved and given back. If its exchange
/// succeeds, so it may.
#[test]
fn a_claimant_sleeps_over_a_reservation() {
    check(|| {
        let memory = Memory::new();
        let other = spawn(&memory, |memory| memory.put(OTHER, 1, 9));
        if let Ok(mine) = reserve(&memory, ME) {
            memory.log().release(mine);
        }
        if let Ok(mut mine) = reserve(&memory, ME) {
            append(&memory, &mut mine, 1);
            memory.log().release(mine);
        }
        let put = other.join().unwrap().is_ok();
        let values = memory.values();
        assert_eq!(values.contains(&9), put, "{values:?}");
        assert_eq!(memory.rest().1, Step::Empty);
    });
}

/// A holder has put one record and dies at a step of its second one. Who has proof of the death
/// repairs, twice at once, and another participant goes on.
fn death(steps: u32, repair: fn(&Memory)) {
    let memory = Memory::new();
    let mut mine = reserve(&memory, ME).unwrap();
    append(&memory, &mut mine, 1);
    let at = mine.at;
    if steps > 0 {
        memory.write(at, 2);
    }
    if steps > 1 {
        store(&memory, at, Store::Behind);
    }
    if steps > 2 {
        store(&memory, at, Store::Committed);
    }
    // Dies here.
    drop(mine);
    let other = spawn(&memory, move |memory| {
        repair(memory);
        memory.put(OTHER, 1, 9).unwrap();
    });
    repair(&memory);
    memory.put(OTHER + 1, 1, 8).unwrap();
    other.join().unwrap();
    let mut values = memory.values();
    assert_eq!(memory.rest().1, Step::Empty);
    let own = values.iter().position(|value| *value > 7).unwrap();
    let behind = values.split_off(own);
    assert_eq!(values, [1, 2][..if steps > 2 { 2 } else { 1 }]);
    assert!(behind == [8, 9] || behind == [9, 8], "{behind:?}");
}

#[test]
fn a_holder_dies() {
    for steps in 0..4 {
        check(move || death(steps, |memory| _ = memory.log().repair(ME)));
    }
}

#[test]
fn twin_a_holder_dies() {
    must_fail(
        "log: a dead holder's boundary made free, over what it had begun behind it",
        || {
            death(2, |memory| {
                let word = memory.header(1);
                let reserved = Header::reserved(ME, 1);
                let _ = word.compare_exchange(reserved.0, 0, Ordering::SeqCst, Ordering::SeqCst);
            })
        },
    );
}

/// A reservation goes over its segment's end while somebody reclaims the segment: what it was told
/// is over, is.
#[test]
fn a_segment_of_a_reservation_is_reclaimed() {
    check(|| {
        let memory = Memory::new();
        let mut mine = reserve(&memory, ME).unwrap();
        append(&memory, &mut mine, 1);
        let other = spawn(&memory, |memory| {
            memory.log().reclaim(Position::FIRST).is_ok_and(|mine| mine)
        });
        append(&memory, &mut mine, 2);
        assert!(!mine.fits(1));
        let last = memory.log().release(mine);
        let mut mine = memory
            .log()
            .reserve(last.at(), ME, 1, Some(last), || true)
            .unwrap();
        append(&memory, &mut mine, 3);
        memory.log().release(mine);
        let reclaimed = other.join().unwrap();
        let expected: &[u64] = if reclaimed { &[3] } else { &[1, 2, 3] };
        assert_eq!(memory.values(), expected);
    });
}
