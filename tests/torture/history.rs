//! What happened in a round: the lives, and their records by message, as the auditor reads them.

use super::board::Op;
use super::ledger::{Answer, Kind, Record};
use super::os::End;
use super::roles::Role;
use std::collections::HashMap;
use std::fmt::Write;

/// A life that is over.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its entry on the board.
    pub index: usize,
    /// Its number in the whole run.
    pub number: u64,
    pub role: Role,
    pub born_ns: u64,
    /// When the conductor set out to kill it.
    pub killed_ns: Option<u64>,
    pub ended_ns: u64,
    pub end: End,
}

impl Past {
    /// From when on what it held may have come back for its end, ns.
    pub fn over_ns(&self) -> u64 {
        self.killed_ns.unwrap_or(self.ended_ns).min(self.ended_ns)
    }
}

/// A record, and whose.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Index among the round's lives.
    pub life: usize,
    pub record: Record,
}

/// A receive that may have taken up to `most` messages without a trace, from `since` on.
#[derive(Debug, Clone, Copy)]
pub struct Hidden {
    pub since: u64,
    pub most: u64,
}

/// A purge: from when to when; one that died has no end.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    pub begun: u64,
    pub ended: Option<u64>,
}

/// All of a round.
pub struct Round {
    pub lives: Vec<Past>,
    /// Sorted by message, then by time.
    pub entries: Vec<Entry>,
    pub faults: Vec<Entry>,
    pub hidden: Vec<Hidden>,
    pub purges: Vec<Purge>,
    /// When an attachment's drop began, by life and attachment.
    pub drops: HashMap<(usize, u8), u64>,
    pub forkers: Vec<usize>,
    pub late_reads: u64,
    pub refused: u64,
}

impl Round {
    /// Gathers the records of `lives`; `read` gives those of each, and the receive that its end
    /// left open, if it did: since when, and of how many.
    pub fn gather(
        lives: Vec<Past>,
        mut read: impl FnMut(&Past) -> (Vec<Record>, Option<(u64, u64)>),
    ) -> Self {
        let mut round = Self {
            lives: Vec::new(),
            entries: Vec::new(),
            faults: Vec::new(),
            hidden: Vec::new(),
            purges: Vec::new(),
            drops: HashMap::new(),
            forkers: Vec::new(),
            late_reads: 0,
            refused: 0,
        };
        for (life, past) in lives.iter().enumerate() {
            let (records, open) = read(past);
            if let Some((since, most)) = open {
                let known = |r: &&Record| r.kind == Kind::Got && r.t0 == since;
                let known = records.iter().filter(known).count() as u64;
                let most = most.saturating_sub(known);
                round.hidden.push(Hidden { since, most });
            }
            for record in records {
                round.enter(Entry { life, record });
            }
        }
        round.lives = lives;
        round.entries.sort_by_key(|entry| {
            let record = &entry.record;
            (record.seed, record.t0, record.t1)
        });
        round
    }

    fn enter(&mut self, entry: Entry) {
        let record = &entry.record;
        match record.kind {
            Kind::Fault => self.faults.push(entry),
            Kind::LateRead => self.late_reads += 1,
            Kind::Refused => self.refused += record.count as u64,
            Kind::ForkBegin => self.forkers.push(entry.life),
            Kind::DropBegin => {
                let key = (entry.life, record.attachment);
                self.drops.insert(key, record.t0);
            }
            Kind::Blind => self.hidden.push(Hidden {
                since: record.t0,
                most: record.count as u64,
            }),
            Kind::PurgeBegin => self.purges.push(Purge {
                begun: record.t0,
                ended: None,
            }),
            Kind::PurgeEnd => {
                let begun = |purge: &&mut Purge| purge.begun == record.t0;
                if let Some(purge) = self.purges.iter_mut().find(begun) {
                    purge.ended = Some(record.t1);
                }
            }
            Kind::SendBegin | Kind::SendEnd | Kind::Got | Kind::SettleBegin | Kind::SettleEnd => {
                self.entries.push(entry);
            }
        }
    }

    /// The entries of each message.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let same = |a: &Entry, b: &Entry| a.record.seed == b.record.seed;
        self.entries
            .chunk_by(same)
            .map(|entries| Message::of(self, entries))
    }
}

/// What happened to one message.
pub struct Message<'r> {
    pub round: &'r Round,
    pub seed: u64,
    pub entries: &'r [Entry],
    /// Its receives, by count.
    pub receives: Vec<Entry>,
}

/// Whether an operation is a delete.
pub fn is_delete(op: Op) -> bool {
    matches!(op, Op::Delete | Op::DeleteBatch | Op::DeleteReceipt)
}

impl<'r> Message<'r> {
    fn of(round: &'r Round, entries: &'r [Entry]) -> Self {
        let got = |entry: &&Entry| entry.record.kind == Kind::Got;
        let mut receives: Vec<Entry> = entries.iter().filter(got).copied().collect();
        receives.sort_by_key(|entry| (entry.record.count, entry.record.t0));
        Self {
            round,
            seed: entries[0].record.seed,
            entries,
            receives,
        }
    }

    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.record.kind == kind)
    }

    /// The outcome of what began with `begin`, if it is known.
    pub fn outcome(&self, begin: &Entry) -> Option<&Entry> {
        self.of_kind(Kind::SettleEnd).find(|end| {
            let (a, b) = (&begin.record, &end.record);
            end.life == begin.life && (a.op, a.count, a.t0) == (b.op, b.count, b.t0)
        })
    }

    /// The send's acknowledgment.
    pub fn acknowledged(&self) -> Option<&Entry> {
        let mut ends = self.of_kind(Kind::SendEnd);
        ends.find(|end| end.record.answer == Answer::Ok)
    }

    /// The history as text, a line an entry.
    pub fn tell(&self) -> String {
        let mut text = format!("  message {:016x}:\n", self.seed);
        let start = self.entries.first().map_or(0, |entry| entry.record.t0);
        for Entry { life, record } in self.entries {
            let past = &self.round.lives[*life];
            let ms = |t: u64| (t as f64 - start as f64) / 1e6;
            let mut death = format!(", born at {:+.3} ms", ms(past.born_ns));
            if let Some(killed) = past.killed_ns {
                let _ = write!(death, ", killed at {:+.3} ms", ms(killed));
            }
            let what = match record.kind {
                Kind::SendBegin => "sends it".to_string(),
                Kind::SendEnd => format!(
                    "sent: {:?}, id {:016x}{:016x}",
                    record.answer, record.id.0, record.id.1
                ),
                Kind::Got => format!(
                    "{}: count {}, region time {}, due {}, id {:016x}{:016x}",
                    record.op.name(),
                    record.count,
                    record.a,
                    record.b,
                    record.id.0,
                    record.id.1
                ),
                Kind::SettleBegin => {
                    format!("begins {} of count {}", record.op.name(), record.count)
                }
                _ => format!(
                    "{} of count {}: {:?}, region time at most {}",
                    record.op.name(),
                    record.count,
                    record.answer,
                    record.latest
                ),
            };
            let _ = writeln!(
                text,
                "    {:+10.3} to {:+10.3} ms  life {} ({}{death}): {what}",
                ms(record.t0),
                ms(record.t1),
                past.number,
                past.role.name(),
            );
        }
        text
    }
}
