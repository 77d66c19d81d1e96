//! What may be changed while a queue lives, and what may not.

use super::ground::{Ground, VISIBILITY};
use ringmain::{Durability, Error, Message, QueueOptions, Region};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAYS_4: Duration = Duration::from_secs(4 * 86_400);
const DAYS_14: Duration = Duration::from_secs(14 * 86_400);
const HOURS_12: Duration = Duration::from_secs(12 * 3600);
const MINUTES_15: Duration = Duration::from_secs(900);

pub fn options_are_told<R: Region>(on: &Ground<'_, R>) {
    let options = on.queue.options();
    let same = options
        .visibility(VISIBILITY)
        .retention(DAYS_4)
        .delay(Duration::ZERO)
        .max_body(on.queue.max_body());
    assert_eq!(options, same);
    let stat = on.stat();
    assert_eq!((stat.visibility, stat.retention), (VISIBILITY, DAYS_4));
    assert_eq!(stat.delay, Duration::ZERO);
    // As they are, they may be set again.
    assert_eq!(on.queue.reconfigure(|_| options), Ok(()));
    assert_eq!(on.queue.options(), options);
}

pub fn both_ends_of_each_range_may_be_set<R: Region>(on: &Ground<'_, R>) {
    let ends = [
        (Duration::ZERO, MINUTE, Duration::ZERO),
        (HOURS_12, DAYS_14, MINUTES_15),
        (MS, MINUTE + MS, MS),
    ];
    for (visibility, retention, delay) in ends {
        let options = on.queue.options();
        let wanted = options
            .visibility(visibility)
            .retention(retention)
            .delay(delay);
        on.queue.reconfigure(|_| wanted).expect("other settings");
        assert_eq!(on.queue.options(), wanted);
        let stat = on.stat();
        let found = (stat.visibility, stat.retention, stat.delay);
        assert_eq!(found, (visibility, retention, delay));
    }
}

/// Every later receive has the new timeout; what is held keeps its own.
pub fn a_new_visibility_is_for_later_receives<R: Region>(on: &Ground<'_, R>) {
    on.send(b"first");
    on.send(b"second");
    let first = on.receive();
    on.set(|options| options.visibility(SECOND));
    let second = on.receive();
    on.pass(SECOND - MS);
    assert_eq!(on.counts(), (0, 2));
    on.pass(MS);
    assert_eq!(on.counts(), (1, 1));
    second.delete().expect("a late delete");
    on.pass(VISIBILITY - SECOND - MS);
    assert_eq!(on.counts(), (0, 1));
    on.pass(MS);
    assert_eq!(on.counts(), (1, 0));
    first.delete().expect("a late delete");
    // A receive with a timeout of its own keeps to that, and 0 s hides nothing.
    on.set(|options| options.visibility(Duration::ZERO));
    on.send(b"third");
    drop(on.receive());
    assert_eq!(on.counts(), (1, 0));
    let batch = on.queue.receive_batch_for(1, SECOND * 2).expect("a batch");
    assert_eq!(batch[0].receive_count(), 2);
    drop(batch);
    on.pass(SECOND * 2 - MS);
    on.nothing();
    on.pass(MS);
    on.receive().delete().expect("a delete");
}

#[track_caller]
fn refused<R: Region>(on: &Ground<'_, R>, options: QueueOptions, words: &str) -> Error {
    let before = on.queue.options();
    let error = on
        .queue
        .reconfigure(|_| options)
        .expect_err("not to be changed");
    let said = error.to_string();
    assert!(said.contains(words), "{words} is not in: {said}");
    assert_eq!(on.queue.options(), before, "nothing has changed: {said}");
    error
}

pub fn fixed_options_are_not_changed<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.visibility(SECOND));
    // With another setting that would do.
    let options = on.queue.options().visibility(SECOND * 2).delay(SECOND);
    let max = on.queue.max_body();
    let fixed = [
        (options.typical_body(1), "typical_body"),
        (options.typical_body(1 << 16), "typical_body"),
        (options.max_body(max + 1), "max_body"),
        (options.max_body(max - 1), "max_body"),
        (options.durability(Durability::BeforeOk), "durability"),
        (
            options.durability(Durability::Interval(SECOND)),
            "durability",
        ),
    ];
    for (options, words) in fixed {
        let error = refused(on, options, words);
        assert!(matches!(error, Error::OptionsDiffer { .. }), "{error:?}");
    }
    let both = [true, false].map(|check| on.queue.reconfigure(|_| options.checksum(check)));
    let differs = |outcome: &Result<(), Error>| matches!(outcome, Err(Error::OptionsDiffer { .. }));
    assert_eq!(both.iter().filter(|outcome| differs(outcome)).count(), 1);
    assert_eq!(both.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(on.queue.options(), options);
}

pub fn settings_out_of_range_change_nothing<R: Region>(on: &Ground<'_, R>) {
    // Beside another setting that would do, whichever comes first.
    let options = on.queue.options();
    let good = options.visibility(SECOND).retention(MINUTE).delay(SECOND);
    let bad = [
        (good.visibility(HOURS_12 + MS), "0 to 43200000"),
        (good.visibility(Duration::MAX), "0 to 43200000"),
        (good.retention(MINUTE - MS), "60000 to 1209600000"),
        (good.retention(Duration::ZERO), "60000 to 1209600000"),
        (good.retention(DAYS_14 + MS), "60000 to 1209600000"),
        (good.delay(MINUTES_15 + MS), "0 to 900000"),
        (good.delay(Duration::MAX), "0 to 900000"),
    ];
    for (options, range) in bad {
        let error = refused(on, options, range);
        assert!(matches!(error, Error::OutOfRange { .. }), "{error:?}");
    }
    on.send_message(&Message::new("at once"));
    let received = on.receive();
    on.pass(SECOND);
    assert_eq!(on.counts(), (0, 1), "the visibility is what it was");
    received.delete().expect("a delete");
}

/// Two who change different options at once both have their way: what a change leaves alone is not
/// written.
pub fn changes_at_once_do_not_undo_each_other<R: Region>(on: &Ground<'_, R>) {
    let changed = on.queue.reconfigure(|options| {
        // Another one comes and goes between this one's look and its writing.
        on.set(|options| options.delay(SECOND).max_receives(7));
        options.visibility(SECOND * 3)
    });
    assert_eq!(changed, Ok(()));
    let options = on.queue.options();
    assert_eq!(options.get_visibility(), SECOND * 3);
    assert_eq!(options.get_delay(), SECOND);
    assert_eq!(options.get_max_receives(), Some(7));
    on.set(|options| options.no_max_receives());
    assert_eq!(on.queue.options().get_max_receives(), None);
}

pub fn options_are_read_by_name<R: Region>(on: &Ground<'_, R>) {
    on.set(|options| options.retention(SECOND * 60).max_in_flight(77));
    let options = on.queue.options();
    assert_eq!(options.get_retention(), SECOND * 60);
    assert_eq!(options.get_max_in_flight(), 77);
    assert_eq!(options.get_max_body(), Some(on.queue.max_body()));
    assert!(options.get_typical_body() >= 88 && options.get_checksum().is_some());
    assert_eq!(options.get_durability(), Durability::Process);
    let plain = QueueOptions::new();
    assert_eq!((plain.get_max_body(), plain.get_checksum()), (None, None));
}
