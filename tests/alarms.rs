//! Alarms: thresholds, periods, hysteresis and missing data, each on a clock set by hand, and a
//! monitor over a queue. A history written by hand says what each rule must give.
#![cfg(all(feature = "std", not(ringmain_loom)))]

use ringmain::{
    Alarm, AlarmOptions, AlarmState, Comparison, Error, Heap, ManualClock, Metric, MissingData,
    Monitor, Queue, QueueOptions, Statistic,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn above(threshold: f64) -> AlarmOptions {
    AlarmOptions::new(Comparison::Greater, threshold).period(SECOND)
}

/// One value a second from second 0 on, `None` for a second without one; the state after each
/// second, as a letter.
fn states(options: AlarmOptions, values: &[Option<f64>]) -> String {
    let mut alarm = Alarm::new(options).expect("sound options");
    let mut states = String::new();
    for (second, value) in (0..).zip(values) {
        if let Some(value) = value {
            alarm.observe(SECOND * second + SECOND / 2, *value);
        }
        let before = alarm.state();
        let change = alarm.tick(SECOND * (second + 1));
        assert_eq!(change.is_some(), before != alarm.state());
        if let Some(change) = change {
            assert_eq!((change.from, change.to), (before, alarm.state()));
            assert_eq!(
                (change.at, change.datapoint),
                (SECOND * (second + 1), *value)
            );
        }
        states.push(match alarm.state() {
            AlarmState::InsufficientData => '?',
            AlarmState::Ok => '-',
            AlarmState::Alarm => '!',
        });
    }
    states
}

fn all(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

#[test]
fn each_comparison_has_its_side() {
    let beyond = |comparison, value| {
        let options = AlarmOptions::new(comparison, 5.0).period(SECOND);
        states(options, &[Some(value)]) == "!"
    };
    let of = |comparison| [4.0, 5.0, 6.0].map(|value| beyond(comparison, value));
    assert_eq!(of(Comparison::Greater), [false, false, true]);
    assert_eq!(of(Comparison::GreaterOrEqual), [false, true, true]);
    assert_eq!(of(Comparison::Less), [true, false, false]);
    assert_eq!(of(Comparison::LessOrEqual), [true, true, false]);
}

#[test]
fn m_of_n_datapoints_make_an_alarm() {
    let options = above(5.0).evaluation_periods(3).datapoints_to_alarm(2);
    let values = all(&[9.0, 1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 9.0, 1.0, 9.0]);
    assert_eq!(states(options, &values), "??--!!---!");
    let every = above(5.0).evaluation_periods(3);
    assert_eq!(states(every, &values), "?---------");
    let first = above(5.0).evaluation_periods(3).datapoints_to_alarm(1);
    assert_eq!(states(first, &values), "!!!!!!!!!!");
}

#[test]
fn an_alarm_ends_by_its_own_threshold() {
    let values = all(&[4.0, 11.0, 8.0, 6.0, 5.1, 5.0, 8.0, 10.0, 10.1]);
    assert_eq!(states(above(10.0).clear_at(5.0), &values), "-!!!!---!");
    assert_eq!(states(above(10.0), &values), "-!------!");
    let below = AlarmOptions::new(Comparison::Less, 2.0).period(SECOND);
    let values = all(&[1.0, 3.0, 3.9, 4.0, 3.0, 1.9]);
    assert_eq!(states(below.clear_at(4.0), &values), "!!!--!");
}

#[test]
fn missing_periods_stand_for_what_is_said() {
    let options = above(5.0).evaluation_periods(2);
    let values = [
        Some(9.0),
        Some(9.0),
        None,
        None,
        Some(9.0),
        None,
        Some(1.0),
        None,
        None,
    ];
    let states = |missing| states(options.missing_data(missing), &values);
    assert_eq!(states(MissingData::Missing), "?!!???--?");
    assert_eq!(states(MissingData::Breaching), "?!!!!!--!");
    assert_eq!(states(MissingData::NotBreaching), "?!-------");
    assert_eq!(states(MissingData::Ignore), "?!!!!!---");
}

#[test]
fn a_long_gap_is_all_missing_periods() {
    for missing in [MissingData::Missing, MissingData::Breaching] {
        let options = above(5.0).evaluation_periods(100).datapoints_to_alarm(1);
        let mut alarm = Alarm::new(options.missing_data(missing)).expect("sound options");
        for second in 0..100 {
            alarm.observe(SECOND * second, 1.0);
        }
        alarm.tick(SECOND * 100);
        // A gap of a century costs no more than one of n periods.
        let later = SECOND * 4_000_000_000;
        let change = alarm.tick(later).expect("another state");
        let expected = match missing {
            MissingData::Breaching => AlarmState::Alarm,
            _ => AlarmState::InsufficientData,
        };
        assert_eq!((change.to, change.datapoint), (expected, None));
        assert_eq!(
            alarm.tick(Duration::MAX),
            None,
            "and a leap to the end of time"
        );
    }
}

#[test]
fn a_period_has_one_datapoint_by_its_statistic() {
    let datapoint = |statistic| {
        let options = AlarmOptions::new(Comparison::GreaterOrEqual, f64::NEG_INFINITY)
            .period(SECOND * 2)
            .statistic(statistic);
        let mut alarm = Alarm::new(options).expect("sound options");
        for value in [3.0, f64::NAN, 1.0, 8.0] {
            alarm.observe(SECOND, value);
        }
        let change = alarm.observe(SECOND * 2, 100.0).expect("a state");
        change.datapoint.expect("a datapoint")
    };
    assert_eq!(datapoint(Statistic::Average), 4.0);
    assert_eq!(datapoint(Statistic::Minimum), 1.0);
    assert_eq!(datapoint(Statistic::Maximum), 8.0);
    assert_eq!(datapoint(Statistic::Sum), 12.0);
    assert_eq!(datapoint(Statistic::Rate), 6.0);
}

#[test]
fn times_that_run_backwards_change_nothing() {
    let mut alarm = Alarm::new(above(5.0)).expect("sound options");
    alarm.observe(SECOND * 10, 9.0);
    assert_eq!(alarm.observe(SECOND * 3, 9.0), None);
    let change = alarm.tick(SECOND * 11).expect("an alarm");
    assert_eq!((change.at, change.datapoint), (SECOND * 11, Some(9.0)));
}

#[test]
fn what_cannot_be_is_refused_with_its_range() {
    let refused = |options| match Alarm::new(options) {
        Err(error @ Error::OutOfRange { .. }) => error.to_string(),
        other => panic!("{other:?} is not a refusal"),
    };
    let said = refused(above(1.0).evaluation_periods(101));
    assert!(
        said.contains("evaluation periods is 101; it must be 1 to 100"),
        "{said}"
    );
    let said = refused(above(1.0).evaluation_periods(3).datapoints_to_alarm(4));
    assert!(
        said.contains("datapoints to alarm is 4; it must be 1 to 3"),
        "{said}"
    );
    for options in [
        above(1.0).evaluation_periods(0),
        above(1.0).datapoints_to_alarm(0),
        above(1.0).period(Duration::ZERO),
        above(1.0).period(Duration::from_micros(999)),
        above(1.0).period(SECOND * 86_401),
        above(1.0).clear_at(1.1),
        above(f64::NAN),
        above(1.0).clear_at(f64::NAN),
        AlarmOptions::new(Comparison::Less, 1.0).clear_at(0.9),
    ] {
        refused(options);
    }
    assert!(Alarm::new(above(1.0).evaluation_periods(100).period(SECOND * 86_400)).is_ok());
}

/// A queue's figures, and what is computed from them, feed the alarms; each change is told once.
#[test]
fn a_monitor_tells_each_change_of_each_alarm() {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 16).expect("memory");
    let queue = Queue::create_with(region, QueueOptions::new(), &clock).expect("a queue");
    let workers = Arc::new(AtomicU64::new(1));
    let counted = Arc::clone(&workers);
    let backlog = Metric::of(move |stats| {
        let workers = counted.load(Ordering::Relaxed);
        (workers != 0).then(|| stats.visible as f64 / workers as f64)
    });
    let mut monitor = Monitor::new(&clock);
    let add = |monitor: &mut Monitor<_>, name: &str, metric, options| {
        monitor.add(name, metric, options).expect("sound options");
    };
    add(&mut monitor, "backlog", backlog, above(4.0).clear_at(1.0));
    add(&mut monitor, "old", Metric::OldestAge, above(1.5));
    let sends = above(4.0).statistic(Statistic::Rate);
    add(&mut monitor, "sends", Metric::Sent, sends);
    assert_eq!(monitor.state("sends"), Some(AlarmState::InsufficientData));
    assert_eq!(monitor.state("unknown"), None);

    let mut look = |expected: &[&str]| {
        let stats = queue.stat().expect("figures");
        let mut changes = Vec::new();
        monitor.look(&stats, |name, change| {
            changes.push(format!("{name}: {} to {}", change.from, change.to));
        });
        assert_eq!(changes, expected, "at {:?}", stats);
        clock.advance(SECOND);
    };
    look(&[]);
    for number in 0..6u8 {
        queue.send(&[number]).expect("room");
    }
    look(&[
        "backlog: insufficient data to ok",
        "old: insufficient data to ok",
    ]);
    // Six messages for one worker, six sends within the second; none is old yet.
    look(&["backlog: ok to alarm", "sends: insufficient data to alarm"]);
    workers.store(2, Ordering::Relaxed); // three for each: not more than four, but than one
    look(&["sends: alarm to ok"]);
    look(&["old: ok to alarm"]);
    while let Some(received) = queue.receive().expect("a receive") {
        received.delete().expect("a delete");
    }
    look(&[]);
    look(&["backlog: alarm to ok", "old: alarm to ok"]);
    workers.store(0, Ordering::Relaxed); // no value at all
    look(&[]);
    look(&["backlog: ok to insufficient data"]);
    let mut changes = 0;
    clock.advance(SECOND);
    monitor.tick(|_, change| {
        assert_eq!(change.to, AlarmState::InsufficientData);
        changes += 1;
    });
    assert_eq!(changes, 2, "nobody looked for a whole period");
}
