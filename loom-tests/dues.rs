//! Bounds of due times over their levels, and messages whose delay is not over.

use crate::fixture::{LATER_MS, Memory};
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::due::DUE_NONE_MS;
use ringmain::internals::store::Store;
use ringmain::internals::word::{Phase, Word};
use ringmain::sync::Ordering;

/// When what is held here is due, ms.
const DUE_MS: u64 = 2 + LATER_MS;

fn is_under_all_bounds(memory: &Memory, due_ms: u64) -> bool {
    let bounds = [
        memory.blocks[0].due.ms(),
        memory.dues[0].ms(),
        memory.store().least_due_ms(),
    ];
    bounds.into_iter().all(|bound| bound <= due_ms)
}

/// One raises the bounds of a group and of all, while another holds a message of it and lowers
/// them.
fn levels(raise: fn(&Store<'_>)) {
    let memory = Memory::mapped(1);
    assert!(memory.send(7, 1));
    // Too early, as the last one who was held there left them; the block's own was raised since.
    memory.dues[0].lower(1);
    memory.store().head().seldom.due.lower(1);
    let raiser = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || raise(&memory.store()))
    };
    let store = memory.store();
    assert!(store.hold(0, 1, true, DUE_MS).is_some());
    store.lower_due(0, DUE_MS);
    raiser.join().unwrap();
    assert!(is_under_all_bounds(&memory, DUE_MS), "hidden");
}

fn raise_both(store: &Store<'_>) {
    store.maps().dues[0].raise_over(store.blocks().iter().map(|block| &block.due));
    store.head().seldom.due.raise_over(store.maps().dues.iter());
}

#[test]
fn bounds_over_levels() {
    check(|| levels(raise_both));
}

#[test]
fn twin_bounds_over_levels() {
    must_fail("dues: a group's bound raised in one step", || {
        levels(|store| {
            let group = &store.maps().dues[0].0;
            let seen = group.load(Ordering::SeqCst);
            let least = store.blocks()[0].due.ms();
            let (done, failed) = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = group.compare_exchange(seen, least, done, failed);
        })
    });
}

/// The whole of it: who looks for what is due raises all three, the block's by its words.
#[test]
fn bounds_over_levels_by_a_look() {
    check(|| {
        let memory = Memory::mapped(1);
        assert!(memory.send(7, 1));
        memory.store().lower_due(0, 1);
        let raiser = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.store().expire_some(2, 0, 2))
        };
        let store = memory.store();
        assert!(store.hold(0, 1, true, DUE_MS).is_some());
        store.lower_due(0, DUE_MS);
        raiser.join().unwrap();
        assert!(is_under_all_bounds(&memory, DUE_MS), "hidden");
    });
}

/// A message is sent that is ready at once, while another raises the bounds: the bounds stay under
/// the time at which it is too old. The bounds are too early already, so the sender only looks.
fn ready(raise: fn(&Store<'_>)) {
    const AGED_MS: u64 = 3; // of what was sent at 0, with a retention of 2 ms
    let memory = Memory::mapped(1);
    memory.store().lower_due(0, 1);
    let raiser = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || raise(&memory.store()))
    };
    assert!(memory.send(7, 1));
    memory.store().lower_due(0, AGED_MS);
    raiser.join().unwrap();
    assert!(is_under_all_bounds(&memory, AGED_MS), "never too old");
}

#[test]
fn the_age_of_what_is_ready_is_bounded() {
    check(|| {
        ready(|store| {
            store.expire_some(2, 0, 2);
        })
    });
}

#[test]
fn twin_the_age_of_what_is_ready_is_bounded() {
    must_fail("dues: a raiser that looks first and marks then", || {
        ready(|store| {
            let word = Word(store.words()[0].load(Ordering::SeqCst));
            let least = match word.phase() {
                Phase::Ready => 3,
                _ => DUE_NONE_MS,
            };
            let due = &store.blocks()[0].due;
            if let Some(mark) = due.begin_raise() {
                due.finish_raise(mark, least);
            }
        })
    });
}

/// One lowers the block's bound and dies; another comes to the same block, with no earlier time.
fn after_a_death(lower: fn(&Store<'_>)) {
    let memory = Memory::mapped(1);
    assert!(memory.send(7, 1));
    let dying = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.blocks[0].due.lower(DUE_MS)) // and here it dies
    };
    let store = memory.store();
    assert!(store.hold(0, 1, true, DUE_MS).is_some());
    lower(&store);
    dying.join().unwrap();
    assert!(is_under_all_bounds(&memory, DUE_MS), "hidden");
}

#[test]
fn an_adder_dies_between_levels() {
    check(|| {
        after_a_death(|store| {
            store.lower_due(0, DUE_MS);
        })
    });
}

#[test]
fn twin_an_adder_dies_between_levels() {
    let name = "dues: an adder that goes up only if it had to lower the level below";
    must_fail(name, || {
        after_a_death(|store| {
            let due = DUE_MS;
            let lowered = store.blocks()[0].due.lower(due) && store.maps().dues[0].lower(due);
            if lowered {
                store.head().seldom.due.lower(due);
            }
        })
    });
}

/// How a delayed message is sent.
#[derive(Clone, Copy, PartialEq)]
enum Sends {
    /// Word, then bounds.
    Whole,
    /// Word, and then it dies.
    Dies,
    /// Bounds, then word.
    BoundsFirst,
}

fn send_delayed(memory: &Memory, value: u64, how: Sends) {
    let store = memory.store();
    let claimed = store.claim(0, 1, 2).unwrap();
    // SAFETY: the run is claimed; the model checker watches that this is so.
    store.value(0).with_mut(|body| unsafe { *body = value });
    if how == Sends::BoundsFirst {
        store.lower_due(0, LATER_MS);
    }
    store.publish_delayed(claimed, 8, 0, 0, LATER_MS);
    if how == Sends::Whole {
        store.lower_due(0, LATER_MS);
    }
}

/// A message is sent with a delay while somebody looks for what is due, before its time and then
/// when it is over. It comes once.
fn delayed(how: Sends, repairs: bool) {
    let memory = Memory::mapped(1);
    memory.store().lower_due(0, 1); // so that there is something to look for
    let sender = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || send_delayed(&memory, 7, how))
    };
    let early = memory.store().expire_some(2, 0, 1);
    assert_eq!(early, 0, "before its time");
    sender.join().unwrap();
    if repairs {
        memory.store().repair(&|owner| owner == 2, 1);
    }
    assert!(memory.receive(1, LATER_MS - 1).is_none(), "before its time");
    let hold = memory.receive(1, LATER_MS).expect("its delay is over");
    assert_eq!((memory.read(&hold), hold.receive_count()), (7, 1));
    assert!(memory.receive(1, LATER_MS).is_none(), "twice");
    assert!(memory.delete(&hold, 1));
    assert_eq!(memory.free_bits() & 1, 1);
}

#[test]
fn a_delayed_message_is_found() {
    check(|| delayed(Sends::Whole, false));
}

#[test]
fn twin_a_delayed_message_is_found() {
    must_fail("dues: a sender that lowers the bounds first", || {
        delayed(Sends::BoundsFirst, false)
    });
}

#[test]
fn sender_of_a_delayed_message_dies_here() {
    check(|| delayed(Sends::Dies, true));
}

#[test]
fn twin_sender_of_a_delayed_message_dies_here() {
    must_fail(
        "dues: no repair after the sender of a delayed message",
        || delayed(Sends::Dies, false),
    );
}

/// Two receivers come when the delay is over: one of them has it, and it became ready once.
#[test]
fn a_delayed_message_is_received_once() {
    check(|| {
        let memory = Memory::mapped(1);
        send_delayed(&memory, 7, Sends::Whole);
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.receive(2, LATER_MS))
        };
        let mine = memory.receive(1, LATER_MS);
        let theirs = other.join().unwrap();
        let late = memory.receive(3, LATER_MS);
        let holds: Vec<_> = [mine, theirs, late].into_iter().flatten().collect();
        assert_eq!(holds.len(), 1);
        assert_eq!((memory.read(&holds[0]), holds[0].receive_count()), (7, 1));
        assert!(memory.store().least_due_ms() < DUE_NONE_MS, "it is held");
    });
}
