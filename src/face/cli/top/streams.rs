//! The streams of an engine on the screen: what a look finds, and their table below the queues'.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row as Cells, Table};

use super::draw::{age, rate};
use crate::face::cli::spot;
use crate::face::cli::stream::{AnyStream, Figures, Flow};
use crate::{Engine, Error};

/// A stream, as one look finds it.
#[derive(Debug, Clone)]
pub(super) struct StreamLook {
    pub(super) name: String,
    pub(super) figures: Figures,
    /// How long ago the oldest record arrived that can be read, and the latest one.
    pub(super) oldest: Option<Duration>,
    pub(super) latest: Option<Duration>,
}

/// The streams that were seen; each stays open while it is there.
#[derive(Default)]
pub(super) struct Streams(BTreeMap<String, Seen>);

struct Seen {
    stream: Box<AnyStream>,
    flow: Flow,
    /// When it was looked at last.
    at: Option<Instant>,
}

impl Seen {
    fn look(&mut self, name: &str) -> Result<StreamLook, Error> {
        let now = Instant::now();
        let passed = self.at.replace(now).map(|at| now - at);
        let rates = self.flow.look(&self.stream, passed)?;
        let figures = Figures::of(&self.stream, rates)?;
        let now_ms = self.stream.time_ms();
        let since = |ms: Option<u64>| ms.map(|ms| Duration::from_millis(now_ms.saturating_sub(ms)));
        Ok(StreamLook {
            name: name.to_owned(),
            oldest: since(figures.oldest_ms),
            latest: since(figures.latest_ms),
            figures,
        })
    }
}

impl Streams {
    /// A look at each stream, sorted by name. One that goes meanwhile is left out.
    pub(super) fn looks(&mut self, engine: &Engine) -> Result<Vec<StreamLook>, (String, Error)> {
        let names = engine.streams("").map_err(|error| (String::new(), error))?;
        self.0.retain(|name, _| names.contains(name));
        let mut looks = Vec::with_capacity(names.len());
        for name in names {
            let look = match self.look(engine, &name) {
                // Deleted, and perhaps made anew.
                Err(Error::Deleted) => {
                    self.0.remove(&name);
                    self.look(engine, &name)
                }
                look => look,
            };
            match look {
                Ok(look) => looks.push(look),
                Err(Error::NoStream | Error::Deleted) => {}
                Err(error) => return Err((name, error)),
            }
        }
        Ok(looks)
    }

    fn look(&mut self, engine: &Engine, name: &str) -> Result<StreamLook, Error> {
        if let Some(seen) = self.0.get_mut(name) {
            return seen.look(name);
        }
        let mut seen = Seen {
            stream: Box::new(spot::open_named_stream(engine, name)?),
            flow: Flow::default(),
            at: None,
        };
        let look = seen.look(name);
        self.0.insert(name.to_owned(), seen);
        look
    }
}

/// The heads of the columns.
pub(super) const HEADS: [&str; 11] = [
    "STREAM",
    "SHARDS",
    "BYTES",
    "FILLED",
    "PUT/s",
    "BYTES/s",
    "READERS",
    "CONSUMERS",
    "LAG",
    "OLDEST",
    "LATEST",
];

/// What stands in the columns.
pub(super) fn cells(look: &StreamLook) -> [String; 11] {
    let figures = &look.figures;
    let filled = figures.bytes as f64 / (figures.capacity_bytes as f64).max(1.0);
    let a_second = |n: Option<f64>| n.map_or("-".to_owned(), rate);
    // Of the one that is furthest behind.
    let lag = figures.consumers.iter().filter_map(|c| c.lag_ms).max();
    let ago = |since: Option<Duration>| since.map_or("-".to_owned(), age);
    [
        look.name.clone(),
        figures.shards.to_string(),
        figures.bytes.to_string(),
        format!("{:.0}%", 100.0 * filled),
        a_second(figures.put_records_per_s),
        a_second(figures.put_bytes_per_s),
        figures.readers.to_string(),
        figures.consumers.len().to_string(),
        lag.map_or("-".to_owned(), |ms| age(Duration::from_millis(ms))),
        ago(look.oldest),
        ago(look.latest),
    ]
}

/// Draws the table.
pub(super) fn table(frame: &mut Frame<'_>, area: Rect, looks: &[&StreamLook]) {
    let row = |cells: [String; 11]| {
        let [name, figures @ ..] = cells;
        let figures = figures.map(|text| Cell::from(Line::raw(text).right_aligned()));
        Cells::new([Cell::from(name)].into_iter().chain(figures))
    };
    let widths = [6, 11, 6, 8, 8, 7, 9, 7, 7, 7].map(Constraint::Length);
    let widths = [Constraint::Min(10)].into_iter().chain(widths);
    let heads = row(HEADS.map(str::to_owned));
    let table = Table::new(looks.iter().map(|look| row(cells(look))), widths)
        .header(heads.style(Style::new().add_modifier(Modifier::UNDERLINED)));
    frame.render_widget(table, area);
}
