//! Running a model, and a broken twin of it that has to fail.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Explores `model` with at most three preemptions.
pub fn check(model: impl Fn() + Sync + Send + 'static) {
    check_within(3, model);
}

/// Explores `model` with at most so many preemptions.
pub fn check_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000; // steps of one run: those of groups are long
    builder.check(model);
}

/// Explores `model`, which has to fail: the proof of the sound one can fail too.
pub fn must_fail(name: &str, model: impl Fn() + Sync + Send + 'static) {
    must_fail_within(3, name, model);
}

/// The same with at most so many preemptions.
pub fn must_fail_within(preemptions: usize, name: &str, model: impl Fn() + Sync + Send + 'static) {
    let explore = AssertUnwindSafe(|| check_within(preemptions, model));
    let outcome = catch_unwind(explore);
    assert!(outcome.is_err(), "twin {name}: passed, though it is broken");
    // Not by `println!`, which the test harness keeps back.
    let _ = writeln!(std::io::stdout(), "twin {name}: failed as it must");
}
