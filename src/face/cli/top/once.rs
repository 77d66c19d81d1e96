//! `ringmain top --once`: one table, for scripts.

use std::thread;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::draw::age;
use super::source::{Moment, Source};
use super::state::State;
use super::streams::{HEADS, StreamLook, cells};
use crate::face::cli::exit::{Exit, Trouble};
use crate::face::cli::output::say;
use crate::face::cli::stream::Figures;

/// How far the two looks are apart between which rates are counted.
const APART: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    visible: u64,
    in_flight: u64,
    delayed: u64,
    /// How old the oldest visible message is; none without one.
    oldest_age_ms: Option<u64>,
    sent_per_s: f64,
    received_per_s: f64,
    deleted_per_s: f64,
    /// Of a FIFO queue alone, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_ready: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups_locked: Option<u64>,
}

/// A stream, as `stat` tells of it.
#[derive(Serialize)]
struct StreamLine<'a> {
    name: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
}

/// Looks twice, and prints a line for each queue and each stream.
pub(super) fn print(source: &mut dyn Source, json: bool) -> Result<Exit, Trouble> {
    let mut state = State::new();
    let first = Moment::now(source)?;
    state.look(first.looks, None);
    thread::sleep(APART);
    let second = Moment::now(source)?;
    state.look(second.looks, Some(second.at - first.at));
    state.streams = second.streams;
    let rows = state.shown();
    let tenth = |n: f64| (n * 10.0).round() / 10.0;
    let lines = rows.iter().map(|row| Line {
        name: &row.name,
        visible: row.stats.visible,
        in_flight: row.stats.in_flight,
        delayed: row.stats.delayed,
        oldest_age_ms: row.stats.oldest_age.map(|age| age.as_millis() as u64),
        sent_per_s: tenth(row.rates.sent),
        received_per_s: tenth(row.rates.received),
        deleted_per_s: tenth(row.rates.deleted),
        groups_ready: row.groups.map(|groups| groups.ready),
        groups_locked: row.groups.map(|groups| groups.locked),
    });
    if json {
        for line in lines {
            say(serde_json::to_string(&line)?)?;
        }
        for look in &state.streams {
            let (name, figures) = (&*look.name, &look.figures);
            say(serde_json::to_string(&StreamLine { name, figures })?)?;
        }
        return Ok(Exit::Done);
    }
    if !rows.is_empty() || state.streams.is_empty() {
        say(queues(lines.collect()))?;
    }
    if !state.streams.is_empty() {
        if !rows.is_empty() {
            say("")?;
        }
        say(streams(&state.streams))?;
    }
    Ok(Exit::Done)
}

/// The table of streams.
fn streams(looks: &[StreamLook]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADS);
    for look in looks {
        table.add_row(cells(look));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// The table of queues.
fn queues(lines: Vec<Line<'_>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let grouped = lines.iter().any(|line| line.groups_ready.is_some());
    let heads = [
        "NAME",
        "VISIBLE",
        "IN FLIGHT",
        "DELAYED",
        "OLDEST",
        "SENT/s",
        "RECV/s",
        "DEL/s",
    ];
    let of_groups = ["GRP READY", "GRP LOCK"].into_iter();
    table.set_header(heads.into_iter().chain(of_groups.filter(|_| grouped)));
    for line in lines {
        let oldest = line.oldest_age_ms.map(Duration::from_millis);
        let group = |figure: Option<u64>| figure.map_or("-".to_owned(), |n| n.to_string());
        let groups = [group(line.groups_ready), group(line.groups_locked)];
        let cells = [
            line.name.to_owned(),
            line.visible.to_string(),
            line.in_flight.to_string(),
            line.delayed.to_string(),
            oldest.map_or("-".to_owned(), age),
            format!("{:.1}", line.sent_per_s),
            format!("{:.1}", line.received_per_s),
            format!("{:.1}", line.deleted_per_s),
        ];
        table.add_row(
            cells
                .into_iter()
                .chain(groups.into_iter().filter(|_| grouped)),
        );
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
