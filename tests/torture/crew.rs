//! The crew: who lives, and how they are made, stopped and killed. Deaths are aimed: the conductor
//! watches what its victim does, waits for a call, and strikes some hundred nanoseconds into it.

use super::ambush;
use super::board::{LIVES, Op};
use super::hand::{Hand, Tools};
use super::history::Past;
use super::os::{self, Birth, End};
use super::report::Totals;
use super::rogue::{self, Twin};
use super::roles::{self, Role};
use super::{drain, forker};
use crate::common::Numbers;
use std::sync::atomic::Ordering;

/// How long the conductor watches for a call at most, ns.
const WATCH_NS: u64 = 1_000_000;
/// How far into the call it strikes: up to 2 to the power of less than this, ns.
const STRIKE_BITS: u64 = 13;
/// The longest stop, ms: three visibility timeouts.
const STOP_MS_MAX: u64 = 360;
/// Calls that it waits for in particular, at times.
const AIMS: [Op; 14] = [
    Op::Send,
    Op::SendBatch,
    Op::Claim,
    Op::Commit,
    Op::Abort,
    Op::Receive,
    Op::ReceiveBatch,
    Op::Wait,
    Op::Delete,
    Op::DeleteReceipt,
    Op::Extend,
    Op::Release,
    Op::Detach,
    Op::Drop,
];

/// One who lives.
struct Hired {
    past: Past,
    pid: i32,
    /// Forked by another participant: not to be waited for by its PID.
    adopted: bool,
    stopped_until: Option<u64>,
}

pub struct Crew<'t> {
    tools: &'t Tools,
    seed: u64,
    twin: Option<Twin>,
    alive: Vec<Hired>,
    /// Entries that forkers may give to a child.
    spares: Vec<(usize, u64)>,
    pub past: Vec<Past>,
    used: usize,
}

impl<'t> Crew<'t> {
    pub fn new(tools: &'t Tools, seed: u64, twin: Option<Twin>) -> Self {
        Self {
            tools,
            seed,
            twin,
            alive: Vec::new(),
            spares: Vec::new(),
            past: Vec::new(),
            used: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.alive.len()
    }

    /// Whether the board has entries for more lives, those of the round's end not counted.
    pub fn has_room(&self) -> bool {
        self.used + 16 < LIVES
    }

    fn entry(&mut self, totals: &mut Totals) -> (usize, u64) {
        let entry = (self.used, totals.next_life);
        self.used += 1;
        totals.next_life += 1;
        entry
    }

    // ---- making

    /// Makes a participant.
    pub fn hire(&mut self, role: Role, birth: Birth, totals: &mut Totals) -> std::io::Result<()> {
        let (index, number) = self.entry(totals);
        let spare = (role == Role::Forker).then(|| self.entry(totals));
        let (tools, seed, twin) = (self.tools, self.seed, self.twin);
        let born_ns = os::now_ns();
        let made = os::spawn(birth, || {
            os::end_with_parent(false);
            let mut hand = Hand::new(tools.clone(), index, number, seed);
            hand.spare = spare;
            act(role, &mut hand, twin)
        });
        let pid = made?;
        self.tools.board.lives[index]
            .pid
            .store(pid as u64, Ordering::SeqCst);
        self.spares.extend(spare);
        self.alive.push(Hired {
            past: Past {
                index,
                number,
                role,
                born_ns,
                killed_ns: None,
                ended_ns: 0,
                end: End::Stopped,
            },
            pid,
            adopted: false,
            stopped_until: None,
        });
        Ok(())
    }

    /// Takes note of children that forkers have made.
    pub fn adopt(&mut self, totals: &mut Totals) {
        let lives = &self.tools.board.lives;
        let alive = &mut self.alive;
        self.spares.retain(|&(index, number)| {
            let pid = lives[index].pid.load(Ordering::SeqCst) as i32;
            if pid == 0 {
                return true;
            }
            totals.forks += 1;
            alive.push(Hired {
                past: Past {
                    index,
                    number,
                    role: Role::Forked,
                    born_ns: os::now_ns(),
                    killed_ns: None,
                    ended_ns: 0,
                    end: End::Stopped,
                },
                pid,
                adopted: true,
                stopped_until: None,
            });
            false
        });
    }

    // ---- ends

    /// Takes note of all who have ended. `false`: there is nobody left to wait for.
    pub fn reap(&mut self, totals: &mut Totals) -> bool {
        loop {
            match os::wait(-1, libc::WNOHANG) {
                Ok(Some((pid, end))) => self.ended(pid, end, totals),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn ended(&mut self, pid: i32, end: End, totals: &mut Totals) {
        if end == End::Stopped {
            return;
        }
        self.adopt(totals);
        let Some(at) = self.alive.iter().position(|hired| hired.pid == pid) else {
            totals.conductor_fault(&format!(
                "process {pid}, which nobody knows, ended: {end:?}"
            ));
            return;
        };
        let mut past = self.alive.swap_remove(at).past;
        (past.end, past.ended_ns) = (end, os::now_ns());
        if past.killed_ns.is_some() {
            let op = self.tools.board.lives[past.index].op.load(Ordering::SeqCst);
            totals.death(Op::of(op), past.role);
        }
        self.past.push(past);
    }

    fn strike(&mut self, at: usize, totals: &mut Totals) -> i32 {
        let hired = &mut self.alive[at];
        hired.past.killed_ns = Some(os::now_ns());
        os::signal(hired.pid, libc::SIGKILL);
        totals.kills += 1;
        hired.pid
    }

    /// Kills one, mostly in the midst of a call, and waits for its end.
    pub fn kill(&mut self, numbers: &mut Numbers, totals: &mut Totals) {
        let Some(at) = self.pick(numbers, |hired| hired.past.killed_ns.is_none()) else {
            return;
        };
        let at = self.aim(at, numbers);
        let adopted = self.alive[at].adopted;
        let pid = self.strike(at, totals);
        if !adopted && let Ok(Some((pid, end))) = os::wait(pid, 0) {
            self.ended(pid, end, totals);
        }
    }

    /// Whether somebody is on the way to the place of an ambush.
    pub fn is_entered(&self) -> bool {
        let caught = |hired: &Hired| {
            let life = &self.tools.board.lives[hired.past.index];
            life.caught.load(Ordering::SeqCst) == ambush::ENTERED && hired.stopped_until.is_none()
        };
        self.alive.iter().any(caught)
    }

    /// Kills, or keeps for a while, one who has been caught in an ambush. `false`: nobody has.
    pub fn spring(&mut self, numbers: &mut Numbers, totals: &mut Totals) -> bool {
        let lives = &self.tools.board.lives;
        let caught = |hired: &Hired| {
            let life = &lives[hired.past.index];
            let there = life.caught.load(Ordering::SeqCst) == ambush::CAUGHT;
            there && hired.past.killed_ns.is_none() && hired.stopped_until.is_none()
        };
        let Some(at) = self.alive.iter().position(caught) else {
            return false;
        };
        totals.caught += 1;
        if numbers.below(4) == 0 {
            let ms = 1 + numbers.below(STOP_MS_MAX);
            self.alive[at].stopped_until = Some(os::now_ns() + ms * 1_000_000);
            totals.stops += 1;
            return true;
        }
        let adopted = self.alive[at].adopted;
        let pid = self.strike(at, totals);
        if !adopted && let Ok(Some((pid, end))) = os::wait(pid, 0) {
            self.ended(pid, end, totals);
        }
        true
    }

    /// Watches for one who is in a call, `first` if nobody is, and returns whom to kill now.
    fn aim(&self, first: usize, numbers: &mut Numbers) -> usize {
        let wanted = numbers.below(AIMS.len() as u64 * 3) as usize;
        let bits = numbers.below(STRIKE_BITS);
        let strike_ns = numbers.below(1 << bits);
        if numbers.below(12) == 0 {
            return first; // whatever it does
        }
        let begun = os::now_ns();
        let mut found = None;
        while found.is_none() && os::now_ns() - begun < WATCH_NS {
            let patient = os::now_ns() - begun < WATCH_NS / 2;
            found = (0..self.alive.len())
                .map(|n| (first + n) % self.alive.len())
                .find(|&at| {
                    let hired = &self.alive[at];
                    let life = &self.tools.board.lives[hired.past.index];
                    let op = Op::of(life.op.load(Ordering::Relaxed));
                    let aimed = match AIMS.get(wanted).filter(|_| patient) {
                        Some(wanted) => op == *wanted,
                        None => op != Op::Outside && op != Op::Wait,
                    };
                    aimed && hired.past.killed_ns.is_none() && hired.stopped_until.is_none()
                });
        }
        let strike_ns = os::now_ns() + strike_ns;
        while found.is_some() && os::now_ns() < strike_ns {
            std::hint::spin_loop();
        }
        found.unwrap_or(first)
    }

    /// Kills several at one blow.
    pub fn kill_some(&mut self, n: u64, numbers: &mut Numbers, totals: &mut Totals) {
        for _ in 0..n {
            if let Some(at) = self.pick(numbers, |hired| hired.past.killed_ns.is_none()) {
                self.strike(at, totals);
            }
        }
    }

    pub fn kill_all(&mut self, totals: &mut Totals) {
        for at in 0..self.alive.len() {
            if self.alive[at].past.killed_ns.is_none() {
                self.strike(at, totals);
            }
        }
    }

    /// Kills those of the shipped program, who do not look at the board.
    pub fn kill_programs(&mut self, totals: &mut Totals) {
        for at in 0..self.alive.len() {
            let past = &self.alive[at].past;
            if past.role.is_program() && past.killed_ns.is_none() {
                self.strike(at, totals);
            }
        }
    }

    fn pick(&self, numbers: &mut Numbers, may: impl Fn(&Hired) -> bool) -> Option<usize> {
        let picked: Vec<usize> = (0..self.alive.len())
            .filter(|&at| may(&self.alive[at]))
            .collect();
        let count = picked.len() as u64;
        (count != 0).then(|| picked[numbers.below(count) as usize])
    }

    /// Who lives, and in which call each is, as text.
    pub fn whereabouts(&self) -> String {
        let one = |hired: &Hired| {
            let life = &self.tools.board.lives[hired.past.index];
            let op = Op::of(life.op.load(Ordering::SeqCst));
            let (role, number) = (hired.past.role.name(), hired.past.number);
            format!("{role} {number} in {}", op.name())
        };
        let all: Vec<String> = self.alive.iter().map(one).collect();
        all.join(", ")
    }

    // ---- stops

    /// Stops one for a while.
    pub fn stop(&mut self, numbers: &mut Numbers, totals: &mut Totals) {
        let going = |hired: &Hired| hired.stopped_until.is_none() && hired.past.killed_ns.is_none();
        if let Some(at) = self.pick(numbers, going) {
            let hired = &mut self.alive[at];
            os::signal(hired.pid, libc::SIGSTOP);
            // Up to three visibility timeouts; often short.
            let longest = if numbers.below(3) == 0 {
                STOP_MS_MAX
            } else {
                40
            };
            hired.stopped_until = Some(os::now_ns() + (1 + numbers.below(longest)) * 1_000_000);
            totals.stops += 1;
        }
    }

    /// Lets those go on whose stop is over, or all.
    pub fn go_on(&mut self, all: bool) {
        let now = os::now_ns();
        for hired in &mut self.alive {
            if all || hired.stopped_until.is_some_and(|until| until <= now) {
                hired.stopped_until = None;
                os::signal(hired.pid, libc::SIGCONT);
                let caught = &self.tools.board.lives[hired.past.index].caught;
                let (there, on) = (ambush::CAUGHT, ambush::LET_GO);
                // An error: it was stopped by a signal, and not caught.
                let _ = caught.compare_exchange(there, on, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
    }

    // ---- PIDs used again

    /// Kills one and gives its PID to a new participant. `staged`: all others are stopped
    /// meanwhile, so that nobody has noticed the death.
    pub fn reuse_pid(&mut self, staged: bool, numbers: &mut Numbers, totals: &mut Totals) {
        let own = |hired: &Hired| {
            !hired.adopted && hired.past.killed_ns.is_none() && !hired.past.role.is_program()
        };
        let Some(victim) = self.pick(numbers, own) else {
            return;
        };
        let pid = self.alive[victim].pid;
        if staged {
            for hired in self.alive.iter_mut().filter(|hired| hired.pid != pid) {
                os::signal(hired.pid, libc::SIGSTOP);
                hired.stopped_until = Some(0);
                if !hired.adopted {
                    os::wait_for_stop(hired.pid);
                }
            }
        }
        self.strike(victim, totals);
        if let Ok(Some((pid, end))) = os::wait(pid, 0) {
            self.ended(pid, end, totals);
        }
        let birth = Birth {
            pid: Some(pid),
            namespace: false,
        };
        let role = if numbers.below(2) == 0 {
            Role::Worker
        } else {
            Role::Holder
        };
        match self.hire(role, birth, totals) {
            Ok(()) => totals.pids_reused += 1,
            Err(error) => totals.left_out("PIDs used again", &error),
        }
        if staged {
            self.go_on(true);
        }
    }
}

fn act(role: Role, hand: &mut Hand, twin: Option<Twin>) -> i32 {
    match role {
        Role::Producer => roles::produce(hand),
        Role::Worker | Role::Forked => roles::work(hand),
        Role::Holder => roles::hold(hand),
        Role::Pair => roles::pair(hand),
        Role::Comer => roles::come_and_go(hand),
        Role::Purger => roles::purge(hand),
        Role::Crowd => roles::crowd(hand),
        Role::Forker => forker::fork(hand),
        Role::Drainer => drain::drain(hand),
        Role::Rogue => twin.map_or(0, |twin| rogue::rogue(hand, twin)),
        #[cfg(feature = "cli")]
        Role::ProgramSend => super::program::send(hand),
        #[cfg(feature = "cli")]
        Role::ProgramReceive => super::program::receive(hand),
        #[cfg(feature = "cli")]
        Role::Stranger => super::program::stranger(hand),
        #[cfg(not(feature = "cli"))]
        Role::ProgramSend | Role::ProgramReceive | Role::Stranger => 0,
    }
}
