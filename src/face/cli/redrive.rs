//! `ringmain redrive`: dead letters go back to work.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::RedriveArgs;
use super::exit::{Exit, Trouble, about};
use super::output::{note, say};
use super::spot::Spot;
use crate::{Engine, Error, RedriveOptions, RedriveState, RedriveStatus};

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct Told<'a> {
    id: u64,
    queue: &'a str,
    destination: Option<&'a str>,
    rate: u32,
    started_ms: u64,
    state: String,
    moved: u64,
    skipped: u64,
    total: u64,
}

fn tell(status: &RedriveStatus, json: bool) -> Result<(), Trouble> {
    if !json {
        return Ok(say(status)?);
    }
    Ok(say(serde_json::to_string(&Told {
        id: status.id,
        queue: &status.queue,
        destination: status.destination.as_deref(),
        rate: status.rate,
        started_ms: status.started_ms,
        state: status.state.to_string(),
        moved: status.moved,
        skipped: status.skipped,
        total: status.total,
    })?)?)
}

/// Begins a redrive and runs it, or does what is asked of one.
pub(super) fn run(args: &RedriveArgs) -> Result<Exit, Trouble> {
    let subject = || about::<Error>(args.path.display());
    if args.resume && args.path.is_dir() {
        let engine = Engine::open(&args.path).map_err(subject())?;
        for status in engine.resume_redrives().map_err(subject())? {
            tell(&status, args.json)?;
        }
        return Ok(Exit::Done);
    }
    let (engine, name) = Spot::named(&args.path)?;
    if args.status {
        for status in engine.redrives(&name).map_err(subject())? {
            tell(&status, args.json)?;
        }
        return Ok(Exit::Done);
    }
    if args.cancel {
        let status = engine.cancel_redrive(&name).map_err(subject())?;
        tell(&status, args.json)?;
        return Ok(Exit::Done);
    }
    if !args.resume {
        let mut options = RedriveOptions::new().rate(args.rate);
        if let Some(to) = &args.to {
            options = options.to(to);
        }
        engine.start_redrive(&name, &options).map_err(subject())?;
    }
    let status = run_with_bar(&engine, &name).map_err(subject())?;
    tell(&status, args.json)?;
    match status.state {
        RedriveState::Completed | RedriveState::Cancelled => Ok(Exit::Done),
        _ => {
            note("the destination is gone");
            Ok(Exit::Failed)
        }
    }
}

/// Runs it, and shows on a terminal how far it is.
fn run_with_bar(engine: &Engine, name: &str) -> Result<RedriveStatus, Error> {
    if !io::stderr().is_terminal() {
        return engine.run_redrive(name);
    }
    let bar = ProgressBar::new(0);
    let form = "{bar:40} {pos} of {len} moved, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(form) {
        bar.set_style(style);
    }
    std::thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let bar = &bar;
        scope.spawn(move || {
            while is_done.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                let latest = engine.redrives(name).ok().and_then(|mut all| all.pop());
                if let Some(status) = latest {
                    bar.set_length(status.total);
                    bar.set_position(status.moved);
                }
            }
            bar.finish_and_clear();
        });
        let status = engine.run_redrive(name);
        drop(done);
        status
    })
}
