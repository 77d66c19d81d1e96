//! A whole run: round after round, each with an audit, throttled and evicting in turn.

use super::board::Count;
use super::conductor::Conductor;
use super::options::Options;
use super::os;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub fn run(options: &Options) -> ExitCode {
    os::end_with_parent(true);
    let mut conductor = Conductor::new(options);
    eprintln!("stream torture: seed {}", options.seed);
    let begun = Instant::now();
    let mut rounds = 0_u64;
    // At least one of each kind.
    while rounds < 2 || begun.elapsed() < Duration::from_secs(options.seconds) {
        let throttled = rounds.is_multiple_of(2);
        conductor.round(throttled);
        rounds += 1;
        let kind = if throttled { "throttled" } else { "evicting" };
        let secs = begun.elapsed().as_secs();
        eprintln!("stream torture: {secs:4} s, {kind}; {}", line(&conductor));
        if is_faulty(&conductor) {
            break;
        }
    }
    println!(
        "stream torture: seed {}, {}",
        options.seed,
        line(&conductor)
    );
    match is_faulty(&conductor) {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    }
}

fn is_faulty(conductor: &Conductor) -> bool {
    // Where nothing came, nothing was shown.
    let idle = conductor.board.counted(Count::Read) == 0 || conductor.tally.kills == 0;
    conductor.board.has_faults() || conductor.tally.crashed != 0 || idle
}

fn line(conductor: &Conductor) -> String {
    let of = |count| conductor.board.counted(count);
    let tally = &conductor.tally;
    format!(
        "written {}, read {}, laps {}, kills {} ({} in a call), lost (told) {}; missing {}, \
         doubled {}, reordered {}, damaged {}, stuck {}, crashed {}",
        tally.written,
        of(Count::Read),
        tally.laps,
        tally.kills,
        tally.kills_inside,
        of(Count::Lost),
        of(Count::Missing),
        of(Count::Doubled),
        of(Count::Reordered),
        of(Count::Damaged),
        of(Count::Stuck),
        tally.crashed
    )
}
