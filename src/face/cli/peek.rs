//! `ringmain peek`: messages to standard output, without receiving them.

use super::args::PeekArgs;
use super::exit::{Exit, Trouble};
use super::output::{note, say_bytes};
use super::render::peeked;
use super::spot;

/// Prints messages: the body, or JSON. What two others read at this moment is passed by, and said.
pub(super) fn run(args: &PeekArgs) -> Result<Exit, Trouble> {
    let queue = spot::open(&args.path)?;
    let mut peeks = queue.peeks();
    let mut line = Vec::new();
    let mut shown = 0;
    let most = usize::try_from(args.max).unwrap_or(usize::MAX);
    for message in peeks.by_ref().take(most) {
        let message = message?;
        line.clear();
        if args.json {
            peeked(&message, &mut line)?;
        } else {
            line.extend_from_slice(message.body());
        }
        line.push(b'\n');
        drop(message); // whoever reads the pipe may take its time
        if !say_bytes(&line)? {
            return Ok(Exit::Done);
        }
        shown += 1;
    }
    if peeks.passed() != 0 {
        note(format_args!("{} passed by", peeks.passed()));
    }
    Ok(if shown == 0 { Exit::Empty } else { Exit::Done })
}
