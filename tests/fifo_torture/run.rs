//! A whole run: round after round, each checked; and what it says of faults.

use super::check::{Checker, Fault, Violation};
use super::conductor::{Conductor, wrong_figures};
use super::history::History;
use super::options::Options;
use super::os;
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Faults that are told in full.
const TOLD: usize = 8;
/// Lines about one fault.
const LINES: usize = 60;

pub fn run(options: &Options) -> ExitCode {
    os::end_with_parent(true);
    let mut conductor = Conductor::new(options);
    let mut checker = Checker::new(options.window_ms);
    let mut faults: HashMap<Fault, u64> = HashMap::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        let history = conductor.round();
        let violations = history.as_ref().map(|history| checker.check(history));
        for (at, violation) in violations.iter().flatten().enumerate() {
            *faults.entry(violation.fault).or_default() += 1;
            if at < TOLD {
                tell(history.as_ref(), violation);
            }
        }
        eprintln!(
            "fifo torture: {:4} s, {}",
            begun.elapsed().as_secs(),
            line(&checker, &conductor)
        );
        let tally = &conductor.tally;
        let happened = [checker.messages, checker.receives, checker.messages];
        if let Some(text) = wrong_figures(tally, happened).filter(|_| history.is_some()) {
            eprintln!("fifo torture: {text}");
            *faults.entry(Fault::Strange).or_default() += 1;
        }
        if !faults.is_empty() || tally.stuck + tally.crashed != 0 {
            break;
        }
    }
    let of = |fault: Fault| faults.get(&fault).copied().unwrap_or(0);
    let tally = &conductor.tally;
    println!(
        "fifo torture: seed {}, {}; lost {}, reordered {}, doubled {}, windows {}, answers {}, \
         strange {}, crashed {}, stuck {}",
        options.seed,
        line(&checker, &conductor),
        of(Fault::Lost),
        of(Fault::Reordered),
        of(Fault::Doubled),
        of(Fault::Window),
        of(Fault::Answer),
        of(Fault::Strange),
        tally.crashed,
        tally.stuck
    );
    match faults.is_empty() && tally.stuck + tally.crashed == 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn line(checker: &Checker, conductor: &Conductor) -> String {
    let tally = &conductor.tally;
    format!(
        "messages {}, receives {}, redeliveries {}, duplicates {}, ids renewed {}, kills {} ({} in \
         a call)",
        checker.messages,
        checker.receives,
        checker.redeliveries,
        checker.duplicates,
        checker.renewed,
        tally.kills,
        tally.kills_inside
    )
}

/// What was done to the messages of a fault, and in their group meanwhile.
fn tell(history: Option<&History>, violation: &Violation) {
    eprintln!("fifo torture: {:?}: {}", violation.fault, violation.text);
    let Some(history) = history else {
        return;
    };
    let about = |token: u64| violation.tokens.contains(&token);
    for send in history.sends.iter().filter(|send| about(send.token)) {
        eprintln!("  {send:?}");
    }
    let of_these: Vec<_> = history.holds.iter().filter(|h| about(h.token)).collect();
    let from = of_these.iter().map(|hold| hold.from).min().unwrap_or(0);
    let to = of_these.iter().map(|hold| hold.to).max().unwrap_or(0);
    let mut near: Vec<_> = history
        .holds
        .iter()
        .filter(|h| of_these.iter().any(|of| of.group == h.group))
        .filter(|h| about(h.token) || h.to + 100_000_000 > from && h.from < to)
        .collect();
    near.sort_by_key(|hold| hold.from);
    for hold in near.iter().rev().take(LINES).rev() {
        eprintln!("  {hold:?}");
    }
}
