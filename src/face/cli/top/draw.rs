//! Drawing the state. Whatever the size of the terminal, what has no room is left out.

use std::fmt::Write;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table, TableState};

use super::source::{Seen, Sight};
use super::state::{Action, HISTORY, Mode, Row, Sort, State};
use crate::FifoStats;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// From this width on there is room for the figures of groups.
const GROUPED_WIDTH: u16 = 118;
const KEYS: &str = "j/k select  s sort  r reverse  / filter  p peek  P purge  R redrive  q quit";
const KEYS_MESSAGES: &str = "j/k scroll  p look again  q back";

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, title: &str) {
    let rows = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, middle, foot] = Layout::vertical(rows).areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(head_line(state, title), bold), head);
    match &state.mode {
        Mode::Messages { sight, from, .. } => messages(frame, middle, sight, *from),
        _ => tables(frame, middle, state),
    }
    frame.render_widget(Line::raw(foot_line(state)), foot);
}

fn head_line(state: &State, title: &str) -> String {
    if let Mode::Messages { name, sight, .. } = &state.mode {
        let (shown, passed) = (sight.messages.len(), sight.passed);
        let mut line = format!("{name}: {shown} messages, looked at without receiving");
        if passed != 0 {
            let _ = write!(line, "; {passed} passed by");
        }
        return line;
    }
    let shown = state.shown().len() + state.shown_streams().len();
    let mut line = format!("ringmain top  {title}  {} queues", state.queues());
    if !state.streams.is_empty() {
        let _ = write!(line, ", {} streams", state.streams.len());
    }
    if !state.filter.is_empty() {
        let _ = write!(line, ", {shown} with \"{}\"", state.filter);
    }
    line
}

fn foot_line(state: &State) -> String {
    match &state.mode {
        Mode::Filter => format!("filter: {}_", state.filter),
        Mode::Question(Action::Purge, name) => format!("Remove all messages of {name}? [y/N]"),
        Mode::Question(Action::Redrive, name) => {
            format!("Move the dead letters of {name} back to their queue? [y/N]")
        }
        _ if !state.said.is_empty() => state.said.clone(),
        Mode::Messages { .. } => KEYS_MESSAGES.to_owned(),
        Mode::Table => KEYS.to_owned(),
    }
}

/// Queues, and below them streams: these have as many lines as they need, up to half of what there
/// is; all of it where there is no queue.
fn tables(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let streams = state.shown_streams();
    let wanted = match streams.len() {
        0 => 0,
        len => u16::try_from(len + 2).unwrap_or(u16::MAX), // a line between, and the heads
    };
    let most = match state.queues() {
        0 => area.height,
        _ => area.height / 2,
    };
    let lines = [Constraint::Min(0), Constraint::Length(wanted.min(most))];
    let [above, below] = Layout::vertical(lines).areas(area);
    table(frame, above, state);
    if !streams.is_empty() {
        let lines = [Constraint::Length(1), Constraint::Min(0)];
        let [_, below] = Layout::vertical(lines).areas(below);
        super::streams::table(frame, below, &streams);
    }
}

fn table(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let columns = [
        (Sort::Name, Constraint::Min(10)),
        (Sort::Visible, Constraint::Length(9)),
        (Sort::InFlight, Constraint::Length(10)),
        (Sort::Delayed, Constraint::Length(8)),
        (Sort::Oldest, Constraint::Length(8)),
        (Sort::Sent, Constraint::Length(8)),
        (Sort::Received, Constraint::Length(8)),
        (Sort::Deleted, Constraint::Length(8)),
    ];
    let heads = columns.iter().map(|(column, _)| {
        let mark = match (*column == state.sort, state.reversed) {
            (false, _) => "",
            (true, false) => "▼",
            (true, true) => "▲",
        };
        let title = Line::raw(format!("{}{mark}", column.title()));
        Cell::from(if *column == Sort::Name {
            title
        } else {
            title.right_aligned()
        })
    });
    let shown = state.shown();
    let grouped = area.width >= GROUPED_WIDTH && shown.iter().any(|row| row.groups.is_some());
    let of_groups = |heads: [&'static str; 2]| heads.into_iter().filter(move |_| grouped);
    let heads = heads.chain(
        of_groups(["GRP READY", "GRP LOCK"])
            .map(|title| Cell::from(Line::raw(title).right_aligned())),
    );
    let heads = Cells::new(heads.chain([Cell::from("VISIBLE, LATELY")]));
    let widths = columns.iter().map(|(_, width)| *width);
    let widths = widths.chain(of_groups([""; 2]).map(|_| Constraint::Length(9)));
    let widths = widths.chain([Constraint::Length(HISTORY as u16)]);
    let rows = shown.into_iter().map(|row| cells(row, grouped));
    let table = Table::new(rows, widths)
        .header(heads.style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut chosen = TableState::new().with_selected(state.selected());
    frame.render_stateful_widget(table, area, &mut chosen);
}

/// A row; with the figures of its groups if `grouped`.
fn cells(row: &Row, grouped: bool) -> Cells<'static> {
    let right = |text: String| Cell::from(Line::raw(text).right_aligned());
    let oldest = row.stats.oldest_age.map_or("-".to_owned(), age);
    let group = |figure: fn(&FifoStats) -> u64| match &row.groups {
        Some(groups) => figure(groups).to_string(),
        None => "-".to_owned(),
    };
    let groups = [group(|groups| groups.ready), group(|groups| groups.locked)];
    let groups = groups.into_iter().filter(|_| grouped).map(right);
    let cells = [
        Cell::from(row.name.clone()),
        right(row.stats.visible.to_string()),
        right(row.stats.in_flight.to_string()),
        right(row.stats.delayed.to_string()),
        right(oldest),
        right(rate(row.rates.sent)),
        right(rate(row.rates.received)),
        right(rate(row.rates.deleted)),
    ];
    let bars = Cell::from(bars(row.history.iter().copied()));
    Cells::new(cells.into_iter().chain(groups).chain([bars]))
}

/// A rate in few characters.
pub(super) fn rate(a_second: f64) -> String {
    match a_second {
        n if n < 100.0 => format!("{n:.1}"),
        n if n < 1e6 => format!("{n:.0}"),
        n => format!("{:.1}M", n / 1e6),
    }
}

/// An age in few characters: its two greatest units.
pub(super) fn age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0..10 => format!("{:.1}s", age.as_secs_f64()),
        10..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A figure over time, as bars from 0 to its greatest value.
fn bars(history: impl Iterator<Item = u64> + Clone) -> String {
    let most = history.clone().max().unwrap_or(0).max(1);
    let bar = |n: u64| BARS[(n as u128 * 7).div_ceil(most as u128) as usize];
    history.map(bar).collect()
}

fn messages(frame: &mut Frame<'_>, area: Rect, sight: &Sight, from: usize) {
    if sight.messages.is_empty() {
        return frame.render_widget(Paragraph::new("no messages"), area);
    }
    let heads = Cells::new(["ID", "STATE", "AGE", "RECV", "BYTES", "BODY"]);
    let widths = [
        Constraint::Length(32),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Min(10),
    ];
    let rows = sight.messages.iter().skip(from).map(|seen| {
        Cells::new([
            seen.id.clone(),
            seen.state.to_owned(),
            age(Duration::from_millis(seen.age_ms)),
            seen.receive_count.to_string(),
            seen.len.to_string(),
            body(seen),
        ])
    });
    let table = Table::new(rows, widths)
        .header(heads.style(Style::new().add_modifier(Modifier::UNDERLINED)));
    frame.render_widget(table, area);
}

/// The beginning of a body, as text if it is text, else in hexadecimal digits. Nothing of it
/// reaches the terminal as a control character.
pub(super) fn body(seen: &Seen) -> String {
    let cut = seen.body.len() < seen.len;
    let text = match std::str::from_utf8(&seen.body) {
        Ok(text) => Some(text),
        // A character that was cut.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&seen.body[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let mut shown = match text {
        Some(text) => text
            .chars()
            .map(|c| if c.is_control() { '·' } else { c })
            .collect(),
        None => seen.body.iter().fold("0x".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    };
    if cut {
        shown.push('…');
    }
    shown
}
