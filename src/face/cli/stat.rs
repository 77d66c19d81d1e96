//! `ringmain stat`: what is in a queue or a stream, once or each second.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use console::Term;
use humantime::format_duration;
use serde::Serialize;

use super::any::{AnyQueue, AnyRegion};
use super::args::StatArgs;
use super::exit::{Exit, Trouble};
use super::spot::{self, Found};
use super::stop::Stop;
use super::stream;
use crate::{DedupScope, Error, FifoQueue};

const EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Prints the figures of a queue or a stream.
pub(super) fn run(args: &StatArgs) -> Result<Exit, Trouble> {
    match spot::find(&args.path)? {
        Found::Queue(queue) => {
            let mut before: Option<Figures> = None;
            watch(args, |passed| {
                let mut figures = Figures::of(&queue)?;
                if let (Some(before), Some(passed)) = (&before, passed) {
                    figures.rates = Some(Rates::between(before, &figures, passed));
                }
                let text = figures.render(args.json)?;
                before = Some(figures);
                Ok(text)
            })
        }
        Found::Stream(stream) => {
            let mut flow = stream::Flow::default();
            watch(args, |passed| {
                let rates = match args.watch {
                    true => flow.look(&stream, passed)?,
                    false => None,
                };
                Ok(stream::Figures::of(&stream, rates)?.render(args.json)?)
            })
        }
    }
}

/// Prints what `look` brings, once or each second; a closed pipe ends it quietly. `look` is told
/// how long ago the last look was.
fn watch(
    args: &StatArgs,
    mut look: impl FnMut(Option<Duration>) -> Result<String, Trouble>,
) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals()?;
    let redraw = args.watch && !args.json && io::stdout().is_terminal();
    let mut lines_up = 0;
    let mut before: Option<Instant> = None;
    loop {
        let at = Instant::now();
        let text = look(before.map(|before| at - before))?;
        before = Some(at);
        if redraw {
            Term::stdout().clear_last_lines(lines_up)?;
            lines_up = text.lines().count();
        }
        match writeln!(io::stdout(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            outcome => outcome?,
        }
        let next = at + EVERY;
        while args.watch && !stop.asked() && Instant::now() < next {
            thread::sleep(LOOK_EVERY);
        }
        if !args.watch || stop.asked() {
            return Ok(Exit::Done);
        }
    }
}

/// The names under which a queue's figures are printed.
#[derive(Debug, Serialize)]
struct Figures {
    visible: u64,
    in_flight: u64,
    delayed: u64,
    /// How old the oldest visible message is; none without one.
    oldest_age_ms: Option<u64>,
    sent: u64,
    received: u64,
    deleted: u64,
    empty_receives: u64,
    expired: u64,
    purged: u64,
    damaged: u64,
    #[serde(flatten)]
    rates: Option<Rates>,
    visibility_ms: u64,
    retention_ms: u64,
    delay_ms: u64,
    slots: u64,
    slots_free: u64,
    slot_bytes: u64,
    body_bytes_max: u64,
    attachments: u64,
    durability: String,
    /// The latest commit on the disk and that of what is done now; none without a journal.
    durable_position: Option<u64>,
    position: Option<u64>,
    #[serde(flatten)]
    fifo: Option<FifoFigures>,
}

/// What a FIFO queue has beside.
#[derive(Debug, Serialize)]
struct FifoFigures {
    fifo: bool,
    groups_ready: u64,
    groups_locked: u64,
    groups_delayed: u64,
    remembered_ids: u64,
    dedup_ids: u64,
    dedup_interval_ms: u64,
    dedup_scope: &'static str,
    content_dedup: bool,
    quota: bool,
}

impl FifoFigures {
    fn of(queue: &FifoQueue<AnyRegion>) -> Result<Self, Error> {
        let (groups, options) = (queue.groups()?, queue.options());
        Ok(Self {
            fifo: true,
            groups_ready: groups.ready,
            groups_locked: groups.locked,
            groups_delayed: groups.delayed,
            remembered_ids: groups.remembered_ids,
            dedup_ids: groups.remembered_ids_max,
            dedup_interval_ms: options.get_dedup_interval().as_millis() as u64,
            dedup_scope: match options.get_dedup_scope() {
                DedupScope::Queue => "queue",
                DedupScope::Group => "group",
            },
            content_dedup: options.get_content_dedup(),
            quota: options.get_quota(),
        })
    }

    fn rows(&self) -> Vec<Shown> {
        let interval = Duration::from_millis(self.dedup_interval_ms);
        let word = |on| if on { "yes" } else { "no" }.to_owned();
        vec![
            number("groups ready", self.groups_ready),
            number("groups locked", self.groups_locked),
            number("groups delayed", self.groups_delayed),
            number("remembered ids", self.remembered_ids),
            number("most of them", self.dedup_ids),
            (
                "dedup interval",
                format_duration(interval).to_string(),
                None,
            ),
            ("dedup scope", self.dedup_scope.to_owned(), None),
            ("content dedup", word(self.content_dedup), None),
            ("quota", word(self.quota), None),
        ]
    }
}

/// A name, a value, a rate.
type Shown = (&'static str, String, Option<f64>);

fn number(name: &'static str, value: u64) -> Shown {
    (name, value.to_string(), None)
}

/// How much went through a second, between two looks.
#[derive(Debug, Clone, Copy, Serialize)]
struct Rates {
    sent_per_s: f64,
    received_per_s: f64,
    deleted_per_s: f64,
}

impl Rates {
    fn between(before: &Figures, now: &Figures, took: Duration) -> Self {
        let rate = |before: u64, now: u64| {
            // A count may step back: it is made of a scan while others are at work.
            let a_second = now.saturating_sub(before) as f64 / took.as_secs_f64();
            (a_second * 10.0).round() / 10.0
        };
        Self {
            sent_per_s: rate(before.sent, now.sent),
            received_per_s: rate(before.received, now.received),
            deleted_per_s: rate(before.deleted, now.deleted),
        }
    }
}

impl Figures {
    fn of(queue: &AnyQueue) -> Result<Self, Error> {
        let stats = queue.stat()?;
        let (durable_position, position) = queue.positions();
        let ms = |duration: Duration| duration.as_millis() as u64;
        Ok(Self {
            visible: stats.visible,
            in_flight: stats.in_flight,
            delayed: stats.delayed,
            oldest_age_ms: stats.oldest_age.map(ms),
            sent: stats.sent,
            received: stats.received,
            deleted: stats.deleted,
            empty_receives: stats.empty_receives,
            expired: stats.expired,
            purged: stats.purged,
            damaged: stats.damaged,
            rates: None,
            visibility_ms: ms(stats.visibility),
            retention_ms: ms(stats.retention),
            delay_ms: ms(stats.delay),
            slots: stats.slots,
            slots_free: stats.slots_free,
            slot_bytes: stats.slot_bytes,
            body_bytes_max: stats.body_bytes_max,
            attachments: stats.attachments,
            durability: queue.durability().to_string(),
            durable_position,
            position,
            fifo: queue.fifo().map(FifoFigures::of).transpose()?,
        })
    }

    fn render(&self, json: bool) -> io::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        for (name, value, rate) in self.rows() {
            let rate = rate.map(|rate| format!("{rate:.1}/s")).unwrap_or_default();
            table.add_row([name.to_owned(), value, rate]);
        }
        if let Some(column) = table.column_mut(0) {
            column.set_padding((0, 1));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table.trim_fmt())
    }

    /// What people read.
    fn rows(&self) -> Vec<Shown> {
        let time = |ms| format_duration(Duration::from_millis(ms)).to_string();
        let rate = |of: fn(&Rates) -> f64| self.rates.as_ref().map(of);
        let oldest = self.oldest_age_ms.map_or("none".to_owned(), time);
        let mut rows = vec![
            number("visible", self.visible),
            number("in flight", self.in_flight),
            number("delayed", self.delayed),
            ("oldest age", oldest, None),
            ("sent", self.sent.to_string(), rate(|r| r.sent_per_s)),
            (
                "received",
                self.received.to_string(),
                rate(|r| r.received_per_s),
            ),
            (
                "deleted",
                self.deleted.to_string(),
                rate(|r| r.deleted_per_s),
            ),
            number("empty receives", self.empty_receives),
            number("expired", self.expired),
            number("purged", self.purged),
            number("damaged", self.damaged),
            ("visibility", time(self.visibility_ms), None),
            ("retention", time(self.retention_ms), None),
            ("delay", time(self.delay_ms), None),
            number("slots", self.slots),
            number("slots free", self.slots_free),
            number("slot bytes", self.slot_bytes),
            number("largest body", self.body_bytes_max),
            number("attachments", self.attachments),
            ("durability", self.durability.clone(), None),
        ];
        if let (Some(durable), Some(position)) = (self.durable_position, self.position) {
            rows.push(number("durable position", durable));
            rows.push(number("position", position));
        }
        if let Some(fifo) = &self.fifo {
            rows.push(("kind", "FIFO queue".to_owned(), None));
            rows.extend(fifo.rows());
        }
        rows
    }
}
