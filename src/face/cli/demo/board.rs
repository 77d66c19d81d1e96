//! The live table on standard error.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use console::Term;

use super::super::exit::Trouble;
use super::audit::Audit;
use super::conductor::Kills;

const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Redraws itself in place.
#[derive(Debug)]
pub(super) struct Board {
    term: Term,
    lines_up: usize,
    drawn: Duration,
    sent: u64,
    processed: u64,
}

impl Board {
    pub(super) fn new() -> Self {
        let term = Term::stderr();
        Self {
            term,
            lines_up: 0,
            drawn: Duration::ZERO,
            sent: 0,
            processed: 0,
        }
    }

    /// Draws when it is time to.
    pub(super) fn draw(
        &mut self,
        now: Duration,
        audit: &Audit,
        kills: Kills,
        (waiting, in_flight): (u64, u64),
    ) -> Result<(), Trouble> {
        let since = now.saturating_sub(self.drawn);
        if since < REDRAW_EVERY {
            return Ok(());
        }
        let (sent, processed) = (audit.sent(), audit.processed());
        let rate = |count: u64, before: u64| {
            format!("{:.0} /s", (count - before) as f64 / since.as_secs_f64())
        };
        let us = |quantile| audit.latency.value_at_quantile(quantile) as f64 / 1e3;
        let rows = [
            ["time".to_owned(), format!("{:.1} s", now.as_secs_f64())],
            [
                "sent".to_owned(),
                format!("{sent} ({})", rate(sent, self.sent)),
            ],
            [
                "processed".to_owned(),
                format!("{processed} ({})", rate(processed, self.processed)),
            ],
            ["metrics".to_owned(), audit.metrics.to_string()],
            ["waiting".to_owned(), waiting.to_string()],
            ["in flight".to_owned(), in_flight.to_string()],
            ["workers killed".to_owned(), kills.workers.to_string()],
            ["producers killed".to_owned(), kills.producers.to_string()],
            [
                "latency p50 / p99".to_owned(),
                format!("{:.0} / {:.0} us", us(0.5), us(0.99)),
            ],
        ];
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).add_rows(rows);
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let text = table.to_string();
        self.term.clear_last_lines(self.lines_up)?;
        self.term.write_line(&text)?;
        self.lines_up = text.lines().count();
        (self.drawn, self.sent, self.processed) = (now, sent, processed);
        Ok(())
    }

    /// Takes the table off the terminal.
    pub(super) fn clear(self) {
        // A terminal that is gone has nothing left to clear.
        let _ = self.term.clear_last_lines(self.lines_up);
    }
}
