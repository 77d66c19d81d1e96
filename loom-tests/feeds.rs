//! Subscriptions of a stream's consumers: take-overs, who comes late, and who dies.

use crate::roster::{DEAD, FIRST, ME, Memory, OTHER, SECOND};
use crate::twin::{check_within, must_fail_within};
use loom::sync::Arc;
use loom::thread;
use ringmain::internals::roster::{Fed, Feed, HELD_MS, Held, Word};
use ringmain::sync::{AtomicU64, Ordering};

const NOW_MS: u64 = 1_000_000;

/// A roster of one seat, in which the first name is, and its feed.
struct Consumer {
    roster: std::sync::Arc<Memory>,
    first: Word,
    feed: Feed,
}

impl Consumer {
    fn new() -> Arc<Self> {
        let roster = Memory::with(1, &FIRST);
        let first = roster.seats[0].word();
        Arc::new(Self {
            roster,
            first,
            feed: Feed {
                quota: AtomicU64::new(0),
                subscription: AtomicU64::new(0),
            },
        })
    }

    fn fed(&self, word: Word) -> Fed<'_, 2> {
        Fed {
            seat: &self.roster.seats[0],
            word,
            feed: &self.feed,
        }
    }

    /// Another name comes into the seat: as which word.
    fn renamed(&self) -> Word {
        let roster = self.roster.roster();
        roster.remove(&FIRST).unwrap();
        roster.register(ME, &SECOND, 1).unwrap().1
    }
}

/// Two subscribe at one time: one has it, and keeps it.
#[test]
fn one_of_two_has_it() {
    check_within(3, || {
        let consumer = Consumer::new();
        let other = {
            let consumer = Arc::clone(&consumer);
            thread::spawn(move || consumer.fed(consumer.first).take(OTHER, NOW_MS + 1).ok())
        };
        let fed = consumer.fed(consumer.first);
        let mine = fed.take(ME, NOW_MS).ok();
        let others = other.join().unwrap();
        let had = mine.or(others).expect("one of them has it");
        assert!(mine.is_none() || others.is_none(), "both have it");
        assert!(fed.stands(had.0));
        let refused = fed.take(ME, NOW_MS + HELD_MS - 1);
        assert_eq!(refused, Err(Held::Young(had.0)));
        // Later it is taken over, once.
        let (taken, takes_over) = fed.take(ME, NOW_MS + 1 + HELD_MS).unwrap();
        assert!(takes_over && fed.stands(taken) && !fed.stands(had.0));
        assert_eq!(fed.renew(had.0, NOW_MS + 2 * HELD_MS), None);
    });
}

/// How somebody takes a subscription for the first name.
type Takes = fn(&Consumer);

/// A twin: what is of any other generation is in nobody's way.
fn whatever_is_there(consumer: &Consumer) {
    let fed = consumer.fed(consumer.first);
    if !fed.is_registered() {
        return;
    }
    let word = &consumer.feed.subscription;
    let seen = word.load(Ordering::Acquire);
    let mine = NOW_MS << 20 | consumer.first.generation() << 10 | u64::from(OTHER);
    let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
    let taken = word.compare_exchange(seen, mine, success, failure);
    if taken.is_ok() && !fed.is_registered() {
        let _ = word.compare_exchange(mine, 0, success, failure);
    }
}

/// One subscribes while the name goes and another comes into the seat: that one has the feed.
fn late(takes: Takes) {
    let consumer = Consumer::new();
    let other = {
        let consumer = Arc::clone(&consumer);
        thread::spawn(move || takes(&consumer))
    };
    let fed = consumer.fed(consumer.renamed());
    let (taken, takes_over) = fed.take(ME, NOW_MS).expect("a late one is in the way");
    other.join().unwrap();
    assert!(!takes_over, "it was another name's");
    assert!(fed.stands(taken), "a late one has taken it");
}

#[test]
fn who_is_late_takes_nothing() {
    check_within(3, || {
        late(|consumer| {
            let fed = consumer.fed(consumer.first);
            match fed.take(OTHER, NOW_MS) {
                Ok((_, takes_over)) => assert!(!takes_over),
                Err(held) => assert_eq!(held, Held::Late),
            }
        })
    });
}

#[test]
fn twin_who_is_late_takes_nothing() {
    must_fail_within(3, "feeds: a taker that looks at no generation", || {
        late(whatever_is_there)
    });
}

/// Who had it when the name went is told that the name is gone, and not that it was taken over.
fn told(looks_after: bool) {
    let consumer = Consumer::new();
    let fed = consumer.fed(consumer.first);
    let (taken, _) = fed.take(OTHER, NOW_MS).unwrap();
    let other = {
        let consumer = Arc::clone(&consumer);
        thread::spawn(move || {
            let fed = consumer.fed(consumer.renamed());
            fed.take(ME, NOW_MS)
                .expect("the other's is of an earlier name");
        })
    };
    let before = fed.is_registered();
    thread::yield_now(); // loom looks at no other order of these loads by itself
    if !fed.stands(taken) {
        let is_registered = match looks_after {
            true => fed.is_registered(),
            false => before,
        };
        assert!(!is_registered, "nobody has taken it over");
    }
    other.join().unwrap();
}

#[test]
fn who_had_it_is_told_why_not() {
    check_within(3, || told(true));
}

#[test]
fn twin_who_had_it_is_told_why_not() {
    must_fail_within(3, "feeds: the seat is looked at first", || told(false));
}

/// A subscriber has died; while it is repaired another one subscribes, at first refused.
fn death(repair: fn(&Consumer)) {
    let consumer = Consumer::new();
    let fed = consumer.fed(consumer.first);
    let (dead, _) = fed.take(DEAD, NOW_MS).unwrap();
    let repairer = {
        let consumer = Arc::clone(&consumer);
        thread::spawn(move || repair(&consumer))
    };
    let at_once = fed.take(ME, NOW_MS + 1);
    assert!(at_once.is_ok() || at_once == Err(Held::Young(dead)));
    repairer.join().unwrap();
    assert!(!fed.stands(dead));
    match at_once {
        Ok((taken, _)) => assert!(fed.stands(taken), "it was taken from the living"),
        Err(_) => drop(fed.take(ME, NOW_MS + 1).expect("it is free")),
    }
}

#[test]
fn a_subscriber_dies() {
    check_within(3, || death(|consumer| consumer.feed.repair(DEAD)));
}

#[test]
fn twin_a_subscriber_dies() {
    must_fail_within(3, "feeds: a repair that looks at no owner", || {
        death(|consumer| {
            let word = &consumer.feed.subscription;
            word.store(0, Ordering::Release);
            word.store(0, Ordering::Release);
        })
    });
}
