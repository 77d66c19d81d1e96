//! The command line.

use super::rogue::Twin;
use std::time::Duration;

pub const HELP: &str = "\
cargo test --all-features --test torture -- [OPTIONS]

  --seconds N | --minutes N | --hours N   how long (default: 20 seconds, the twins included)
  --seed N                  repeat the choices of a run that printed this seed
  --round N                 milliseconds of work in a round (default: 2500)
  --kills-per-second N      while at work (default: 40)
  --messages-per-second N   at most (default: 20000)
  --queue wide|narrow       one of the two queues (default: both, in turn)
  --no-twins                leave the twins out at the start
  --twin lose|resurrect|damage|early|leak|count
                            only this twin, with what it makes the audit say

Status 0: no fault, and each twin found. Status 1: a fault; the histories are on standard error.";

pub struct Options {
    pub time: Duration,
    pub seed: u64,
    pub round: Duration,
    pub kills_a_second: u64,
    pub messages_a_second: u64,
    pub wide: bool,
    pub narrow: bool,
    pub twins: bool,
    pub twin: Option<Twin>,
}

/// Why there is nothing to run.
pub enum Ending {
    /// Done by saying this.
    Said(String),
    /// The command line was not understood.
    Wrong(String),
}

/// Options of the common test harness that need no answer here; `true`: with a value.
const HARNESS: [(&str, bool); 12] = [
    ("--nocapture", false),
    ("--no-capture", false),
    ("--show-output", false),
    ("--quiet", false),
    ("-q", false),
    ("--exact", false),
    ("--include-ignored", false),
    ("--test-threads", true),
    ("--color", true),
    ("--format", true),
    ("--skip", true),
    ("-Z", true),
];

impl Options {
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Ending> {
        let mut options = Self {
            time: Duration::from_secs(20),
            seed: super::os::now_ns() % 1_000_000_007,
            round: Duration::from_millis(2500),
            kills_a_second: 40,
            messages_a_second: 20_000,
            wide: true,
            narrow: true,
            twins: true,
            twin: None,
        };
        while let Some(argument) = arguments.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name.to_string(), Some(value.to_string())),
                None => (argument, None),
            };
            if let Some((_, valued)) = HARNESS.iter().find(|(known, _)| *known == name) {
                if *valued && given.is_none() {
                    arguments.next();
                }
                continue;
            }
            match name.as_str() {
                "--help" | "-h" => return Err(Ending::Said(HELP.to_string())),
                "--list" => return Err(Ending::Said("torture: test\n".to_string())),
                "--ignored" => return Err(Ending::Said("nothing is ignored".to_string())),
                "--no-twins" => options.twins = false,
                filter if !filter.starts_with('-') => {
                    if !"torture".contains(filter) {
                        return Err(Ending::Said(format!("torture: left out by {filter}")));
                    }
                }
                _ => options.set(&name, given.or_else(|| arguments.next()))?,
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), Ending> {
        let wrong = |text: String| Ending::Wrong(text);
        let value = value.ok_or_else(|| wrong(format!("{name} wants a value")))?;
        let number = || {
            let parsed = value.parse::<u64>().ok();
            let least = u64::from(name != "--seed");
            let sound = parsed.filter(|n| *n >= least && (name == "--seed" || *n < 1_000_000));
            sound.ok_or_else(|| wrong(format!("{name} wants a number, not {value}")))
        };
        match name {
            "--seconds" => self.time = Duration::from_secs(number()?),
            "--minutes" => self.time = Duration::from_secs(number()? * 60),
            "--hours" => self.time = Duration::from_secs(number()? * 3600),
            "--seed" => self.seed = number()?,
            "--round" => self.round = Duration::from_millis(number()?),
            "--kills-per-second" => self.kills_a_second = number()?,
            "--messages-per-second" => self.messages_a_second = number()?,
            "--queue" => match value.as_str() {
                "wide" => self.narrow = false,
                "narrow" => self.wide = false,
                _ => return Err(wrong(format!("no queue {value}"))),
            },
            "--twin" => {
                let twin = Twin::ALL.into_iter().find(|twin| twin.name() == value);
                self.twin = Some(twin.ok_or_else(|| wrong(format!("no twin {value}")))?);
            }
            _ => return Err(wrong(format!("no option {name}"))),
        }
        Ok(())
    }
}
