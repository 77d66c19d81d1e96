//! `ringmain purge`: removes all messages, after a question on a terminal.

use std::io::{self, IsTerminal};

use console::Term;

use super::args::PurgeArgs;
use super::create;
use super::exit::{Exit, Trouble};
use super::output::note;

/// Asks when somebody is there to answer, and removes everything that was sent before.
pub(super) fn run(args: &PurgeArgs) -> Result<Exit, Trouble> {
    let queue = create::open(&args.path)?;
    let stat = queue.stat()?;
    let asks = !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    if asks {
        let there = stat.visible + stat.in_flight + stat.delayed;
        let term = Term::stderr();
        term.write_str(&format!(
            "Remove {there} messages from {}? [y/N] ",
            args.path.display()
        ))?;
        let answer = term.read_line()?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Trouble::new("nothing removed"));
        }
    }
    let removed = queue.purge()?;
    note(format_args!("{removed} removed"));
    Ok(Exit::Done)
}
