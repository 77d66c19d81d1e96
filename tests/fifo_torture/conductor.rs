//! The conductor: makes processes, kills them, makes others in their place; at the end of a round
//! it stops them all, has the queue drained, and puts their logs together.

use super::board::{Board, LIVES, Tick};
use super::common::{Dir, Numbers};
use super::consumer::{self, consume, drain};
use super::hand::{Hand, Role, Tools};
use super::history::History;
use super::options::Options;
use super::os::{self, Birth, End};
use super::producer::produce;
use ringmain::{FifoOptions, FifoQueue, Mapped};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PRODUCERS: usize = 4;
const CREW: usize = 8;
/// How many ids the queue remembers.
const IDS: u64 = 1 << 18;
/// Bytes for the messages.
const MESSAGES_BYTES: u64 = 1 << 20;
/// Bytes of an id.
const ID_BYTES: u64 = 160;
/// How long one may stand still in a call, ms.
const PAUSE_MS_MAX: u64 = 250;
/// How long processes may take to end.
const ENDING: Duration = Duration::from_secs(20);

/// Figures of the run.
#[derive(Debug, Default)]
pub struct Tally {
    pub kills: u64,
    /// In a call of the library.
    pub kills_inside: u64,
    pub stuck: u64,
    pub crashed: u64,
    /// What the queue said last: see [`Board::figures`].
    pub figures: [u64; 3],
}

/// One of the crew: where it is on the board, and its process.
#[derive(Clone, Copy)]
struct Member {
    place: usize,
    pid: i32,
}

pub struct Conductor {
    tools: Tools,
    rate: u64,
    kills_a_second: u64,
    round: Duration,
    numbers: Numbers,
    /// Lives so far.
    lives: u64,
    /// Of this round.
    used: usize,
    pub tally: Tally,
    _dir: Dir,
}

impl Conductor {
    pub fn new(options: &Options) -> Self {
        let dir = Dir::shm("fifo-torture");
        let path = dir.file("queue.ring");
        let bytes = IDS * ID_BYTES + MESSAGES_BYTES;
        let region = Mapped::create(&path, bytes).expect("a region");
        let wanted = FifoOptions::new()
            .visibility(Duration::from_millis(super::hand::VISIBILITY_MS))
            .dedup_interval(Duration::from_millis(options.window_ms))
            .dedup_ids(IDS);
        let queue = FifoQueue::create_with(region, wanted, Tick).expect("a queue");
        let board = Board::new();
        board.base_ms.store(base_ms(&queue), Ordering::SeqCst);
        eprintln!(
            "fifo torture: seed {}, {} slots, {} messages a second at most, window {} ms",
            options.seed,
            queue.capacity(),
            options.rate(IDS),
            options.window_ms
        );
        let tools = Tools {
            board,
            path,
            window_ms: options.window_ms,
            renewed: if options.window_ms < 10_000 { 1 } else { 16 },
        };
        Self {
            tools,
            rate: options.rate(IDS),
            kills_a_second: options.kills_a_second,
            round: Duration::from_millis(options.round_ms),
            numbers: Numbers(options.seed),
            lives: 0,
            used: 0,
            tally: Tally::default(),
            _dir: dir,
        }
    }

    /// One round; its history, unless somebody was stuck.
    pub fn round(&mut self) -> Option<History> {
        let board = self.tools.board;
        board.stop.store(0, Ordering::SeqCst);
        board.permits.store(0, Ordering::SeqCst);
        let first = self.lives;
        self.used = 0;
        let mut crew: Vec<Member> = (0..CREW).map(|role| self.start(role, None)).collect();
        let begun = Instant::now();
        let mut last = begun;
        while begun.elapsed() < self.round {
            let mean_us = 1_000_000 / self.kills_a_second;
            let pause = Duration::from_micros(self.numbers.below(2 * mean_us));
            self.watch(&mut crew, pause);
            let granted = last.elapsed().as_micros() as u64 * self.rate / 1_000_000;
            last = Instant::now();
            board.permits.fetch_add(granted as i64, Ordering::Relaxed);
            board.permits.fetch_min(self.rate as i64, Ordering::Relaxed);
            let lazy = board.lazy.load(Ordering::Relaxed) != 0;
            if self.numbers.below(if lazy { 8 } else { 24 }) == 0 {
                board.lazy.store(u64::from(!lazy), Ordering::Relaxed);
            }
            if self.used > LIVES - 4 * CREW {
                continue;
            }
            // Most die in a call of theirs, or stand still there, and go on when all has changed.
            match self.numbers.below(8) {
                0..2 => {
                    let role = self.numbers.below(CREW as u64) as usize;
                    self.kill(crew[role]);
                    crew[role] = self.start(role, Some(crew[role].place));
                }
                way => {
                    let bits = self.numbers.below(30).min(14);
                    let instruction = 1 + self.numbers.below(2 << bits);
                    let pause_ms = self.numbers.below(PAUSE_MS_MAX);
                    let pause_ms = if way < 6 { 0 } else { pause_ms };
                    let order = (pause_ms + 1) << 32 | instruction;
                    let role = self.numbers.below(2) as usize;
                    board.ambush[role].store(order, Ordering::SeqCst);
                    if self.numbers.below(2) == 0 {
                        // So that others are about to send the same id.
                        board.rally.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        }
        for ambush in &board.ambush {
            ambush.store(0, Ordering::SeqCst);
        }
        board.stop.store(1, Ordering::SeqCst);
        let deadline = Instant::now() + ENDING;
        for member in crew {
            self.await_end(member, deadline);
        }
        let drained = self.drain();
        drained.then(|| self.history(first))
    }

    /// Puts others in the place of those who end meanwhile.
    fn watch(&mut self, crew: &mut [Member], time: Duration) {
        let begun = Instant::now();
        loop {
            for (role, member) in crew.iter_mut().enumerate() {
                if self.has_ended(*member) && self.used < LIVES - CREW {
                    *member = self.start(role, Some(member.place));
                }
            }
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(1)));
        }
    }

    fn start(&mut self, member: usize, predecessor: Option<usize>) -> Member {
        let producing = member < PRODUCERS;
        let role = [Role::Consumer, Role::Producer][producing as usize];
        self.spawn(role, move |hand| {
            match role {
                Role::Producer => produce(hand, predecessor),
                Role::Consumer => consume(hand),
            }
            0
        })
    }

    fn spawn(&mut self, role: Role, body: impl FnOnce(Hand) -> i32) -> Member {
        let place = self.used;
        self.used += 1;
        self.lives += 1;
        self.tools.board.lives[place].begin();
        let seed = self.numbers.next();
        let hand = Hand::new(self.tools.clone(), role, (place, self.lives), seed);
        let pid = os::spawn(Birth::default(), || {
            os::end_with_parent(false);
            body(hand)
        });
        let pid = pid.expect("a process");
        Member { place, pid }
    }

    fn kill(&mut self, member: Member) {
        let life = &self.tools.board.lives[member.place];
        if life.over.load(Ordering::SeqCst) != u64::MAX {
            return; // it has ended, and there was no place for another
        }
        life.ends();
        os::signal(member.pid, libc::SIGKILL);
        let end = os::wait(member.pid, 0).expect("a child");
        life.over.store(os::now_ns(), Ordering::SeqCst);
        self.ended(member, end.map(|(_, end)| end));
    }

    fn ended(&mut self, member: Member, end: Option<End>) {
        let life = &self.tools.board.lives[member.place];
        match end {
            Some(End::Signal(libc::SIGKILL)) => {
                self.tally.kills += 1;
                self.tally.kills_inside += u64::from(life.inside.load(Ordering::SeqCst) == 1);
            }
            Some(End::Exit(0)) => {}
            other => {
                eprintln!("fifo torture: process {} ended: {other:?}", member.pid);
                self.tally.crashed += 1;
            }
        }
    }

    /// Whether it ended by itself.
    fn has_ended(&mut self, member: Member) -> bool {
        let life = &self.tools.board.lives[member.place];
        if life.over.load(Ordering::SeqCst) != u64::MAX {
            return true;
        }
        let Ok(Some((_, end))) = os::wait(member.pid, libc::WNOHANG) else {
            return false;
        };
        life.over.store(os::now_ns(), Ordering::SeqCst);
        self.ended(member, Some(end));
        true
    }

    fn await_end(&mut self, member: Member, deadline: Instant) {
        while Instant::now() < deadline {
            if self.has_ended(member) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        eprintln!("fifo torture: process {} does not end", member.pid);
        self.tally.stuck += 1;
        self.kill(member);
    }

    fn drain(&mut self) -> bool {
        loop {
            let member = self.spawn(Role::Consumer, drain);
            let end = os::wait(member.pid, 0).expect("a child");
            let life = &self.tools.board.lives[member.place];
            life.over.store(os::now_ns(), Ordering::SeqCst);
            match end {
                Some((_, End::Exit(consumer::DRAINED))) => {
                    let load = |figure: &AtomicU64| figure.load(Ordering::SeqCst);
                    self.tally.figures = self.tools.board.figures.each_ref().map(load);
                    return true;
                }
                Some((_, End::Exit(consumer::MORE))) if self.used < LIVES => {}
                Some((_, End::Exit(consumer::STUCK))) => {
                    self.tally.stuck += 1;
                    return false;
                }
                other => {
                    self.ended(member, other.map(|(_, end)| end));
                    return false;
                }
            }
        }
    }

    /// The logs of this round, whose first life comes after so many.
    fn history(&self, first: u64) -> History {
        let mut history = History::default();
        for place in 0..self.used {
            let number = first as u32 + place as u32;
            self.tools.board.lives[place].tell(&mut history, number);
        }
        history
    }
}

/// Which of the queue's figures are not what happened: a death leaves some calls uncounted, or
/// counted and not done.
pub fn wrong_figures(tally: &Tally, happened: [u64; 3]) -> Option<String> {
    let wrong = tally
        .figures
        .iter()
        .zip(happened)
        .any(|(figure, happened)| {
            // The first message is the conductor's, and a call has ten.
            figure.abs_diff(happened) > 20 + 10 * tally.kills
        });
    wrong.then(|| {
        format!(
            "the queue's figures are {:?}, not {happened:?}",
            tally.figures
        )
    })
}

/// The queue's time when the machine's is 0.
fn base_ms(queue: &FifoQueue<Mapped, Tick>) -> u64 {
    queue.send("base", "base", b"base").expect("room");
    loop {
        let before_ms = os::now_ns() / 1_000_000;
        let received = queue.receive().expect("a receive");
        let after_ms = os::now_ns() / 1_000_000;
        let received = received.expect("sent, and released");
        if before_ms == after_ms {
            let base_ms = received.received_ms() - before_ms;
            received.delete().expect("a delete");
            return base_ms;
        }
        received.release().expect("a release");
    }
}
