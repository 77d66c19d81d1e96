//! The conductor: small, single-threaded, and without an attachment of its own, so that whoever it
//! forks starts at once and inherits nothing. It leads a run round by round: everybody at work
//! while it kills, stops, and moves the clock; then all dead, the queue drained, the ledgers
//! audited and forgotten.

use super::ambush;
use super::audit::Audit;
use super::board::{Board, FORMAT, Raw, Tick};
use super::body::{BODY_BYTES_MAX, Shape};
use super::crew::Crew;
use super::faults::Fault;
use super::hand::{Tools, VISIBILITY_MS, VISIBILITY_MS_MAX};
use super::history::{Past, Round};
use super::ledger::Record;
use super::os::{self, Birth, Packets};
use super::report::Totals;
use super::rogue::Twin;
use super::roles::Role;
use crate::common::{Dir, Numbers};
use ringmain::{Mapped, Queue, QueueOptions};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Everybody is asked to end, and has ended: how long that may take, ns.
const END_NS: u64 = 20_000_000_000;
/// The same for the auditor and the drainer.
const AUDIT_NS: u64 = 120_000_000_000;

/// How long an ambush waits for somebody before the next victim is chosen by chance, ns.
const AMBUSH_NS: u64 = 15_000_000;
/// Somebody is caught up to 2 to the power of this, and one more, instructions into a call.
const AMBUSH_BITS: u64 = if cfg!(debug_assertions) { 13 } else { 10 };

/// How a run is led.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub seed: u64,
    pub round: Duration,
    pub kills_a_second: u64,
    pub messages_a_second: u64,
}

/// One queue in its file, and everything around it.
pub struct Ground {
    dir: Dir,
    pub tools: Tools,
}

impl Ground {
    pub fn new(board: &'static Board, shape: Shape, twin: bool) -> Self {
        let dir = Dir::shm("torture");
        let path = dir.file("q.ring");
        let (bytes, typical, longest) = match shape {
            Shape::Wide => (4 << 20, 96, 16_384),
            // 320 slots of 64 bytes: five blocks.
            Shape::Narrow => (20_480 + 1152 + 384 + 320 * 104, 32, BODY_BYTES_MAX),
        };
        let options = QueueOptions::new()
            .visibility(Duration::from_millis(VISIBILITY_MS))
            .typical_body(typical)
            .max_body(longest);
        let region = Mapped::create(&path, bytes).expect("a region");
        Queue::create_with(&region, options, Tick(board)).expect("a queue");
        drop(region); // the attachment goes before anybody is forked
        let tools = Tools {
            board,
            raw: Raw::map(&path),
            mail: Packets::new(),
            path,
            shape,
            twin,
        };
        Self { dir, tools }
    }

    /// Removes what the shipped program left beside the region.
    fn tidy(&self) {
        for name in self.dir.names() {
            if name != "q.ring" {
                let _ = std::fs::remove_file(self.dir.file(&name));
            }
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.tools.raw.unmap();
        self.tools.mail.close();
    }
}

pub struct Conductor<'g> {
    ground: &'g Ground,
    pace: Pace,
    numbers: Numbers,
}

impl<'g> Conductor<'g> {
    pub fn new(ground: &'g Ground, pace: Pace, stream: u64) -> Self {
        let numbers = Numbers(pace.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            ground,
            pace,
            numbers,
        }
    }

    fn board(&self) -> &'static Board {
        self.ground.tools.board
    }

    /// One round, audit included.
    pub fn round(&mut self, twin: Option<Twin>, totals: &mut Totals) {
        let board = self.board();
        for life in &board.lives {
            // Only entries that were used cost anything.
            if life.pid.swap(0, Ordering::SeqCst) != 0 {
                life.ledger.clear();
                let words = [&life.op, &life.steps, &life.open_since, &life.open_max];
                for word in words.into_iter().chain([&life.caught]) {
                    word.store(0, Ordering::SeqCst);
                }
            }
        }
        board.stop.store(0, Ordering::SeqCst);
        board.permits.store(0, Ordering::SeqCst);
        board.ambush.store(0, Ordering::SeqCst);
        while self.ground.tools.mail.read::<1>().is_some() {}
        let tools = self.ground.tools.clone();
        let mut crew = Crew::new(&tools, self.pace.seed, twin);
        let plan = Plan::new(&mut self.numbers, twin);
        self.work(&plan, &mut crew, totals);
        let ended = self.end(&plan, &mut crew, totals);
        if ended && self.drain(&mut crew, totals) {
            self.audit(crew.past, totals);
        }
        self.ground.tidy();
        totals.progress(match tools.shape {
            Shape::Wide => "wide",
            Shape::Narrow => "narrow",
        });
    }

    // ---- the round's work

    fn work(&mut self, plan: &Plan, crew: &mut Crew<'_>, totals: &mut Totals) {
        let board = self.board();
        let begun = os::now_ns();
        let end = begun + self.pace.round.as_nanos() as u64;
        let gap_ns = 1_000_000_000 / self.pace.kills_a_second;
        let (mut next_kill, mut next_stop) = (begun + 3 * gap_ns, begun + 2 * gap_ns);
        let (mut next_step, mut next_mood) = (begun + 50_000_000, begun + 100_000_000);
        let mut refilled = begun;
        let mut due = None; // when the kill that is to be done was first tried
        let mut staged = plan.staged();
        loop {
            let now = os::now_ns();
            board.beat_ns.store(now, Ordering::Relaxed);
            crew.reap(totals);
            crew.adopt(totals);
            if now >= end || !crew.has_room() {
                break;
            }
            let permits = (now - refilled) * self.pace.messages_a_second / 1_000_000_000;
            if permits > 0 {
                refilled = now;
                let left = board.permits.fetch_add(permits as i64, Ordering::Relaxed);
                if left > 2000 {
                    board.permits.store(2000, Ordering::Relaxed);
                }
            }
            if let Some(role) = staged
                .pop_if(|(at, _)| begun + *at <= now)
                .map(|(_, role)| role)
            {
                self.stage(role, crew, totals);
            }
            while crew.len() < plan.crew && crew.has_room() {
                self.hire(crew, totals);
            }
            crew.go_on(false);
            if now >= next_kill && self.strike(now - *due.get_or_insert(now), crew, totals) {
                due = None;
                next_kill = (next_kill + self.numbers.below(2 * gap_ns)).max(now - 2 * gap_ns);
            } else if now >= next_stop {
                next_stop = now + self.numbers.below(4 * gap_ns);
                crew.stop(&mut self.numbers, totals);
            }
            if now >= next_step {
                next_step = now + self.numbers.below(200_000_000);
                self.step_clock(totals);
            }
            if now >= next_mood {
                next_mood = now + self.numbers.below(400_000_000);
                board.mood.store(self.numbers.below(4), Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_micros(300)); // the others want the processor
        }
    }

    /// Kills, `late_ns` after it was to be done: in an ambush if one of the crew gets into it in
    /// time, else where it can. `false`: not yet.
    fn strike(&mut self, late_ns: u64, crew: &mut Crew<'_>, totals: &mut Totals) -> bool {
        if ambush::POSSIBLE && late_ns < AMBUSH_NS {
            if crew.spring(&mut self.numbers, totals) {
                return true;
            }
            let board = self.board();
            if board.ambush.load(Ordering::SeqCst) == 0 && !crew.is_entered() {
                let calls = ambush::CALLS;
                let op = calls[self.numbers.below(calls.len() as u64) as usize];
                let bits = 2 + self.numbers.below(AMBUSH_BITS);
                let order = ambush::order(op, self.numbers.below(1 << bits));
                board.ambush.store(order, Ordering::SeqCst);
            }
            return false;
        }
        self.board().ambush.store(0, Ordering::SeqCst);
        match self.numbers.below(20) {
            0 => {
                let n = 2 + self.numbers.below(3);
                crew.kill_some(n, &mut self.numbers, totals);
            }
            1 => crew.reuse_pid(true, &mut self.numbers, totals),
            2..5 => crew.reuse_pid(false, &mut self.numbers, totals),
            _ => crew.kill(&mut self.numbers, totals),
        }
        true
    }

    fn hire(&mut self, crew: &mut Crew<'_>, totals: &mut Totals) {
        let mut role = match self.numbers.below(32) {
            0..10 => Role::Producer,
            10..20 => Role::Worker,
            20..23 => Role::Holder,
            23..25 => Role::Pair,
            25..27 => Role::Comer,
            27..30 => Role::Forker,
            30 => Role::ProgramSend,
            _ => Role::ProgramReceive,
        };
        if role.is_program() && !cfg!(feature = "cli") {
            role = Role::Worker;
        }
        totals.programs += u64::from(role.is_program());
        // A forker's child needs the namespace to outlive its parent.
        let namespace = self.numbers.below(8) == 0 && role != Role::Forker;
        let birth = Birth {
            pid: None,
            namespace,
        };
        match crew.hire(role, birth, totals) {
            Ok(()) => totals.namespaces += u64::from(namespace),
            Err(error) if namespace => {
                totals.left_out("PID namespaces", &error);
                let _ = crew.hire(role, Birth::default(), totals);
            }
            Err(error) => totals.conductor_fault(&format!("no process: {error}")),
        }
    }

    /// Something that happens once in a while.
    fn stage(&mut self, role: Role, crew: &mut Crew<'_>, totals: &mut Totals) {
        if role == Role::Stranger {
            return self.trial(crew, totals);
        }
        totals.crowds += u64::from(role == Role::Crowd);
        if let Err(error) = crew.hire(role, Birth::default(), totals) {
            totals.conductor_fault(&format!("no process: {error}"));
        }
    }

    /// The file says for a moment that it is of a newer format: a stranger is refused, and those
    /// who are attached go on.
    fn trial(&mut self, crew: &mut Crew<'_>, totals: &mut Totals) {
        let tools = &self.ground.tools;
        tools.board.trials.fetch_add(1, Ordering::SeqCst);
        tools.raw.set_version(u64::from(FORMAT) + 1);
        let before = crew.past.len();
        let hired = crew.hire(Role::Stranger, Birth::default(), totals);
        let deadline = os::now_ns() + END_NS;
        let done = |crew: &Crew<'_>| {
            let mut ended = crew.past[before..].iter();
            ended.any(|past| past.role == Role::Stranger)
        };
        while hired.is_ok() && !done(crew) {
            if os::now_ns() > deadline {
                totals.fault(Fault::Stuck, "the stranger does not end");
                break;
            }
            self.board().beat_ns.store(os::now_ns(), Ordering::Relaxed);
            crew.reap(totals);
            crew.go_on(false);
            std::thread::sleep(Duration::from_micros(300));
        }
        tools.raw.set_version(u64::from(FORMAT));
        totals.trials += 1;
    }

    /// Moves everybody's clock, forward or backward; over time it gains.
    fn step_clock(&mut self, totals: &mut Totals) {
        let by = self.numbers.below(250) as i64;
        let by = if self.numbers.below(2) == 0 {
            by
        } else {
            -by * 3 / 4
        };
        self.board().offset_ms.fetch_add(by, Ordering::SeqCst);
        totals.steps += 1;
    }

    // ---- the round's end

    /// Ends everybody: in order, by asking, or at once, by killing. `false`: somebody is left.
    fn end(&mut self, plan: &Plan, crew: &mut Crew<'_>, totals: &mut Totals) -> bool {
        let board = self.board();
        let deadline = os::now_ns() + END_NS;
        board.ambush.store(0, Ordering::SeqCst);
        crew.go_on(true);
        let mut asked = plan.in_order;
        if asked {
            totals.orderly += 1;
            board.stop.store(1, Ordering::SeqCst);
            crew.kill_programs(totals);
        }
        loop {
            board.beat_ns.store(os::now_ns(), Ordering::Relaxed);
            crew.adopt(totals);
            crew.go_on(true); // one may have got into the last ambush just now
            if !asked {
                crew.kill_all(totals);
            }
            if !crew.reap(totals) {
                return true;
            }
            if os::now_ns() > deadline {
                let text = format!("{} do not end: {}", crew.len(), crew.whereabouts());
                totals.fault(Fault::Stuck, &text);
                if !asked {
                    return false;
                }
                asked = false;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn drain(&mut self, crew: &mut Crew<'_>, totals: &mut Totals) -> bool {
        let board = self.board();
        // What was detached, or held in life, comes back by its time alone.
        let over = 2 * VISIBILITY_MS_MAX as i64;
        board.offset_ms.fetch_add(over, Ordering::SeqCst);
        board.stop.store(0, Ordering::SeqCst);
        board.more.store(1, Ordering::SeqCst);
        let deadline = os::now_ns() + AUDIT_NS;
        while crew.reap(totals) || board.more.swap(0, Ordering::SeqCst) != 0 {
            if crew.len() == 0
                && let Err(error) = crew.hire(Role::Drainer, Birth::default(), totals)
            {
                totals.conductor_fault(&format!("no process: {error}"));
                return false;
            }
            board.beat_ns.store(os::now_ns(), Ordering::Relaxed);
            if os::now_ns() > deadline {
                let text = format!("the drainer does not end: {}", crew.whereabouts());
                totals.fault(Fault::Stuck, &text);
                crew.kill_all(totals);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        true
    }

    /// Has a child audit the ledgers, so that this process stays small.
    fn audit(&mut self, past: Vec<Past>, totals: &mut Totals) {
        let tools = &self.ground.tools;
        let auditor = os::spawn(Birth::default(), || {
            let mut problems = Vec::new();
            let round = Round::gather(past, |past| read(tools, past, &mut problems));
            let audit = Audit::of(&round, problems, tools.twin);
            audit.report(tools.board);
            0
        });
        let deadline = os::now_ns() + AUDIT_NS;
        let pid = match auditor {
            Ok(pid) => pid,
            Err(error) => return totals.conductor_fault(&format!("no auditor: {error}")),
        };
        loop {
            match os::wait(pid, libc::WNOHANG) {
                Ok(None) if os::now_ns() < deadline => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                Ok(Some((_, os::End::Exit(0)))) => break,
                other => {
                    os::signal(pid, libc::SIGKILL);
                    totals.conductor_fault(&format!("the auditor: {other:?}"));
                    break;
                }
            }
        }
        totals.add(tools.board);
    }
}

/// The records of a life, and what its end left open.
fn read(
    tools: &Tools,
    past: &Past,
    problems: &mut Vec<String>,
) -> (Vec<Record>, Option<(u64, u64)>) {
    let life = &tools.board.lives[past.index];
    let records = life.ledger.read();
    #[cfg(feature = "cli")]
    if past.role.is_program() {
        return super::program::read(tools, past, records, problems);
    }
    let _ = problems;
    let since = life.open_since.load(Ordering::SeqCst);
    let most = life.open_max.load(Ordering::SeqCst);
    (records, (since != 0).then_some((since, most)))
}

/// What a round has in it.
struct Plan {
    /// How many take part at a time.
    crew: usize,
    in_order: bool,
    purges: bool,
    crowd: bool,
    stranger: bool,
    twin: bool,
}

impl Plan {
    fn new(numbers: &mut Numbers, twin: Option<Twin>) -> Self {
        let mut once_in = |n: u64| numbers.below(n) == 0 && twin.is_none();
        let (in_order, purges) = (once_in(3), once_in(8));
        let (crowd, stranger) = (once_in(12), once_in(6) && cfg!(feature = "cli"));
        Self {
            crew: 4 + numbers.below(5) as usize,
            in_order,
            purges,
            crowd,
            stranger,
            twin: twin.is_some(),
        }
    }

    /// Who comes when, ns from the round's begin; the first is the last.
    fn staged(&self) -> Vec<(u64, Role)> {
        let all = [
            (self.stranger, 900, Role::Stranger),
            (self.crowd, 600, Role::Crowd),
            (self.twin, 200, Role::Rogue),
            (self.purges, 150, Role::Purger),
        ];
        let planned = all.into_iter().filter(|(planned, _, _)| *planned);
        planned
            .map(|(_, ms, role)| (ms * 1_000_000, role))
            .collect()
    }
}
