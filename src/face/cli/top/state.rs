//! What the screen is about: rows, their order, what is selected, what is asked. Pure: it knows
//! neither terminal nor queue, takes keys and looks, and gives commands.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::source::{Look, Sight};
use super::streams::StreamLook;
use crate::{FifoStats, QueueRates, QueueStats};

/// Looks that a row remembers for its sparkline.
pub(super) const HISTORY: usize = 20;

/// A key, whatever terminal it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Enter,
    Escape,
    Backspace,
}

/// What the state wants done to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Peek(String),
    Purge(String),
    Redrive(String),
}

/// By what the rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Visible,
    InFlight,
    Delayed,
    Oldest,
    Sent,
    Received,
    Deleted,
}

impl Sort {
    const ALL: [Self; 8] = [
        Self::Name,
        Self::Visible,
        Self::InFlight,
        Self::Delayed,
        Self::Oldest,
        Self::Sent,
        Self::Received,
        Self::Deleted,
    ];

    /// The head of its column.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Name => "NAME",
            Self::Visible => "VISIBLE",
            Self::InFlight => "IN FLIGHT",
            Self::Delayed => "DELAYED",
            Self::Oldest => "OLDEST",
            Self::Sent => "SENT/s",
            Self::Received => "RECV/s",
            Self::Deleted => "DEL/s",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// Names from A on, figures from the greatest on.
    fn order(self, a: &Row, b: &Row) -> Ordering {
        let (x, y) = (&a.stats, &b.stats);
        match self {
            Self::Name => Ordering::Equal,
            Self::Visible => y.visible.cmp(&x.visible),
            Self::InFlight => y.in_flight.cmp(&x.in_flight),
            Self::Delayed => y.delayed.cmp(&x.delayed),
            Self::Oldest => y.oldest_age.cmp(&x.oldest_age),
            Self::Sent => b.rates.sent.total_cmp(&a.rates.sent),
            Self::Received => b.rates.received.total_cmp(&a.rates.received),
            Self::Deleted => b.rates.deleted.total_cmp(&a.rates.deleted),
        }
        .then_with(|| a.name.cmp(&b.name))
    }
}

/// A queue on the screen.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) stats: QueueStats,
    /// Of a FIFO queue alone.
    pub(super) groups: Option<FifoStats>,
    pub(super) rates: QueueRates,
    /// Visible messages at the latest looks, the latest last.
    pub(super) history: VecDeque<u64>,
}

/// What is asked before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Purge,
    Redrive,
}

/// What the keys mean now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Table,
    /// The filter is being written.
    Filter,
    /// Is this to be done?
    Question(Action, String),
    /// Messages of a queue, from this one on.
    Messages {
        name: String,
        sight: Sight,
        from: usize,
    },
}

#[derive(Debug)]
pub(super) struct State {
    rows: Vec<Row>,
    /// The latest looks at streams, which are there to be seen alone.
    pub(super) streams: Vec<StreamLook>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// What was said last.
    pub(super) said: String,
    selected: Option<String>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            streams: Vec::new(),
            sort: Sort::Name,
            reversed: false,
            filter: String::new(),
            mode: Mode::Table,
            said: String::new(),
            selected: None,
        }
    }

    /// Takes in a look, so much later than the one before.
    pub(super) fn look(&mut self, looks: Vec<Look>, passed: Option<Duration>) {
        let before = std::mem::take(&mut self.rows);
        let mut before: BTreeMap<String, Row> = before
            .into_iter()
            .map(|row| (row.name.clone(), row))
            .collect();
        self.rows = looks
            .into_iter()
            .map(|look| {
                let Look {
                    name,
                    stats,
                    groups,
                } = look;
                let old = before.remove(&name);
                let (rates, mut history) = match old {
                    Some(old) => {
                        let rates = passed
                            .and_then(|passed| QueueRates::between(&old.stats, &stats, passed));
                        (rates.unwrap_or(old.rates), old.history)
                    }
                    None => Default::default(),
                };
                history.push_back(stats.visible);
                while history.len() > HISTORY {
                    history.pop_front();
                }
                Row {
                    name,
                    stats,
                    groups,
                    rates,
                    history,
                }
            })
            .collect();
    }

    /// The rows as they are shown.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let matches = |row: &&Row| row.name.contains(&self.filter);
        let mut rows: Vec<&Row> = self.rows.iter().filter(matches).collect();
        rows.sort_by(|a, b| self.sort.order(a, b));
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// The streams as they are shown: by name.
    pub(super) fn shown_streams(&self) -> Vec<&StreamLook> {
        let matches = |look: &&StreamLook| look.name.contains(&self.filter);
        self.streams.iter().filter(matches).collect()
    }

    pub(super) fn queues(&self) -> usize {
        self.rows.len()
    }

    /// Which of the shown rows is selected.
    pub(super) fn selected(&self) -> Option<usize> {
        let shown = self.shown();
        let named = |name: &String| shown.iter().position(|row| row.name == *name);
        let at = self.selected.as_ref().and_then(named);
        at.or((!shown.is_empty()).then_some(0))
    }

    fn selected_name(&self) -> Option<String> {
        let at = self.selected()?;
        self.shown().get(at).map(|row| row.name.clone())
    }

    fn step(&mut self, by: isize) {
        let Some(at) = self.selected() else { return };
        let shown = self.shown();
        let to = at.saturating_add_signed(by).min(shown.len() - 1);
        self.selected = Some(shown[to].name.clone());
    }

    /// Shows messages of a queue.
    pub(super) fn show(&mut self, name: String, sight: Sight) {
        self.mode = Mode::Messages {
            name,
            sight,
            from: 0,
        };
    }

    /// Takes in a key.
    pub(super) fn key(&mut self, key: Key) -> Option<Command> {
        match self.mode {
            Mode::Table => return self.key_in_table(key),
            Mode::Filter => self.key_in_filter(key),
            Mode::Question(..) => return self.answer(key),
            Mode::Messages { .. } => return self.key_in_messages(key),
        }
        None
    }

    fn key_in_table(&mut self, key: Key) -> Option<Command> {
        self.said.clear();
        match key {
            Key::Char('q') => return Some(Command::Quit),
            Key::Up | Key::Char('k') => self.step(-1),
            Key::Down | Key::Char('j') => self.step(1),
            Key::PageUp => self.step(-10),
            Key::PageDown => self.step(10),
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('r') => self.reversed = !self.reversed,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Escape => self.filter.clear(),
            Key::Enter | Key::Char('p') => return self.selected_name().map(Command::Peek),
            Key::Char('P') => self.ask(Action::Purge),
            Key::Char('R') => self.ask(Action::Redrive),
            Key::Char(_) | Key::Backspace => {}
        }
        None
    }

    fn ask(&mut self, action: Action) {
        if let Some(name) = self.selected_name() {
            self.mode = Mode::Question(action, name);
        }
    }

    fn answer(&mut self, key: Key) -> Option<Command> {
        let Mode::Question(action, name) = std::mem::replace(&mut self.mode, Mode::Table) else {
            return None;
        };
        if !matches!(key, Key::Char('y' | 'Y')) {
            self.said = "nothing done".to_owned();
            return None;
        }
        Some(match action {
            Action::Purge => Command::Purge(name),
            Action::Redrive => Command::Redrive(name),
        })
    }

    fn key_in_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.mode = Mode::Table,
            Key::Escape => {
                self.filter.clear();
                self.mode = Mode::Table;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Char(c) => self.filter.push(c),
            _ => {}
        }
    }

    fn key_in_messages(&mut self, key: Key) -> Option<Command> {
        let Mode::Messages { name, sight, from } = &mut self.mode else {
            return None;
        };
        let last = sight.messages.len().saturating_sub(1);
        let by = match key {
            Key::Escape | Key::Char('q') | Key::Enter => {
                self.mode = Mode::Table;
                return None;
            }
            Key::Char('p') => return Some(Command::Peek(name.clone())), // looks anew
            Key::Up | Key::Char('k') => -1,
            Key::Down | Key::Char('j') => 1,
            Key::PageUp => -10,
            Key::PageDown => 10,
            _ => 0,
        };
        *from = from.saturating_add_signed(by).min(last);
        None
    }
}
