//! `ringmain stat`: what is in a queue, once or each second.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use console::Term;
use serde::Serialize;

use super::args::StatArgs;
use super::create;
use super::exit::{Exit, Trouble};
use super::stop::Stop;
use crate::{Error, Mapped, Position, Queue};

const EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Prints the figures of a queue; a closed pipe ends it quietly.
pub(super) fn run(args: &StatArgs) -> Result<Exit, Trouble> {
    let queue = create::open(&args.path)?;
    let stop = Stop::on_signals()?;
    let redraw = args.watch && !args.json && io::stdout().is_terminal();
    let mut lines_up = 0;
    loop {
        let text = Figures::of(&queue)?.render(args.json)?;
        if redraw {
            Term::stdout().clear_last_lines(lines_up)?;
            lines_up = text.lines().count();
        }
        match writeln!(io::stdout(), "{text}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            outcome => outcome?,
        }
        let next = Instant::now() + EVERY;
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
    slots: u64,
    slots_free: u64,
    slot_bytes: u64,
    body_bytes_max: u64,
    visibility_ms: u64,
    damaged: u64,
    attachments: u64,
    durability: String,
    /// The latest commit on the disk and that of what is done now; none without a journal.
    durable_position: Option<u64>,
    position: Option<u64>,
}

impl Figures {
    fn of(queue: &Queue<Mapped>) -> Result<Self, Error> {
        let stats = queue.stat()?;
        Ok(Self {
            visible: stats.visible,
            in_flight: stats.in_flight,
            slots: stats.slots,
            slots_free: stats.slots_free,
            slot_bytes: stats.slot_bytes,
            body_bytes_max: stats.body_bytes_max,
            visibility_ms: stats.visibility.as_millis() as u64,
            damaged: stats.damaged,
            attachments: stats.attachments,
            durability: queue.durability().to_string(),
            durable_position: queue.durable_position().ok().map(Position::as_u64),
            position: queue.position().ok().map(Position::as_u64),
        })
    }

    fn render(&self, json: bool) -> io::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let numbers = [
            ("visible", self.visible),
            ("in flight", self.in_flight),
            ("slots", self.slots),
            ("slots free", self.slots_free),
            ("slot bytes", self.slot_bytes),
            ("largest body", self.body_bytes_max),
            ("visibility ms", self.visibility_ms),
            ("damaged slots", self.damaged),
            ("attachments", self.attachments),
        ];
        for (name, value) in numbers {
            table.add_row([name.to_owned(), value.to_string()]);
        }
        table.add_row(["durability", &self.durability]);
        if let (Some(durable), Some(position)) = (self.durable_position, self.position) {
            table.add_row(["durable position".to_owned(), durable.to_string()]);
            table.add_row(["position".to_owned(), position.to_string()]);
        }
        if let Some(column) = table.column_mut(0) {
            column.set_padding((0, 1));
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table.trim_fmt())
    }
}
