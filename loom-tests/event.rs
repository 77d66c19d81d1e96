//! The event count: a waiter that finds nothing sleeps, and is woken by what comes, or by a warden
//! on behalf of a sender that has died; a warden is there while somebody sleeps; and nobody sleeps
//! at a queue that is deleted.

use crate::twin::{check, must_fail};
use loom::sync::{Arc, Mutex};
use loom::thread;
use ringmain::internals::duty::Duty;
use ringmain::internals::layout::EventSide;
use ringmain::sync::{AtomicU32, AtomicU64, Ordering, store_load};

/// A futex with one sleeper, who compares and falls asleep in one step.
pub struct Futex {
    pub asleep: Mutex<bool>,
}

impl Futex {
    pub fn wait(&self, word: &AtomicU32, expected: u32) {
        let mut asleep = self.asleep.lock().unwrap();
        *asleep = word.load(Ordering::SeqCst) == expected;
    }

    pub fn wake(&self) -> u32 {
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

/// A queue is marked as deleted while somebody goes to sleep there, who must not be asleep then.
fn a_deletion(fenced: bool) {
    let shared = Arc::new((
        EventSide {
            sequence: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            sleepers: AtomicU64::new(0),
        },
        AtomicU64::new(0),
        Futex {
            asleep: Mutex::new(false),
        },
    ));
    let deleter = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (event, mark, futex) = &*shared;
            mark.store(1, Ordering::Release);
            if fenced {
                store_load();
            }
            event.wake(|_| futex.wake());
        })
    };
    let (event, mark, futex) = &*shared;
    let sequence = event.prepare();
    if mark.load(Ordering::Relaxed) == 0 {
        futex.wait(&event.sequence, sequence);
    }
    deleter.join().unwrap();
    let asleep = *futex.asleep.lock().unwrap();
    assert!(!asleep, "asleep at a queue that is deleted");
}

#[test]
fn nobody_sleeps_at_a_deleted_queue() {
    check(|| a_deletion(true));
}

#[test]
fn twin_nobody_sleeps_at_a_deleted_queue() {
    must_fail(
        "event: a deleter that asks who sleeps without a fence",
        || a_deletion(false),
    );
}

/// What a warden does after a death.
#[derive(Clone, Copy, PartialEq)]
enum Warden {
    /// Counts what is visible, and wakes as many.
    Looks,
    /// Only takes back what the dead one held: nothing here.
    Repairs,
}

/// A sender that dies after `steps` of its steps: publishing, reading the flag, moving the
/// sequence. The kernel tells the warden of the death, whenever that is, and then the waiter is not
/// asleep beside a message.
fn a_death(steps: u32, warden: Warden) {
    let shared = Arc::new((
        EventSide {
            sequence: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            sleepers: AtomicU64::new(0),
        },
        AtomicU64::new(0),
        Futex {
            asleep: Mutex::new(false),
        },
    ));
    let others = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (event, ready, futex) = &*shared;
            if steps > 0 {
                ready.fetch_or(1, Ordering::SeqCst);
            }
            if steps > 1 && event.has_sleepers() && steps > 2 {
                event.wake(|_| 1); // dies before the system call, which would have woken one
            }
            // Here it is dead; from here on the warden.
            if warden == Warden::Looks && ready.load(Ordering::SeqCst) != 0 && event.has_sleepers()
            {
                event.wake(|_| futex.wake());
            }
        })
    };
    let (event, ready, futex) = &*shared;
    let sequence = event.prepare();
    let taken = ready.fetch_and(0, Ordering::SeqCst) == 1;
    if !taken {
        futex.wait(&event.sequence, sequence);
    }
    others.join().unwrap();
    let asleep = *futex.asleep.lock().unwrap();
    assert!(
        !asleep || ready.load(Ordering::SeqCst) == 0,
        "asleep with a message there"
    );
}

#[test]
fn a_dead_senders_message_wakes() {
    for steps in 0..=3 {
        check(move || a_death(steps, Warden::Looks));
    }
}

#[test]
fn twin_a_dead_senders_message_wakes() {
    must_fail(
        "event: after a death looks only at what the dead one held",
        || a_death(1, Warden::Repairs),
    );
}

/// A warden that ends as nobody waits, and threads that begin to wait meanwhile: each of them is
/// watched, by one warden.
fn an_end(count_before_clearing: bool, waiters: usize) {
    let duty = Duty::default();
    assert!(duty.starts());
    duty.started(true);
    let shared = Arc::new((duty, Mutex::new(1)));
    let warden = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (duty, wardens) = &*shared;
            let ends = if count_before_clearing {
                let ends = !duty.is_needed();
                if ends {
                    duty.is_lost();
                }
                ends
            } else {
                duty.ends()
            };
            if ends {
                *wardens.lock().unwrap() -= 1;
            }
        })
    };
    let wait = |shared: &(Duty, Mutex<i32>)| {
        let (duty, wardens) = shared;
        if !duty.wait_begins() {
            let mut wardens = wardens.lock().unwrap();
            if duty.starts() {
                *wardens += 1;
                duty.started(true);
            }
        }
    };
    let others: Vec<_> = (1..waiters)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || wait(&shared))
        })
        .collect();
    wait(&shared);
    others.into_iter().for_each(|other| other.join().unwrap());
    warden.join().unwrap();
    assert!(shared.0.is_on(), "nobody watches");
    assert_eq!(*shared.1.lock().unwrap(), 1);
}

#[test]
fn who_waits_is_watched() {
    check(|| an_end(false, 1));
    check(|| an_end(false, 2));
}

#[test]
fn twin_who_waits_is_watched() {
    must_fail("warden: counts those who wait before it goes", || {
        an_end(true, 1)
    });
}

/// A warden whose watch is gone, and a waiter that would sleep for long: it is not asleep.
fn a_loss(state_before_sequence: bool) {
    let duty = Duty::default();
    assert!(duty.starts());
    duty.started(true);
    let shared = Arc::new((
        EventSide {
            sequence: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            sleepers: AtomicU64::new(0),
        },
        duty,
        Futex {
            asleep: Mutex::new(false),
        },
    ));
    let warden = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (event, duty, futex) = &*shared;
            duty.is_lost();
            event.sequence.fetch_add(1, Ordering::SeqCst);
            futex.wake();
        })
    };
    let (event, duty, futex) = &*shared;
    let early = state_before_sequence && duty.is_on();
    let sequence = event.prepare();
    if early || (!state_before_sequence && duty.is_on()) {
        futex.wait(&event.sequence, sequence);
    }
    warden.join().unwrap();
    assert!(!*futex.asleep.lock().unwrap(), "asleep for long, unwatched");
}

#[test]
fn a_lost_watch_lets_nobody_sleep() {
    check(|| a_loss(false));
}

#[test]
fn twin_a_lost_watch_lets_nobody_sleep() {
    must_fail("warden: the state is read before the sequence", || {
        a_loss(true)
    });
}
