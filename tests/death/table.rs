//! The tables: on the screen, and between two marks in a page.

use super::board::Fault;
use super::world::Row;
use std::fmt::Write;
use std::path::Path;

/// One of the matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Kill,
    Stop,
    FifoKill,
    FifoStop,
    StreamKill,
    StreamStop,
}

/// The columns of faults that every matrix has.
const COMMON: [(&str, Fault); 6] = [
    ("lost", Fault::Lost),
    ("damaged", Fault::Damaged),
    ("doubled", Fault::Doubled),
    ("taken", Fault::Taken),
    ("stuck", Fault::Stuck),
    ("leaked", Fault::Leaked),
];

impl Matrix {
    pub fn name(self) -> &'static str {
        match self {
            Matrix::Kill => "kill matrix",
            Matrix::Stop => "stop matrix",
            Matrix::FifoKill => "FIFO kill matrix",
            Matrix::FifoStop => "FIFO stop matrix",
            Matrix::StreamKill => "stream kill matrix",
            Matrix::StreamStop => "stream stop matrix",
        }
    }

    fn kills(self) -> bool {
        matches!(self, Matrix::Kill | Matrix::FifoKill | Matrix::StreamKill)
    }

    /// The page beside the given one that has the matrix.
    fn page(self) -> Option<&'static str> {
        match self {
            Matrix::Kill | Matrix::Stop => None,
            Matrix::FifoKill | Matrix::FifoStop => Some("recovery-fifo.md"),
            Matrix::StreamKill | Matrix::StreamStop => Some("recovery-stream.md"),
        }
    }

    fn faults(self) -> impl Iterator<Item = (&'static str, Fault)> {
        let of_order = self.page().map(|_| ("reordered", Fault::Reordered));
        COMMON.into_iter().chain(of_order)
    }

    fn head(self) -> Vec<String> {
        let mut head = match self.kills() {
            true => vec!["operation", "survivor", "instructions", "kills"],
            false => vec!["operation", "meanwhile", "instructions", "stops"],
        };
        head.push("elsewhere");
        head.extend(self.faults().map(|(name, fault)| match fault {
            Fault::Taken if !self.kills() => "taken from the living",
            _ => name,
        }));
        if self.kills() {
            head.extend(["over 10 ms", "longest recovery (ms)"]);
        }
        head.into_iter().map(String::from).collect()
    }

    fn cells(self, row: &Row) -> Vec<String> {
        let mut cells = vec![
            row.operation.to_string(),
            row.survivor.to_string(),
            row.instructions.to_string(),
            row.rounds.to_string(),
            row.elsewhere.to_string(),
        ];
        cells.extend(self.faults().map(|(_, fault)| row.count(fault).to_string()));
        if self.kills() {
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
    let head = matrix.head();
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

/// Puts `text` between the marks of a matrix in a page; FIFO queues and streams have ones of their
/// own beside it.
pub fn write(page: &Path, matrix: Matrix, text: &str) -> Result<(), String> {
    let page = match matrix.page() {
        Some(beside) => &page.with_file_name(beside),
        None => page,
    };
    let old =
        std::fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let (begin, end) = (format!("<!-- {} -->", matrix.name()), "<!-- end -->");
    let missing = || format!("{}: no {begin} with an {end} after it", page.display());
    let from = old.find(&begin).ok_or_else(missing)? + begin.len();
    let to = old[from..].find(end).ok_or_else(missing)? + from;
    let new = format!("{}\n\n{text}\n{}", &old[..from], &old[to..]);
    std::fs::write(page, new).map_err(|error| format!("{}: {error}", page.display()))
}
