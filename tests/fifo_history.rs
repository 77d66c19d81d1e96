//! The checker of the FIFO torture: it takes histories that may be, and refuses those that may not.
#![cfg(not(ringmain_loom))]

#[path = "fifo_torture/check.rs"]
#[allow(dead_code)] // the torture counts more
mod check;
#[path = "fifo_torture/history.rs"]
#[allow(dead_code)]
mod history;

use check::{Checker, Fault};
use history::{Answer, Deed, History, Hold, NEVER, Place, Reply, Send, Settle};

const MS: u64 = 1_000_000;
const WINDOW_MS: u64 = 1000;
const VISIBILITY_MS: u64 = 100;

fn place(sequence: u64) -> Place {
    Place {
        id: 1000 + sequence as u128,
        sequence,
    }
}

/// A send of `token` that took a millisecond; its id is the token.
fn send(token: u64, at_ms: u64, reply: Option<Reply>) -> Send {
    Send {
        life: 1,
        call: token as u32,
        group: 0,
        id: token,
        token,
        from: at_ms * MS,
        to: (at_ms + 1) * MS,
        reply,
    }
}

/// A receive of the message with this token and number, by a life of its own.
fn hold(life: u32, token: u64, sequence: u64, at_ms: u64) -> Hold {
    Hold {
        life,
        call: 1,
        group: 0,
        id: token,
        token,
        place: place(sequence),
        count: 1,
        from: at_ms * MS,
        to: (at_ms + 1) * MS,
        received_ms: at_ms,
        due_ms: at_ms + VISIBILITY_MS,
        settles: Vec::new(),
        alive_to: NEVER,
    }
}

impl Hold {
    fn then(mut self, deed: Deed, at_ms: u64, answer: Option<Answer>) -> Self {
        self.settles.push(Settle {
            deed,
            from: at_ms * MS,
            outcome: answer.map(|answer| ((at_ms + 1) * MS, answer)),
        });
        self
    }

    fn deleted(self, at_ms: u64) -> Self {
        self.then(Deed::Delete, at_ms, Some(Answer::Ok))
    }

    fn the(mut self, count: u32) -> Self {
        self.count = count;
        self
    }
}

/// Two messages in order, each received and deleted.
fn sound() -> History {
    History {
        sends: vec![
            send(1, 0, Some(Reply::New(place(1)))),
            send(2, 2, Some(Reply::New(place(2)))),
        ],
        holds: vec![hold(1, 1, 1, 10).deleted(20), hold(2, 2, 2, 30).deleted(40)],
    }
}

fn faults(history: &History) -> Vec<Fault> {
    let violations = Checker::new(WINDOW_MS).check(history);
    violations.iter().map(|found| found.fault).collect()
}

#[track_caller]
fn refused(history: &History, fault: Fault) {
    let found = faults(history);
    assert!(found.contains(&fault), "{fault:?} is not among {found:?}");
}

#[track_caller]
fn taken(history: &History) {
    let violations = Checker::new(WINDOW_MS).check(history);
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_sound_history_is_taken() {
    taken(&sound());
}

#[test]
fn a_lost_message_is_found() {
    let mut never = sound();
    never.holds.pop();
    refused(&never, Fault::Lost);
    let mut gone = sound();
    gone.holds[1].settles.clear();
    refused(&gone, Fault::Lost);
    let mut late = sound();
    late.holds[1].settles[0].outcome = Some((41 * MS, Answer::Expired));
    refused(&late, Fault::Lost);
}

#[test]
fn a_death_leaves_a_delete_open() {
    let mut history = sound();
    history.holds[0].settles[0].outcome = None;
    history.holds[0].alive_to = 21 * MS;
    taken(&history);
    history
        .holds
        .insert(1, hold(3, 1, 1, 22).the(2).deleted(23));
    taken(&history);
}

#[test]
fn a_send_that_a_death_left_open_is_accepted_or_not() {
    let mut history = sound();
    history.sends[1].reply = None;
    taken(&history);
    history.holds.pop();
    taken(&history);
}

#[test]
fn a_first_delivery_out_of_order_is_found() {
    let mut history = sound();
    history.holds = vec![hold(1, 2, 2, 10).deleted(20), hold(2, 1, 1, 30).deleted(40)];
    refused(&history, Fault::Reordered);
}

#[test]
fn the_next_message_comes_with_the_oldest_or_after_its_delete() {
    let mut together = sound();
    together.holds = vec![hold(1, 1, 1, 10).deleted(20), hold(1, 2, 2, 10).deleted(21)];
    taken(&together);
    together.holds.swap(0, 1);
    refused(&together, Fault::Reordered);
    let mut early = sound();
    // Its time is over, but it was not deleted.
    early.holds = vec![
        hold(1, 1, 1, 10),
        hold(2, 2, 2, 200).deleted(210),
        hold(3, 1, 1, 220).the(2).deleted(230),
    ];
    refused(&early, Fault::Reordered);
}

#[test]
fn numbers_go_with_the_order_of_sends() {
    let mut history = sound();
    history.sends[0].from = 5 * MS;
    history.sends[0].to = 6 * MS;
    refused(&history, Fault::Reordered);
    history.sends[1].to = 7 * MS; // at the same time: either may be first
    taken(&history);
}

#[test]
fn a_batch_has_growing_numbers() {
    let mut history = sound();
    history.sends.swap(0, 1);
    for send in &mut history.sends {
        (send.call, send.from, send.to) = (1, 0, 3 * MS);
    }
    refused(&history, Fault::Reordered);
}

#[test]
fn a_group_that_two_hold_is_found() {
    let mut history = sound();
    history.holds = vec![
        hold(1, 1, 1, 10).then(Deed::Delete, 60, Some(Answer::Stale)),
        hold(2, 1, 1, 30).the(2).deleted(40),
        hold(2, 2, 2, 50).deleted(52),
    ];
    refused(&history, Fault::Doubled);
    history.holds[0].alive_to = 25 * MS; // it died
    history.holds[0].settles.clear();
    taken(&history);
    // What is detached outlives it.
    let detached = hold(1, 1, 1, 10).then(Deed::Detach, 15, Some(Answer::Ok));
    history.holds[0].settles = detached.settles;
    refused(&history, Fault::Doubled);
}

#[test]
fn what_is_held_behind_the_oldest_locks_too() {
    let mut history = sound();
    history.sends.push(send(3, 4, Some(Reply::New(place(3)))));
    let batch = [hold(1, 1, 1, 10).deleted(12), hold(1, 2, 2, 10).deleted(60)];
    history.holds = batch.to_vec();
    history.holds.push(hold(2, 3, 3, 30).deleted(40));
    refused(&history, Fault::Doubled);
    history.holds[2] = hold(2, 3, 3, 70).deleted(80);
    taken(&history);
}

#[test]
fn a_hold_ends_with_its_time_and_an_extension_makes_it_longer() {
    let mut history = sound();
    history.holds = vec![
        hold(1, 1, 1, 10).then(Deed::Delete, 250, Some(Answer::Stale)),
        hold(2, 1, 1, 115).the(2).deleted(120),
        hold(2, 2, 2, 130).deleted(140),
    ];
    taken(&history);
    let extended = hold(1, 1, 1, 10)
        .then(Deed::Extend(100), 50, Some(Answer::Ok))
        .then(Deed::Delete, 250, Some(Answer::Stale));
    history.holds[0] = extended;
    refused(&history, Fault::Doubled);
}

#[test]
fn what_is_deleted_does_not_come_back() {
    let mut history = sound();
    history
        .holds
        .insert(1, hold(3, 1, 1, 25).the(2).deleted(26));
    refused(&history, Fault::Doubled);
}

#[test]
fn an_id_is_accepted_once_in_its_window() {
    let mut history = sound();
    history.sends[1].id = 1;
    history.holds[1].id = 1;
    refused(&history, Fault::Window);
    let mut later = sound();
    (later.sends[1].id, later.holds[1].id) = (1, 1);
    later.sends[1].from = (WINDOW_MS + 1) * MS;
    later.sends[1].to = (WINDOW_MS + 2) * MS;
    later.holds[1] = hold(2, 2, 2, WINDOW_MS + 5).deleted(WINDOW_MS + 6);
    later.holds[1].id = 1;
    taken(&later);
}

#[test]
fn the_window_reaches_over_histories() {
    let mut checker = Checker::new(WINDOW_MS);
    assert!(checker.check(&sound()).is_empty());
    let duplicate = |at_ms| Send {
        id: 2,
        ..send(3, at_ms, Some(Reply::Duplicate(place(2))))
    };
    let mut next = History::default();
    next.sends.push(duplicate(900));
    assert!(checker.check(&next).is_empty());
    next.sends[0] = duplicate(WINDOW_MS + 10);
    assert_eq!(checker.check(&next)[0].fault, Fault::Window);
    next.sends[0] = Send {
        id: 2,
        ..send(3, 900, Some(Reply::New(place(3))))
    };
    next.holds = vec![hold(1, 3, 3, 910).deleted(920)];
    next.holds[0].id = 2;
    assert_eq!(checker.check(&next)[0].fault, Fault::Window);
}

#[test]
fn a_duplicate_names_the_first_and_is_not_delivered() {
    let mut history = sound();
    let again = |reply| Send {
        id: 1,
        ..send(3, 5, Some(reply))
    };
    history.sends.push(again(Reply::Duplicate(place(1))));
    taken(&history);
    history.sends[2] = again(Reply::Duplicate(place(2)));
    refused(&history, Fault::Lost);
    history.sends[2] = again(Reply::Duplicate(Place { id: 7, ..place(1) }));
    refused(&history, Fault::Lost);
    history.sends[2] = again(Reply::Duplicate(place(1)));
    history.holds.push(hold(1, 3, 3, 50).deleted(60));
    history.holds[2].id = 1;
    refused(&history, Fault::Strange);
}

#[test]
fn answers_go_with_the_time() {
    let mut early = sound();
    early.holds[1] = hold(2, 2, 2, 30).then(Deed::Delete, 40, Some(Answer::Expired));
    early.holds.push(hold(3, 2, 2, 200).the(2).deleted(210));
    refused(&early, Fault::Answer);
    let mut late = sound();
    late.holds[1] = hold(2, 2, 2, 30).deleted(131);
    refused(&late, Fault::Answer);
    // Unless another one has deleted it before.
    late.holds.push(hold(3, 2, 2, 130).the(2).deleted(131));
    taken(&late);
    let mut extended = sound();
    extended.holds[1] = hold(2, 2, 2, 30)
        .then(Deed::Extend(50), 135, Some(Answer::Ok))
        .deleted(150);
    refused(&extended, Fault::Answer);
}

#[test]
fn what_nobody_sent_is_found_and_so_are_wrong_counts() {
    let mut history = sound();
    history.holds.push(hold(1, 9, 9, 50).deleted(60));
    refused(&history, Fault::Strange);
    let mut counts = sound();
    counts.holds[0].settles.clear();
    counts.holds[0].alive_to = 12 * MS;
    counts.holds.insert(1, hold(3, 1, 1, 15).deleted(20));
    refused(&counts, Fault::Strange);
    counts.holds[1].count = 2;
    taken(&counts);
}
