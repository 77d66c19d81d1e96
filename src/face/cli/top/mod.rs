//! `ringmain top`: the queues and streams of an engine, live, on the whole terminal.
//!
//! [`state`] is what the screen is about, [`draw`] draws it, [`source`] asks the queues, and this
//! file brings keys, looks and commands together.

mod draw;
mod once;
mod source;
mod state;
mod streams;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::args::TopArgs;
use super::exit::{Exit, Trouble, about};
use super::stop::Stop;
use crate::Engine;
use source::{Moment, Queues, Source};
use state::{Command, Key, State};

pub(super) use source::word;

/// How often a key or a signal is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows the queues of a directory until `q`, or once.
pub(super) fn run(args: &TopArgs) -> Result<Exit, Trouble> {
    let engine = Engine::open(&args.dir).map_err(about(args.dir.display()))?;
    let mut queues = Queues::of(engine);
    if args.once {
        return once::print(&mut queues, args.json);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let text = "standard input and output are no terminal; `ringmain top --once` needs none";
        return Err(Trouble::new(text));
    }
    let stop = Stop::on_signals_patiently()?;
    let title = args.dir.display().to_string();
    let mut screen = Screen::open()?;
    let outcome = show(&mut screen.0, &mut queues, &stop, args.interval, &title);
    drop(screen); // before anything is said of it
    outcome.map(|()| Exit::Done)
}

/// The terminal, given back as it was: by a drop, and by a panic before its words are printed.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    source: &mut dyn Source,
    stop: &Stop,
    interval: Duration,
    title: &str,
) -> Result<(), Trouble> {
    let mut state = State::new();
    let mut last: Option<Instant> = None;
    loop {
        if last.is_none_or(|last| last.elapsed() >= interval) {
            let moment = Moment::now(source)?;
            let passed = last.map(|last| moment.at - last);
            state.look(moment.looks, passed);
            state.streams = moment.streams;
            last = Some(moment.at);
        }
        terminal.draw(|frame| draw::draw(frame, &state, title))?;
        let left = last.map_or(Duration::ZERO, |last| {
            interval.saturating_sub(last.elapsed())
        });
        let ready = match event::poll(left.min(LOOK_EVERY)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            ready => ready?,
        };
        if stop.asked() {
            return Ok(());
        }
        if !ready {
            continue;
        }
        let command = match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key_of(key.code, control) {
                    Some(Stroke::Interrupt) => return Ok(()),
                    Some(Stroke::Key(key)) => state.key(key),
                    None => None,
                }
            }
            _ => None,
        };
        match command {
            Some(Command::Quit) => return Ok(()),
            Some(command) => obey(&mut state, source, command),
            None => {}
        }
    }
}

enum Stroke {
    Interrupt,
    Key(Key),
}

fn key_of(code: KeyCode, control: bool) -> Option<Stroke> {
    let key = match code {
        KeyCode::Char('c') if control => return Some(Stroke::Interrupt),
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    };
    Some(Stroke::Key(key))
}

/// Does what the state wants done. Trouble with one queue is told on the screen.
fn obey(state: &mut State, source: &mut dyn Source, command: Command) {
    let said = match command {
        Command::Quit => Ok(String::new()),
        Command::Peek(name) => source.peek(&name).map(|sight| {
            state.show(name, sight);
            String::new()
        }),
        Command::Purge(name) => {
            let purged = source.purge(&name);
            purged.map(|removed| format!("{removed} removed from {name}"))
        }
        Command::Redrive(name) => {
            let there = source.redrive(&name);
            there.map(|there| format!("{there} of {name} on their way back"))
        }
    };
    state.said = said.unwrap_or_else(|trouble| trouble.text);
}
