//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

/// How long a thinned run takes in all.
const THINNED: Duration = Duration::from_secs(140);

pub struct Arguments {
    /// Every instruction.
    pub whole: bool,
    /// Fails if it finds no fault.
    pub twin: bool,
    pub list: bool,
    /// Operations, survivors or matrices with this word in their names.
    pub only: Option<String>,
    /// The page that gets the tables.
    pub page: Option<PathBuf>,
    /// How long a thinned run takes.
    pub time: Duration,
}

pub const USAGE: &str = "\
death: kills (stops) a process after each instruction of each operation, and looks what comes of it

  cargo test --all-features --test death                        thinned: some instructions
  cargo test --release --all-features --test death -- --whole   each instruction

  --only WORD     only operations with this in their names
  --kill, --stop  only this matrix
  --seconds N     how long a thinned run takes (140)
  --write PAGE    puts the tables into a page, between their marks
  --twin          the library was built without a step: exits 0 only if faults are found
  --list          names the operations
";

/// The arguments, or what to say instead; with them whether to kill, and whether to stop.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<(Arguments, [bool; 2]), String> {
    let mut parsed = Arguments {
        whole: false,
        twin: false,
        list: false,
        only: None,
        page: None,
        time: THINNED,
    };
    let mut matrices = [true, true];
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("{argument} wants a value\n{USAGE}"))
        };
        match argument.as_str() {
            "--whole" => parsed.whole = true,
            "--twin" => parsed.twin = true,
            "--list" => parsed.list = true,
            "--kill" => matrices = [true, false],
            "--stop" => matrices = [false, true],
            "--only" => parsed.only = Some(value()?),
            "--write" => parsed.page = Some(PathBuf::from(value()?)),
            "--seconds" => {
                let text = value()?;
                let secs = text
                    .parse()
                    .map_err(|_| format!("{text} is no number\n{USAGE}"))?;
                parsed.time = Duration::from_secs(secs);
            }
            _ => return Err(format!("{argument}: not known\n{USAGE}")),
        }
    }
    Ok((parsed, matrices))
}
