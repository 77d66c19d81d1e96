//! The torture: four to eight processes over one mapped queue, killed, stopped and forked at any
//! instruction, on a clock that jumps, with PIDs that are used again; then every message is
//! accounted for. `--help` tells the options; `torture/conductor.rs` tells the round.
#![allow(clippy::disallowed_types)] // boards that processes share; the rule is for the library

#[cfg(not(ringmain_loom))]
mod common;
#[cfg(not(ringmain_loom))]
mod torture {
    pub mod ambush;
    pub mod audit;
    pub mod board;
    pub mod body;
    pub mod conductor;
    pub mod crew;
    pub mod drain;
    pub mod faults;
    pub mod forker;
    pub mod hand;
    pub mod history;
    pub mod ledger;
    pub mod options;
    pub mod os;
    #[cfg(feature = "cli")]
    pub mod program;
    pub mod report;
    pub mod rogue;
    pub mod roles;
    pub mod run;
}

/// Nothing to do under the model checker.
#[cfg(ringmain_loom)]
fn main() {}

#[cfg(not(ringmain_loom))]
fn main() -> std::process::ExitCode {
    match torture::options::Options::read(std::env::args().skip(1)) {
        Ok(options) => torture::run::run(&options),
        Err(torture::options::Ending::Said(text)) => {
            println!("{text}");
            std::process::ExitCode::SUCCESS
        }
        Err(torture::options::Ending::Wrong(text)) => {
            eprintln!("{text}\n\n{}", torture::options::HELP);
            std::process::ExitCode::from(2)
        }
    }
}
