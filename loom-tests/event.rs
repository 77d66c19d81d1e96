//! The event count: a waiter that finds nothing sleeps, and is woken by what comes.

use crate::twin::{check, must_fail};
use loom::sync::{Arc, Mutex};
use loom::thread;
use ringmain::internals::layout::EventSide;
use ringmain::sync::{AtomicU32, AtomicU64, Ordering};

/// A futex with one sleeper, who compares and falls asleep in one step.
struct Futex {
    asleep: Mutex<bool>,
}

impl Futex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let mut asleep = self.asleep.lock().unwrap();
        *asleep = word.load(Ordering::SeqCst) == expected;
    }

    fn wake(&self) -> u32 {
        core::mem::take(&mut *self.asleep.lock().unwrap()) as u32
    }
}

/// One message, one sender, one waiter, who must not be asleep with the message there.
fn one_message(look_before_prepare: bool, earlier_sleepers: bool) {
    let shared = Arc::new((
        EventSide {
            sequence: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            sleepers: AtomicU64::new(earlier_sleepers as u64), // a flag that a dead waiter left
        },
        AtomicU64::new(0),
        Futex {
            asleep: Mutex::new(false),
        },
    ));
    let sender = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (event, ready, futex) = &*shared;
            ready.fetch_or(1, Ordering::SeqCst);
            if event.has_sleepers() {
                event.wake(|_| futex.wake());
            }
        })
    };
    let (event, ready, futex) = &*shared;
    let take = || ready.fetch_and(0, Ordering::SeqCst) == 1;
    let mut taken = look_before_prepare && take();
    if !taken {
        let sequence = event.prepare();
        taken = !look_before_prepare && take();
        if !taken {
            futex.wait(&event.sequence, sequence);
        }
    }
    sender.join().unwrap();
    let asleep = *futex.asleep.lock().unwrap();
    assert!(!asleep, "asleep with a message there");
    // Not asleep: it looks again, and the message is there.
    assert!(taken || take());
}

#[test]
fn no_wake_up_is_lost() {
    check(|| one_message(false, false));
}

#[test]
fn a_flag_left_by_the_dead_does_no_harm() {
    check(|| one_message(false, true));
}

#[test]
fn twin_no_wake_up_is_lost() {
    must_fail("event: looks only before it says that it sleeps", || {
        one_message(true, false)
    });
}
