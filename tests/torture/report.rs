//! The figures of a whole run, and how they are shown.

use super::board::{Board, Op};
use super::faults::{Fault, KINDS};
use super::roles::Role;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Buckets a doubling of the recovery times.
const STEPS: f64 = 16.0;
const BUCKETS: usize = 40 * 16;

/// What came together over all rounds.
pub struct Totals {
    begun: Instant,
    shown: Instant,
    pub next_life: u64,
    pub rounds: u64,
    pub kills: u64,
    pub stops: u64,
    pub caught: u64,
    pub steps: u64,
    pub forks: u64,
    pub namespaces: u64,
    pub pids_reused: u64,
    pub crowds: u64,
    pub programs: u64,
    pub trials: u64,
    pub orderly: u64,
    messages: u64,
    receives: u64,
    deletes: u64,
    records: u64,
    hidden: u64,
    late_reads: u64,
    by_sibling: u64,
    forked_calls: u64,
    faults: [u64; KINDS],
    deaths: BTreeMap<u8, u64>,
    dead_programs: u64,
    recovery: Vec<u64>,
    recovery_max_us: u64,
    left_out: BTreeMap<String, String>,
}

impl Totals {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            shown: Instant::now(),
            next_life: 1,
            rounds: 0,
            kills: 0,
            stops: 0,
            caught: 0,
            steps: 0,
            forks: 0,
            namespaces: 0,
            pids_reused: 0,
            crowds: 0,
            programs: 0,
            trials: 0,
            orderly: 0,
            messages: 0,
            receives: 0,
            deletes: 0,
            records: 0,
            hidden: 0,
            late_reads: 0,
            by_sibling: 0,
            forked_calls: 0,
            faults: [0; KINDS],
            deaths: BTreeMap::new(),
            dead_programs: 0,
            recovery: vec![0; BUCKETS],
            recovery_max_us: 0,
            left_out: BTreeMap::new(),
        }
    }

    /// A new beginning, in which lives go on being counted.
    pub fn anew(self) -> Self {
        Self {
            next_life: self.next_life,
            left_out: self.left_out,
            ..Self::new()
        }
    }

    /// Whether going on would only repeat what is known.
    pub fn is_hopeless(&self) -> bool {
        self.faults() > 200
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Where a death found its victim.
    pub fn death(&mut self, op: Op, role: Role) {
        if role.is_program() {
            self.dead_programs += 1;
        } else {
            *self.deaths.entry(op as u8).or_default() += 1;
        }
    }

    /// Something that this machine does not permit.
    pub fn left_out(&mut self, what: &str, error: &std::io::Error) {
        // A PID that somebody else has got meanwhile is no matter of permission.
        if error.raw_os_error() != Some(libc::EEXIST) {
            let reason = format!("not permitted ({error})");
            self.left_out.insert(what.to_string(), reason);
        }
    }

    /// Something that this processor cannot do.
    pub fn impossible(&mut self, what: &str) {
        let reason = "not on this processor".to_string();
        self.left_out.insert(what.to_string(), reason);
    }

    /// A fault that the conductor itself found.
    pub fn conductor_fault(&mut self, text: &str) {
        self.fault(Fault::Crash, text);
    }

    pub fn fault(&mut self, fault: Fault, text: &str) {
        eprintln!("fault ({}): {text}", fault.name());
        self.faults[fault as usize] += 1;
    }

    /// Adds what the auditor of a round left on the board.
    pub fn add(&mut self, board: &Board) {
        let verdict = &board.verdict;
        let get = |figure: &std::sync::atomic::AtomicU64| figure.swap(0, Ordering::SeqCst);
        self.rounds += 1;
        self.messages += get(&verdict.messages);
        self.receives += get(&verdict.receives);
        self.deletes += get(&verdict.deletes);
        self.records += get(&verdict.records);
        self.hidden += get(&verdict.hidden);
        self.late_reads += get(&verdict.late_reads);
        self.by_sibling += get(&verdict.by_sibling);
        self.forked_calls += get(&verdict.forked_calls);
        for (total, figure) in self.faults.iter_mut().zip(&verdict.faults) {
            *total += get(figure);
        }
        let times = get(&verdict.recoveries) as usize;
        for figure in &verdict.recovery_us[..times] {
            let us = get(figure).max(1);
            let bucket = ((us as f64).log2() * STEPS) as usize;
            self.recovery[bucket.min(BUCKETS - 1)] += 1;
            self.recovery_max_us = self.recovery_max_us.max(us);
        }
    }

    pub fn faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    pub fn faults_of(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    fn recovery_us(&self, part: f64) -> u64 {
        let all: u64 = self.recovery.iter().sum();
        let rank = (all as f64 * part).ceil() as u64;
        let mut seen = 0;
        let reached = self.recovery.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        let top = |bucket: usize| ((bucket + 1) as f64 / STEPS).exp2() as u64;
        reached.map_or(0, top).min(self.recovery_max_us)
    }

    /// A line on standard error, now and then.
    pub fn progress(&mut self, what: &str) {
        if self.shown.elapsed() < Duration::from_secs(5) {
            return;
        }
        self.shown = Instant::now();
        eprintln!(
            "{:6.0} s  {what}: {} rounds, {} kills, {} stops, {} forks, {} messages, {} faults",
            self.elapsed().as_secs_f64(),
            self.rounds,
            self.kills,
            self.stops,
            self.forks,
            self.messages,
            self.faults(),
        );
    }

    /// The table at the end.
    pub fn table(&self, seed: u64) -> String {
        let seconds = self.elapsed().as_secs_f64();
        let ms = |us: u64| format!("{:.1} ms", us as f64 / 1000.0);
        let mut rows: Vec<(&str, String)> = vec![
            ("seconds", format!("{seconds:.1}")),
            (
                "rounds",
                format!("{} ({} ended in order)", self.rounds, self.orderly),
            ),
            (
                "kills",
                format!(
                    "{} ({:.1} a second)",
                    self.kills,
                    self.kills as f64 / seconds
                ),
            ),
            ("lives", (self.next_life - 1).to_string()),
            ("stops", self.stops.to_string()),
            ("caught in an ambush", self.caught.to_string()),
            ("clock steps", self.steps.to_string()),
            (
                "forks in mid-use",
                format!("{} ({} calls refused)", self.forks, self.forked_calls),
            ),
            ("PID namespaces", self.namespaces.to_string()),
            ("PIDs used again", self.pids_reused.to_string()),
            ("crowds of 1022 attachments", self.crowds.to_string()),
            (
                "the shipped program",
                format!("{} ({} killed)", self.programs, self.dead_programs),
            ),
            ("newer format refused", self.trials.to_string()),
            ("messages", self.messages.to_string()),
            (
                "receives",
                format!("{} ({} cut off by a death)", self.receives, self.hidden),
            ),
            (
                "deletes",
                format!("{} ({} by a sibling)", self.deletes, self.by_sibling),
            ),
            ("late reads", self.late_reads.to_string()),
            ("records audited", self.records.to_string()),
        ];
        let recoveries: u64 = self.recovery.iter().sum();
        rows.push((
            "a dead holder's message",
            format!(
                "{recoveries} received again: p50 {}, p99 {}, max {}",
                ms(self.recovery_us(0.5)),
                ms(self.recovery_us(0.99)),
                ms(self.recovery_max_us),
            ),
        ));
        rows.push(("faults", self.faults().to_string()));
        for fault in Fault::all().filter(|fault| self.faults_of(*fault) != 0) {
            let text = format!("{}: {}", fault.name(), self.faults_of(fault));
            rows.push(("", text));
        }
        for (what, reason) in &self.left_out {
            rows.push(("left out", format!("{what}: {reason}")));
        }
        rows.push(("seed", seed.to_string()));
        let mut text = String::from("\n");
        for (name, value) in rows {
            text += &format!("{name:28} {value}\n");
        }
        text += "where the deaths struck:\n";
        let mut deaths: Vec<(u64, u8)> = self.deaths.iter().map(|(op, n)| (*n, *op)).collect();
        deaths.sort_unstable_by(|a, b| b.cmp(a));
        for (count, op) in deaths {
            text += &format!("  {:26} {count}\n", Op::of(op as u64).name());
        }
        text
    }
}
