//! `ringmain completions` and `ringmain man`: what shells and readers know of the command line.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::args::{CompletionsArgs, Line, ManArgs};
use super::exit::{Exit, Trouble, about};

/// Prints a shell's completions.
pub(super) fn completions(args: &CompletionsArgs) -> Result<Exit, Trouble> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "ringmain", &mut text);
    print(&text)
}

/// Prints the manual page of the program, or writes those of all verbs.
pub(super) fn man(args: &ManArgs) -> Result<Exit, Trouble> {
    if let Some(directory) = &args.dir {
        let written = clap_mangen::generate_to(command(), directory);
        written.map_err(about(directory.display()))?;
        return Ok(Exit::Done);
    }
    let mut text = Vec::new();
    Man::new(command()).render(&mut text)?;
    print(&text)
}

/// The command line without the verbs of the demo's children, which completions would offer.
fn command() -> Command {
    let whole = Line::command();
    let verbs = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut command = Command::new("ringmain")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(verbs.cloned());
    if let Some(about) = whole.get_about() {
        command = command.about(about.clone());
    }
    if let Some(exits) = whole.get_after_help() {
        // A page joins lines, and keeps paragraphs apart.
        let paragraphs = exits.to_string().replace('\n', "\n\n");
        command = command.after_help(paragraphs);
    }
    command
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &[u8]) -> Result<Exit, Trouble> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}
