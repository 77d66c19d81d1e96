//! The command line.

pub const HELP: &str = "\
cargo test --all-features --test fifo_torture -- [OPTIONS]

  --seconds N               how long (default: 12)
  --seed N                  the choices of a run that printed this seed; its timing differs
  --window-ms N             the deduplication interval (default: 300000; 60000 over 120 seconds)
  --round-ms N              work between two checks (default: 2500)
  --kills-per-second N      while at work (default: 20)
  --messages-per-second N   at most (default: 14000, or what the remembered ids allow)

A run with optimisation (--release, or CARGO_PROFILE_TEST_OPT_LEVEL=2) finds more in the same time:
whoever is caught in a call does its instructions up to there one by one.

Status 0: no fault. Status 1: a fault; what was done to its messages is on standard error.";

#[derive(Debug)]
pub struct Options {
    pub seconds: u64,
    pub seed: u64,
    pub window_ms: u64,
    pub round_ms: u64,
    pub kills_a_second: u64,
    pub messages_a_second: u64,
}

impl Options {
    /// Reads the arguments; `Err`: what to say instead of running, and the status.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, (String, u8)> {
        let mut options = Self {
            seconds: 12,
            seed: super::os::now_ns() % 1_000_000_007,
            window_ms: 0,
            round_ms: 2500,
            kills_a_second: 20,
            messages_a_second: 14_000,
        };
        while let Some(argument) = arguments.next() {
            let place = match argument.as_str() {
                "--seconds" => &mut options.seconds,
                "--seed" => &mut options.seed,
                "--window-ms" => &mut options.window_ms,
                "--round-ms" => &mut options.round_ms,
                "--kills-per-second" => &mut options.kills_a_second,
                "--messages-per-second" => &mut options.messages_a_second,
                "--help" | "-h" => return Err((HELP.into(), 0)),
                "--list" => return Err(("fifo_torture: test\n".into(), 0)),
                "--ignored" => return Err(("nothing is ignored".into(), 0)),
                // Those of the common test harness that need no answer here.
                "--test-threads" | "--color" | "--format" | "--skip" | "-Z" => {
                    arguments.next();
                    continue;
                }
                harness if harness.starts_with('-') => continue,
                filter if !"fifo_torture".contains(filter) => {
                    return Err((format!("fifo_torture: left out by {filter}"), 0));
                }
                _ => continue,
            };
            let number = arguments.next().and_then(|text| text.parse().ok());
            let wrong = format!("{argument} wants a number\n\n{HELP}");
            *place = number.filter(|number| *number > 0).ok_or((wrong, 2))?;
        }
        if options.window_ms == 0 {
            let long = options.seconds > 120;
            options.window_ms = if long { 60_000 } else { 300_000 };
        }
        Ok(options)
    }

    /// How many messages a second, so that `ids` are enough for those of one window.
    pub fn rate(&self, ids: u64) -> u64 {
        let window_ms = self.window_ms.min(self.seconds * 1000 + 5000);
        self.messages_a_second.min(ids * 9 * 100 / window_ms)
    }
}
