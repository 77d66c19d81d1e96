//! The tables: on the screen, and between two marks in a page.

use super::board::Fault;
use super::world::Row;
use std::fmt::Write;
use std::path::Path;

/// One of the two matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Kill,
    Stop,
}

impl Matrix {
    pub fn name(self) -> &'static str {
        match self {
            Matrix::Kill => "kill matrix",
            Matrix::Stop => "stop matrix",
        }
    }

    fn head(self) -> &'static [&'static str] {
        match self {
            Matrix::Kill => &[
                "operation",
                "survivor",
                "instructions",
                "kills",
                "elsewhere",
                "lost",
                "damaged",
                "doubled",
                "taken",
                "stuck",
                "leaked",
                "over 10 ms",
                "longest recovery (ms)",
            ],
            Matrix::Stop => &[
                "operation",
                "meanwhile",
                "instructions",
                "stops",
                "elsewhere",
                "lost",
                "damaged",
                "doubled",
                "taken from the living",
                "stuck",
                "leaked",
            ],
        }
    }

    fn cells(self, row: &Row) -> Vec<String> {
        let mut cells = vec![
            row.operation.to_string(),
            row.survivor.to_string(),
            row.instructions.to_string(),
            row.rounds.to_string(),
            row.elsewhere.to_string(),
        ];
        let faults = [
            Fault::Lost,
            Fault::Damaged,
            Fault::Doubled,
            Fault::Taken,
            Fault::Stuck,
            Fault::Leaked,
        ];
        cells.extend(faults.map(|fault| row.count(fault).to_string()));
        if self == Matrix::Kill {
            cells.push(row.again.to_string());
            cells.push(format!("{:.2}", row.longest_ns as f64 / 1e6));
        }
        cells
    }
}

/// A matrix as a Markdown table, with a last row of sums.
pub fn markdown(matrix: Matrix, rows: &[Row]) -> String {
    let mut all: Vec<Vec<String>> = rows.iter().map(|row| matrix.cells(row)).collect();
    all.push(matrix.cells(&total(rows)));
    let head: Vec<String> = matrix.head().iter().map(|name| name.to_string()).collect();
    let width = |at: usize| {
        let cells = all.iter().map(|cells| cells[at].len());
        cells.max().unwrap_or(0).max(head[at].len())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (at, cell) in cells.iter().enumerate() {
            let wide = widths[at];
            let _ = match at {
                0 | 1 => write!(text, "| {cell:wide$} "),
                _ => write!(text, "| {cell:>wide$} "),
            };
        }
        text.push_str("|\n");
    };
    line(&head);
    let rule = |(at, wide): (usize, &usize)| match at {
        0 | 1 => "-".repeat(*wide),
        _ => "-".repeat(*wide - 1) + ":",
    };
    line(&widths.iter().enumerate().map(rule).collect::<Vec<_>>());
    all.iter().for_each(|cells| line(cells));
    text
}

fn total(rows: &[Row]) -> Row {
    let mut sum = Row {
        operation: "all",
        ..Row::default()
    };
    for row in rows {
        sum.instructions += row.instructions;
        sum.rounds += row.rounds;
        sum.again += row.again;
        sum.elsewhere += row.elsewhere;
        sum.longest_ns = sum.longest_ns.max(row.longest_ns);
        for (sum, count) in sum.faults.iter_mut().zip(row.faults) {
            *sum += count;
        }
    }
    sum
}

/// Puts `text` between the marks of a matrix in a page.
pub fn write(page: &Path, matrix: Matrix, text: &str) -> Result<(), String> {
    let old =
        std::fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let (begin, end) = (format!("<!-- {} -->", matrix.name()), "<!-- end -->");
    let missing = || format!("{}: no {begin} with an {end} after it", page.display());
    let from = old.find(&begin).ok_or_else(missing)? + begin.len();
    let to = old[from..].find(end).ok_or_else(missing)? + from;
    let new = format!("{}\n\n{text}\n{}", &old[..from], &old[to..]);
    std::fs::write(page, new).map_err(|error| format!("{}: {error}", page.display()))
}
