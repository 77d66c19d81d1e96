//! A plain model of the queue and its queue of dead letters, right at a glance, held against random
//! histories over three homes on a clock that is set by hand. After each operation the model and
//! the queues must agree on what came back, on what is visible, in flight and delayed at this very
//! millisecond, on what moved, and on the free slots; now and then on the latencies.
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
#[path = "model/letters.rs"]
mod letters;
#[path = "model/moves.rs"]
mod moves;
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
/// Fewer slots than the longest bodies of histories would want.
const BODY_MAX: usize = 8_900;

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

/// How often a history that tells queue and model apart is tried in a shorter form, for who will
/// read it.
const SHORTER: u32 = 1_000;
/// Nobody reads what an altered model does: that it is told apart is enough.
const AS_FOUND: u32 = 0;

/// Runs histories against a home; the number of operations done, or a short history that tells the
/// two apart.
fn compare(
    cases: u32,
    max_shrink_iters: u32,
    home: impl Fn(&[Op]) -> Result<usize, String>,
) -> Result<usize, TestError<Vec<Op>>> {
    // The same histories in each run: a failure comes again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let done = std::cell::Cell::new(0);
    runner.run(&histories(OPS), |ops| {
        let count = home(&ops).map_err(TestCaseError::fail)?;
        done.set(done.get() + count);
        Ok(())
    })?;
    Ok(done.get())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn fixed(rule: Rule, ops: &[Op]) -> Result<usize, String> {
    let clock = ManualClock::new(77);
    let dead: Queue<Fixed<30, 100>, _> = Queue::fixed(&clock, OPTIONS);
    let jobs: Queue<Fixed<70, 100, 2>, _> = Queue::fixed(&clock, OPTIONS);
    let jobs = jobs.with_dead_letters(dead.by_ref()).map_err(text)?;
    Drive::new(&jobs, &dead, &clock, rule).history(ops)
}

fn heap(rule: Rule, ops: &[Op]) -> Result<usize, String> {
    let clock = ManualClock::new(77);
    let queue = |len| Queue::create_with(Heap::new(len)?, OPTIONS.max_body(BODY_MAX), &clock);
    let (jobs, dead) = (
        queue(48 << 10).map_err(text)?,
        queue(20 << 10).map_err(text)?,
    );
    let jobs = jobs.with_dead_letters(dead.by_ref()).map_err(text)?;
    Drive::new(&jobs, &dead, &clock, rule).history(ops)
}

fn mapped(dir: &Dir, ops: &[Op]) -> Result<usize, String> {
    let (path, dead_path) = (dir.file("q.ring"), dir.file("dead.ring"));
    let clock = ManualClock::new(77);
    let create = |path, len| Mapped::create(path, len).map_err(text);
    let (region, dead) = (create(&path, 96 << 10)?, create(&dead_path, 36 << 10)?);
    for region in [&region, &dead] {
        Queue::create_with(region, OPTIONS.max_body(BODY_MAX), &clock).map_err(text)?;
    }
    let other = Mapped::open(&path).map_err(text)?;
    let other_dead = Mapped::open(&dead_path).map_err(text)?;
    let open = |region| Queue::open_with(region, &clock).map_err(text);
    let (dead, other_dead) = (open(&dead)?, open(&other_dead)?);
    let jobs = open(&region)?
        .with_dead_letters(dead.by_ref())
        .map_err(text)?;
    let other = open(&other)?
        .with_dead_letters(other_dead.by_ref())
        .map_err(text)?;
    let drive = Drive::new(&jobs, &dead, &clock, Rule::Right).beside(&other, &other_dead);
    let result = drive.history(ops);
    for path in [path, dead_path] {
        std::fs::remove_file(path).map_err(text)?;
    }
    result
}

fn agree(name: &str, home: impl Fn(&[Op]) -> Result<usize, String>) {
    let cases = cases();
    match compare(cases, SHORTER, home) {
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
        Rule::DeadLettersAreDelivered,
        Rule::OneReceiveMore,
        Rule::MaxReceivesStays,
        Rule::DeadLetterIsLost,
        Rule::DeadLetterStaysToo,
        Rule::DeadLetterLosesItsCount,
        Rule::DeadLetterIsSentAnew,
        Rule::HeldBackOneMsLonger,
        Rule::HeldBackOneMsShorter,
        Rule::RedriveKeepsTheId,
        Rule::RedriveKeepsTheCount,
        Rule::RedrivePurges,
        Rule::PeekCounts,
        Rule::LatencyBucketsEndOneMsLater,
        Rule::MovesCountAsReceives,
    ];
    for rule in altered {
        let caught = compare(TWIN_CASES, AS_FOUND, |ops| fixed(rule, ops));
        assert!(
            matches!(caught, Err(TestError::Fail(..))),
            "{rule:?} was not caught"
        );
    }
}
