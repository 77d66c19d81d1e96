//! One Markdown table a section and placement: median, least and most of each cell, and the
//! ratios of ours to the best peer, those below 1 printed like any other.

use std::{collections::BTreeSet, fmt::Write};

use crate::{
    probe::Placement,
    sample::{Column, Row, Sample, rates},
};

/// A section's samples with what is needed to print them.
pub struct Table<'a> {
    /// Its heading.
    pub heading: &'a str,
    /// Rates are divided by this: a million, or a thousand.
    pub unit: f64,
    /// The unit's name.
    pub unit_name: &'a str,
    /// The header line: machine, kernel, compiler, flags.
    pub machine: &'a str,
    /// The columns.
    pub columns: &'a [Column],
    /// The rows, ours first.
    pub rows: &'a [Row],
    /// All samples, discarded ones too.
    pub samples: &'a [Sample],
    /// Lines below the table.
    pub notes: &'a [String],
    /// Which rows are also printed in nanoseconds.
    pub in_ns: Nanoseconds,
}

/// Which rows are printed in nanoseconds too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nanoseconds {
    /// None.
    None,
    /// Ours.
    Ours,
    /// All, with how many times our first row's they are.
    All,
}

/// Least, median and most of a cell.
#[derive(Clone, Copy)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
    count: usize,
}

impl Spread {
    fn of(sorted: &[f64]) -> Option<Self> {
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        Some(Self {
            min,
            median,
            max,
            count: sorted.len(),
        })
    }
}

impl Table<'_> {
    /// The whole section as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.heading);
        let _ = writeln!(text, "{}; {}.\n", self.machine, self.counts());
        for placement in self.placements() {
            self.one(&mut text, placement);
        }
        for note in self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// Rounds, and how many samples each placement has.
    fn counts(&self) -> String {
        let rounds = self
            .samples
            .iter()
            .map(|one| one.round + 1)
            .max()
            .unwrap_or(0);
        let of = |placement| {
            self.samples
                .iter()
                .filter(|one| one.placement == placement)
                .count()
        };
        let discarded = self.samples.iter().filter(|one| !one.kept).count();
        let (near, far) = (of(Some(Placement::Near)), of(Some(Placement::Far)));
        let disturbed = self
            .samples
            .iter()
            .filter(|one| one.kept && one.disturbed)
            .count();
        format!(
            "{rounds} rounds; samples near {near}, far {far}, discarded {discarded}, kept though \
             disturbed by other programs {disturbed}"
        )
    }

    /// The placements that were seen; one table without a name when none was asked for.
    fn placements(&self) -> Vec<Option<Placement>> {
        let seen = |placement| {
            self.samples
                .iter()
                .any(|one| one.placement == Some(placement))
        };
        let seen: Vec<_> = Placement::ALL
            .into_iter()
            .filter(|&one| seen(one))
            .map(Some)
            .collect();
        if seen.is_empty() { vec![None] } else { seen }
    }

    fn spread(&self, row: usize, column: usize, placement: Option<Placement>) -> Option<Spread> {
        Spread::of(&rates(self.samples, row, column, placement))
    }

    /// One table.
    fn one(&self, text: &mut String, placement: Option<Placement>) {
        let name = placement.map_or("not asked for", Placement::name);
        let mut counts = BTreeSet::new();
        let mut body = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let _ = write!(body, "| {} | {}", row.family, row.name);
            for column in 0..self.columns.len() {
                let spread = self.spread(index, column, placement);
                counts.extend(spread.map(|spread| spread.count));
                let _ = write!(
                    body,
                    " | {}",
                    spread.map_or(String::new(), |one| self.cell(one))
                );
            }
            body.push_str(" |\n");
        }
        self.ratios(&mut body, placement);
        self.nanoseconds(&mut body, placement);
        let least = counts.first().copied().unwrap_or(0);
        let most = counts.last().copied().unwrap_or(0);
        let _ = writeln!(
            text,
            "Placement **{name}**, {}, median (least-most) of {least} to {most} samples a cell.\n",
            self.unit_name
        );
        text.push_str("| | ");
        for column in self.columns {
            let _ = write!(text, " | {}", column.title);
        }
        let _ = writeln!(
            text,
            " |\n|---|---{} |",
            " | ---:".repeat(self.columns.len())
        );
        let _ = writeln!(text, "{body}");
    }

    fn cell(&self, spread: Spread) -> String {
        let Spread {
            min, median, max, ..
        } = spread;
        let [min, median, max] = [min, median, max].map(|rate| digits(rate / self.unit));
        format!("{median} ({min}-{max})")
    }

    /// For each of our rows: its median over the best median among the peers it is held against.
    fn ratios(&self, body: &mut String, placement: Option<Placement>) {
        for (index, row) in self.rows.iter().enumerate() {
            for family in row.against {
                let _ = write!(body, "| {} | **ours / best {family} peer**", row.name);
                for column in 0..self.columns.len() {
                    let ours = self.spread(index, column, placement);
                    let best = self.best_peer(family, column, placement);
                    let _ = match ours.zip(best) {
                        Some((ours, (rate, name))) => {
                            write!(body, " | **{:.2}** {name}", ours.median / rate)
                        }
                        None => write!(body, " | "),
                    };
                }
                body.push_str(" |\n");
            }
        }
    }

    fn best_peer(
        &self,
        family: &str,
        column: usize,
        placement: Option<Placement>,
    ) -> Option<(f64, &str)> {
        let peers = self.rows.iter().enumerate();
        peers
            .filter(|(_, row)| !row.is_ours() && row.family == family)
            .filter_map(|(peer, row)| {
                Some((
                    self.spread(peer, column, placement)?.median,
                    row.name.as_str(),
                ))
            })
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// Rows once more, as the time that a message takes.
    fn nanoseconds(&self, body: &mut String, placement: Option<Placement>) {
        let (all, what) = match self.in_ns {
            Nanoseconds::None => return,
            Nanoseconds::Ours => (false, "ns a message"),
            Nanoseconds::All => (true, "ns a record (times ours)"),
        };
        let first = self.rows.iter().position(Row::is_ours);
        for (index, row) in self.rows.iter().enumerate() {
            if !all && !row.is_ours() {
                continue;
            }
            let _ = write!(body, "| {} | {}, {what}", row.family, row.name);
            for column in 0..self.columns.len() {
                let spread = self.spread(index, column, placement);
                let time = spread.map(|one| digits(1e9 / one.median));
                let _ = write!(body, " | {}", time.unwrap_or_default());
                let ours = first.and_then(|first| self.spread(first, column, placement));
                if let (true, Some((ours, one))) = (all, ours.zip(spread)) {
                    let _ = write!(body, " ({})", digits(ours.median / one.median));
                }
            }
            body.push_str(" |\n");
        }
    }
}

/// Three digits, more where the number has more before the point.
pub fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
