//! The command line.

pub const HELP: &str = "\
cargo test --all-features --test stream_torture -- [OPTIONS]

  --seconds N               how long (default: 10)
  --seed N                  the choices of a run that printed this seed; its timing differs
  --round-ms N              work between two audits (default: a half of it all, 20000 at most)
  --kills-per-second N      while at work (default: 30)

A run with optimisation (--release, or CARGO_PROFILE_TEST_OPT_LEVEL=2) finds more in the same time.

Status 0: no fault. Status 1: a fault; the first ones are on standard error.";

#[derive(Debug)]
pub struct Options {
    pub seconds: u64,
    pub seed: u64,
    pub round_ms: u64,
    pub kills_a_second: u64,
}

impl Options {
    /// Reads the arguments; `Err`: what to say instead of running, and the status.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, (String, u8)> {
        let mut options = Self {
            seconds: 10,
            seed: super::os::now_ns() % 1_000_000_007,
            round_ms: 0,
            kills_a_second: 30,
        };
        while let Some(argument) = arguments.next() {
            let place = match argument.as_str() {
                "--seconds" => &mut options.seconds,
                "--seed" => &mut options.seed,
                "--round-ms" => &mut options.round_ms,
                "--kills-per-second" => &mut options.kills_a_second,
                "--help" | "-h" => return Err((HELP.into(), 0)),
                "--list" => return Err(("stream_torture: test\n".into(), 0)),
                "--ignored" => return Err(("nothing is ignored".into(), 0)),
                // Those of the common test harness that need no answer here.
                "--test-threads" | "--color" | "--format" | "--skip" | "-Z" => {
                    arguments.next();
                    continue;
                }
                harness if harness.starts_with('-') => continue,
                filter if !"stream_torture".contains(filter) => {
                    return Err((format!("stream_torture: left out by {filter}"), 0));
                }
                _ => continue,
            };
            let number = arguments.next().and_then(|text| text.parse().ok());
            let wrong = format!("{argument} wants a number\n\n{HELP}");
            *place = number.filter(|number| *number > 0).ok_or((wrong, 2))?;
        }
        if options.round_ms == 0 {
            options.round_ms = (options.seconds * 1000 / 2).min(20_000);
        }
        Ok(options)
    }
}
