//! Processes that share a mapped queue: producers and workers that keep a log each, and one that
//! only holds what it received.

use crate::common::{Dir, child};
use crate::load::{Pace, Tally, consume, produce};
use ringmain::{Mapped, Queue};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Producer,
    Worker,
    Holder,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Role::Producer => "producer",
            Role::Worker => "worker",
            Role::Holder => "holder",
        }
    }

    fn stop_file(self, dir: &Path) -> PathBuf {
        dir.join(format!("stop-{}", self.name()))
    }
}

struct Worker {
    role: Role,
    child: Child,
    /// Held open: the child ends when its input does, that is with its parent.
    _input: Option<ChildStdin>,
}

/// The children of one test.
pub struct Crew<'a> {
    dir: &'a Dir,
    test: &'static str,
    each: u64,
    started: u64,
    children: Vec<Worker>,
}

impl<'a> Crew<'a> {
    /// Children of test `test` over the queue in `dir`; a producer sends `each` messages.
    pub fn new(dir: &'a Dir, test: &'static str, each: u64) -> Self {
        Self {
            dir,
            test,
            each,
            started: 0,
            children: Vec::new(),
        }
    }

    pub fn start(&mut self, role: Role) {
        let dir = self.dir.path().to_str().expect("a path in UTF-8");
        let argument = format!("{} {} {dir}", self.started, self.each);
        let mut command = child::command(self.test, role.name(), &argument);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("a child");
        let input = child.stdin.take();
        self.children.push(Worker {
            role,
            child,
            _input: input,
        });
        self.started += 1;
    }

    /// Kills the oldest child of a role, and waits until it is dead.
    pub fn kill(&mut self, role: Role) {
        let oldest = self.children.iter().position(|worker| worker.role == role);
        let mut worker = self.children.remove(oldest.expect("one of that role"));
        let ended = worker.child.try_wait().expect("a child");
        assert_eq!(ended, None, "it lives until it is killed");
        worker.child.kill().expect("SIGKILL");
        worker.child.wait().expect("an end");
    }

    /// Asks the children of a role to end.
    pub fn stop(&self, role: Role) {
        File::create(role.stop_file(self.dir.path())).expect("a file");
    }

    /// Waits for the ends of all children of a role, which are good ends.
    pub fn wait_for(&mut self, role: Role) {
        for worker in self
            .children
            .iter_mut()
            .filter(|worker| worker.role == role)
        {
            let status = worker.child.wait().expect("an end");
            assert!(status.success(), "{role:?}: {status}");
        }
        self.children.retain(|worker| worker.role != role);
    }

    /// What all children of a role have logged, the dead ones included.
    pub fn logged(&self, role: Role) -> Tally {
        let mut tally = Tally::default();
        for name in self
            .dir
            .names()
            .iter()
            .filter(|name| name.starts_with(role.name()))
        {
            let bytes = std::fs::read(self.dir.file(name)).expect("a log");
            let whole = bytes.chunks_exact(8); // a record that a death cut short is none;
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or([0; 8]));
            tally.seeds.extend(whole.map(number));
        }
        tally
    }
}

impl Drop for Crew<'_> {
    fn drop(&mut self) {
        for worker in &mut self.children {
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

/// Ends this process when its parent has gone.
fn end_with_parent() {
    std::thread::spawn(|| {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        std::process::exit(1);
    });
}

/// The body of a child.
pub fn run(role: &str) {
    end_with_parent();
    let argument = child::argument();
    let mut words = argument.splitn(3, ' ');
    let mut word = || words.next().expect("three words");
    let number: u64 = word().parse().expect("a number");
    let each: u64 = word().parse().expect("a number");
    let dir = PathBuf::from(word());
    let region = Mapped::open(dir.join("q.ring")).expect("the region");
    let queue = Queue::open(&region).expect("the queue");
    let mut log = File::create(dir.join(format!("{role}-{number}.log"))).expect("a log");
    match role {
        "producer" => {
            let stop = Role::Producer.stop_file(&dir);
            produce(&queue, number, each, |seed| {
                log.write_all(&seed.to_le_bytes()).expect("a log");
                if seed % 64 == 0 && stop.exists() {
                    std::process::exit(0);
                }
            });
        }
        "worker" => {
            let stop = Role::Worker.stop_file(&dir);
            let tally = consume(
                &queue,
                Pace::Fast,
                || stop.exists(),
                |seeds| {
                    let bytes: Vec<u8> = seeds.iter().flat_map(|seed| seed.to_le_bytes()).collect();
                    log.write_all(&bytes).expect("a log");
                },
            );
            assert_eq!(tally.damaged, 0, "each body as it was sent");
        }
        "holder" => {
            let mut held = Vec::new();
            loop {
                held.extend(queue.receive().expect("a receive"));
                std::thread::yield_now();
            }
        }
        other => panic!("no role {other}"),
    }
}
