//! A plain model of the queue, right at a glance, held against random histories over three homes on
//! a clock that is set by hand. After each operation the model and the queue must agree on what
//! came back, on what is visible and in flight at this very millisecond, and on the free slots.
//!
//! `RINGMAIN_MODEL_CASES` sets the number of histories for each home (default 80, of 500 operations
//! each); `RINGMAIN_MODEL_OPERATIONS` raises it to as many as make that number of operations over
//! the three homes together. A model with one rule altered is caught, rule by rule.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

#[path = "model/drive.rs"]
mod drive;
#[path = "model/history.rs"]
mod history;
#[path = "model/op.rs"]
mod op;
#[path = "model/reference.rs"]
mod reference;
#[path = "model/steps.rs"]
mod steps;

use common::{Dir, number_of};
use drive::Drive;
use history::histories;
use op::Op;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use reference::Rule;
use ringmain::{Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions};
use std::time::Duration;

const CASES: u32 = 80;
const OPS: usize = 500;
const HOMES: u64 = 3;
const TWIN_CASES: u32 = 60;

const OPTIONS: QueueOptions = QueueOptions::new()
    .visibility(Duration::from_millis(reference::VISIBILITY_MS))
    .retention(Duration::from_secs(14 * 86_400))
    .typical_body(88);

/// How many operations each home must do at least.
fn operations() -> u64 {
    number_of("RINGMAIN_MODEL_OPERATIONS", 0).div_ceil(HOMES)
}

fn cases() -> u32 {
    let cases = number_of("RINGMAIN_MODEL_CASES", CASES as u64);
    let least = operations().div_ceil(history::least(OPS) as u64);
    u32::try_from(cases.max(least)).expect("a number of histories")
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 1_000,
        ..Config::default()
    }
}

/// Runs histories against a home; the number of operations done, or the shortest history that
/// tells the two apart.
fn compare(
    cases: u32,
    home: impl Fn(&[Op]) -> Result<usize, String>,
) -> Result<usize, TestError<Vec<Op>>> {
    // The same histories in each run: a failure comes again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config(cases), rng);
    let done = std::cell::Cell::new(0);
    runner.run(&histories(OPS), |ops| {
        let count = home(&ops).map_err(TestCaseError::fail)?;
        done.set(done.get() + count);
        Ok(())
    })?;
    Ok(done.get())
}

fn fixed(rule: Rule, ops: &[Op]) -> Result<usize, String> {
    let clock = ManualClock::new(77);
    let queue: Queue<Fixed<70, 100, 2>, _> = Queue::fixed(&clock, OPTIONS);
    Drive::new(&queue, &clock, rule).history(ops)
}

fn heap(rule: Rule, ops: &[Op]) -> Result<usize, String> {
    let clock = ManualClock::new(77);
    let region = Heap::new(48 << 10).map_err(|error| error.to_string())?;
    let queue = Queue::create_with(region, OPTIONS, &clock).map_err(|error| error.to_string())?;
    Drive::new(&queue, &clock, rule).history(ops)
}

fn mapped(dir: &Dir, ops: &[Op]) -> Result<usize, String> {
    let path = dir.file("q.ring");
    let clock = ManualClock::new(77);
    let region = Mapped::create(&path, 96 << 10).map_err(|error| error.to_string())?;
    let queue = Queue::create_with(&region, OPTIONS, &clock).map_err(|error| error.to_string())?;
    let second = Mapped::open(&path).map_err(|error| error.to_string())?;
    let second = Queue::open_with(&second, &clock).map_err(|error| error.to_string())?;
    let drive = Drive::new(&queue, &clock, Rule::Right).beside(&second);
    let result = drive.history(ops);
    std::fs::remove_file(path).map_err(|error| error.to_string())?;
    result
}

fn agree(name: &str, home: impl Fn(&[Op]) -> Result<usize, String>) {
    let cases = cases();
    match compare(cases, home) {
        Ok(done) => {
            let least = operations().max(34_000 * cases as u64 / CASES as u64);
            assert!(done as u64 >= least, "{done} operations of {least}");
            println!("{name}: {done} operations compared, and all agree");
        }
        Err(error) => panic!("model and queue differ: {error}"),
    }
}

#[test]
fn the_static_home_does_what_the_model_does() {
    agree("static home", |ops| fixed(Rule::Right, ops));
}

#[test]
fn the_heap_does_what_the_model_does() {
    agree("heap", |ops| heap(Rule::Right, ops));
}

#[test]
fn a_mapped_file_does_what_the_model_does() {
    let dir = Dir::shm("model");
    agree("mapped file", |ops| mapped(&dir, ops));
}

/// The comparison can fail: each altered rule is found out.
#[test]
fn a_model_with_one_rule_altered_is_caught() {
    let altered = [
        Rule::VisibilityOneMsLonger,
        Rule::VisibilityOneMsShorter,
        Rule::StaleReceiptDeletes,
        Rule::LateDeleteIsRefused,
        Rule::ReceivesAreNotCounted,
        Rule::PurgeSparesTheHeld,
        Rule::PurgeAsOftenAsOneLikes,
        Rule::PurgeWaitsOneMsLonger,
        Rule::ReadersKeepNothing,
        Rule::DelayOneMsLonger,
        Rule::DelayOneMsShorter,
        Rule::DelayedCountsAsInFlight,
        Rule::AttributesAreLost,
    ];
    for rule in altered {
        let caught = compare(TWIN_CASES, |ops| fixed(rule, ops));
        assert!(
            matches!(caught, Err(TestError::Fail(..))),
            "{rule:?} was not caught"
        );
    }
}
