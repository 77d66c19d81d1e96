//! The maps over the blocks: who puts bits against who strikes the block out, and a striker that
//! dies between its two steps.

use crate::fixture::Memory;
use crate::twin::{check, must_fail};
use loom::sync::Arc;
use loom::thread;
use ringmain::sync::Ordering;

/// A queue whose only message has been published and has no ready bit yet, while its block still
/// stands in the map of an earlier one.
fn memory() -> Arc<Memory> {
    let memory = Memory::mapped(1);
    memory.send_until(7, 1, 3);
    let head = memory.store().head();
    head.send.cursor.store(64, Ordering::Relaxed);
    memory.store().maps().ready.0[0].store(1, Ordering::Relaxed);
    memory
}

/// One strikes the block out, one puts a bit into it, one sweeps: the bit is found, by that sweep
/// or by the next.
fn struck(strike: fn(&Memory)) {
    let memory = memory();
    let striker = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || strike(&memory))
    };
    let putter = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.store().put_ready(0, 1))
    };
    let during = memory.receive(1, 0);
    striker.join().unwrap();
    putter.join().unwrap();
    let after = memory.receive(1, 0);
    let found = [during, after].into_iter().flatten();
    let values: Vec<u64> = found.map(|hold| memory.read(&hold)).collect();
    assert_eq!(values, [7], "a bit that nobody sees, or seen twice");
}

#[test]
fn a_struck_block_is_seen() {
    check(|| {
        struck(|memory| {
            let store = memory.store();
            store.maps().ready.strike(0, &store.blocks()[0].ready);
        })
    });
}

#[test]
fn twin_a_struck_block_is_seen() {
    must_fail("maps: a striker that looks first and clears then", || {
        struck(|memory| {
            let store = memory.store();
            if store.blocks()[0].ready.load(Ordering::SeqCst) == 0 {
                store.maps().ready.0[0].fetch_and(!1, Ordering::SeqCst);
            }
        })
    });
}

#[test]
fn twin_a_putter_that_looks_first() {
    must_fail("maps: a putter that looks at the map first", || {
        let memory = memory();
        let striker = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                let store = memory.store();
                store.maps().ready.strike(0, &store.blocks()[0].ready);
            })
        };
        let store = memory.store();
        store.maps().ready.note(0);
        store.blocks()[0].ready.fetch_or(1, Ordering::SeqCst);
        striker.join().unwrap();
        assert!(memory.receive(1, 0).is_some());
    });
}

/// A striker clears the block's bit and dies. Who repairs, while the putter is still at it, notes
/// the block.
fn death_of_a_striker(repairs: bool) {
    let memory = memory();
    let striker = {
        let memory = Arc::clone(&memory);
        // And here it dies, before it looks again.
        thread::spawn(move || memory.store().maps().ready.0[0].fetch_and(!1, Ordering::SeqCst))
    };
    let putter = {
        let memory = Arc::clone(&memory);
        thread::spawn(move || memory.store().put_ready(0, 1))
    };
    striker.join().unwrap();
    if repairs {
        memory.store().repair(&|_| false, 1);
    }
    putter.join().unwrap();
    let hold = memory.receive(1, 0).expect("a bit that nobody sees");
    assert_eq!(memory.read(&hold), 7);
}

#[test]
fn striker_dies_here() {
    check(|| death_of_a_striker(true));
}

#[test]
fn twin_striker_dies_here() {
    must_fail("maps: no repair after a striker", || {
        death_of_a_striker(false)
    });
}

/// The same of the map of free slots: two blocks are full but for what is given back meanwhile.
#[test]
fn a_slot_that_is_given_back_is_found() {
    check(|| {
        let memory = Memory::mapped(1);
        assert!(memory.send(7, 1));
        let store = memory.store();
        let hold = store.hold(0, 1, true, 0).unwrap();
        store.head().send.cursor.store(64, Ordering::Relaxed);
        let deleter = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || assert!(memory.delete(&hold, 1)))
        };
        let during = memory.send(8, 2); // finds the block full, and strikes it out
        deleter.join().unwrap();
        assert_ne!(during, memory.send(9, 2), "a free slot that nobody sees");
    });
}
