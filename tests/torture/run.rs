//! A whole run: the twins first, who show that the audit has teeth, then round after round.

use super::board::Board;
use super::body::Shape;
use super::conductor::{Conductor, Ground, Pace};
use super::options::Options;
use super::os;
use super::report::Totals;
use super::rogue::Twin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many rounds a twin has to be found in.
const TWIN_ROUNDS: u64 = 12;

pub fn run(options: &Options) -> ExitCode {
    os::end_with_parent(true);
    os::raise_descriptors();
    let pace = Pace {
        seed: options.seed,
        round: options.round,
        kills_a_second: options.kills_a_second,
        messages_a_second: options.messages_a_second,
    };
    eprintln!("torture: seed {}", options.seed);
    let board = Board::new();
    let begun = Instant::now();
    let mut totals = Totals::new();
    if let Some(twin) = options.twin {
        return outcome(is_found(board, twin, pace, &mut totals, true));
    }
    if !super::ambush::POSSIBLE {
        totals.impossible("deaths at a chosen instruction");
    }
    let mut sound = true;
    if options.twins {
        for twin in Twin::ALL {
            sound &= is_found(board, twin, pace, &mut totals, false);
        }
    }
    let mut totals = totals.anew();
    let shapes = [(options.wide, Shape::Wide), (options.narrow, Shape::Narrow)];
    let grounds: Vec<Ground> = shapes
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, shape)| Ground::new(board, shape, false))
        .collect();
    let mut conductors: Vec<Conductor<'_>> = (1..)
        .zip(&grounds)
        .map(|(stream, ground)| Conductor::new(ground, pace, stream))
        .collect();
    let mut turn = 0;
    while begun.elapsed() < options.time {
        let at = turn % conductors.len();
        conductors[at].round(None, &mut totals);
        turn += 1;
        if totals.is_hopeless() {
            eprintln!("torture: enough faults");
            break;
        }
    }
    println!("{}", totals.table(options.seed));
    sound &= totals.faults() == 0;
    if sound {
        println!("torture: no fault");
    } else {
        println!("torture: FAULTS; seed {}", options.seed);
    }
    outcome(sound)
}

fn outcome(sound: bool) -> ExitCode {
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs with a rogue until the audit finds what it did.
fn is_found(
    board: &'static Board,
    twin: Twin,
    pace: Pace,
    totals: &mut Totals,
    told: bool,
) -> bool {
    let pace = Pace {
        round: Duration::from_millis(500),
        ..pace
    };
    for round in 0..TWIN_ROUNDS {
        // A queue of its own each time: what a rogue did is not undone.
        let ground = Ground::new(board, Shape::Wide, !told);
        let before = totals.faults_of(twin.expected());
        Conductor::new(&ground, pace, 100 + round).round(Some(twin), totals);
        let found = totals.faults_of(twin.expected()) - before;
        if found != 0 {
            let name = twin.expected().name();
            println!("twin {}: failed as it must: {found} {name}", twin.name());
            return true;
        }
    }
    println!("twin {}: NOT FOUND in {TWIN_ROUNDS} rounds", twin.name());
    false
}
