//! A plain model of the queue, right at a glance, held against random histories over three homes on
//! a clock that is set by hand. After each operation the model and the queue must agree on what
//! came back, on what is visible and in flight at this very millisecond, and on the free slots.
//!
//! `RINGMAIN_MODEL_CASES` sets the number of histories for each home (default 80, of 500 operations
//! each). A model with one rule altered is caught, rule by rule.
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

use common::Dir;
use drive::Drive;
use history::histories;
use op::Op;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use reference::Rule;
use ringmain::{Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions};
use std::time::Duration;

const CASES: u32 = 80;
const OPS: usize = 500;
const TWIN_CASES: u32 = 60;

const OPTIONS: QueueOptions = QueueOptions::new()
    .visibility(Duration::from_millis(reference::VISIBILITY_MS))
    .retention(Duration::from_secs(14 * 86_400))
    .typical_body(88);

fn cases() -> u32 {
    std::env::var("RINGMAIN_MODEL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CASES)
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

fn agree(cases: u32, home: impl Fn(&[Op]) -> Result<usize, String>) {
    match compare(cases, home) {
        Ok(done) => {
            assert!(
                done as u64 >= 34_000 * cases as u64 / CASES as u64,
                "{done} operations"
            );
            println!("{done} operations agree");
        }
        Err(error) => panic!("model and queue differ: {error}"),
    }
}

#[test]
fn the_static_home_does_what_the_model_does() {
    agree(cases(), |ops| fixed(Rule::Right, ops));
}

#[test]
fn the_heap_does_what_the_model_does() {
    agree(cases(), |ops| heap(Rule::Right, ops));
}

#[test]
fn a_mapped_file_does_what_the_model_does() {
    let dir = Dir::shm("model");
    agree(cases(), |ops| mapped(&dir, ops));
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
        Rule::ReadersKeepNothing,
    ];
    for rule in altered {
        let caught = compare(TWIN_CASES, |ops| fixed(rule, ops));
        assert!(
            matches!(caught, Err(TestError::Fail(..))),
            "{rule:?} was not caught"
        );
    }
}
