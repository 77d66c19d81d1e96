//! Opening a region of a million slots after a participant was killed in it: `cargo bench --bench
//! open`. What is measured is the way back to work: open the region and the queue, tend once (which
//! takes back what the dead one had), receive once.
//!
//! Four states, each made anew for each round by a child that is then killed: every slot has a
//! message that waits; every message is held by the dead; the queue is empty but was full once;
//! every slot is claimed by the dead. In shared memory and in a file on the disk, whose pages are
//! in the page cache. `RINGMAIN_OPEN_ROUNDS` sets the rounds (default 9), `RINGMAIN_OPEN_SLOTS` the
//! slots.

use ringmain::{Mapped, Queue, QueueOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SLOTS: u64 = 1_000_000;
const ROUNDS: usize = 9;
/// What all four steps may take together.
const LIMIT: Duration = Duration::from_millis(50);
const STATES: [&str; 4] = ["ready", "held", "empty", "claimed"];
const HOUR: Duration = Duration::from_secs(3600);
const BODY: [u8; 90] = [7; 90];
const ROLE: &str = "RINGMAIN_OPEN_ROLE";
const PATH: &str = "RINGMAIN_OPEN_PATH";

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Deletes all messages: a purge is to be had once a minute only.
fn empty(queue: &Queue<&Mapped>) {
    loop {
        let batch = queue.receive_batch_for(10, HOUR).expect("received");
        if batch.is_empty() {
            break;
        }
        let deleted = batch.delete();
        assert!(deleted.iter().all(|outcome| outcome.is_ok()), "deleted");
    }
}

/// The child: brings the queue into a state, says so, and waits to be killed.
fn prepare(state: &str, path: &Path) {
    let region = Mapped::open(path).expect("the region");
    let queue = Queue::open(&region).expect("the queue");
    if state == "claimed" {
        empty(&queue);
        while let Ok(claim) = queue.claim(BODY.len()) {
            std::mem::forget(claim);
        }
    } else {
        while queue
            .send_batch(&[&BODY[..]; 10])
            .expect("sent")
            .iter()
            .all(|sent| sent.is_ok())
        {}
    }
    if state == "held" {
        loop {
            let batch = queue.receive_batch_for(10, HOUR).expect("received");
            if batch.is_empty() {
                break;
            }
            std::mem::forget(batch);
        }
    }
    if state == "empty" {
        empty(&queue);
    }
    println!("ready");
    loop {
        std::thread::park();
    }
}

fn killed_in(state: &str, path: &Path) {
    let exe = std::env::current_exe().expect("this program");
    let mut child = Command::new(exe)
        .env(ROLE, state)
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its words")).lines();
    let said = lines.next().expect("a line").expect("a line");
    assert_eq!(said, "ready");
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
}

/// Page faults of this process so far.
fn faults() -> i64 {
    // SAFETY: rusage is plain data, and lives through the call.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_minflt + usage.ru_majflt
    }
}

/// The four steps, and the page faults of all of them.
fn way_back(state: &str, path: &Path, slots: u64) -> ([Duration; 4], i64) {
    let before = faults();
    let mut times = [Duration::ZERO; 4];
    let mut last = Instant::now();
    let mut lap = |step: usize| {
        let now = Instant::now();
        times[step] = now - last;
        last = now;
    };
    let region = Mapped::open(path).expect("the region");
    lap(0);
    let queue = Queue::open(&region).expect("the queue");
    lap(1);
    let tended = queue.tend().expect("tended");
    lap(2);
    let received = queue.receive().expect("received");
    lap(3);
    let faults = faults() - before;
    let there = matches!(state, "ready" | "held");
    assert_eq!(
        received.is_some(),
        there,
        "{state}: what the first receive finds"
    );
    assert_eq!(tended.dead, 1, "{state}: one has died");
    let returned = if state == "held" { slots } else { 0 };
    assert_eq!(tended.returned, returned, "{state}: what came back");
    if let Some(received) = received {
        received.release().expect("released");
    }
    let stat = queue.stat().expect("figures");
    let free = if there { 0 } else { slots };
    assert_eq!(stat.slots_free, free, "{state}: nothing leaked");
    (times, faults)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Measures one home; whether each state was within the limit.
fn home(name: &str, dir: &Path) -> bool {
    let path: PathBuf = dir.join(format!("ringmain-open-{}.ring", std::process::id()));
    let slots = number("RINGMAIN_OPEN_SLOTS", SLOTS);
    let region = Mapped::create(
        &path,
        24_576 + slots * (128 + 40 + 1) + (slots / 64 + 64) * 64,
    );
    let region = region.expect("room for the region");
    let slots = {
        // All of them may be held: the default bound is the service's.
        let options = QueueOptions::new().max_in_flight(u32::MAX >> 1);
        let queue = Queue::create(&region, options).expect("a queue");
        queue.capacity() as u64
    };
    drop(region);
    println!(
        "\n{name}: {slots} slots, ms: median of each step; of the whole the best and the worst"
    );
    println!("state       open  queue   tend  receive    whole (best to worst)      page faults");
    let mut within = true;
    for state in STATES {
        let rounds = number("RINGMAIN_OPEN_ROUNDS", ROUNDS as u64);
        let (mut steps, mut whole) = ([(); 4].map(|()| Vec::new()), Vec::new());
        let mut most = 0;
        for _ in 0..rounds {
            killed_in(state, &path);
            let (times, faults) = way_back(state, &path, slots);
            most = most.max(faults);
            whole.push(times.iter().sum::<Duration>());
            steps
                .iter_mut()
                .zip(times)
                .for_each(|(step, time)| step.push(time));
        }
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let [open, queue, tend, receive] = steps.map(|mut step| ms(median(&mut step)));
        let middle = median(&mut whole);
        let (best, worst) = (ms(whole[0]), ms(whole[whole.len() - 1]));
        let verdict = if middle <= LIMIT {
            ""
        } else {
            "  OVER THE LIMIT"
        };
        println!(
            "{state:<8} {open:>7.2} {queue:>6.2} {tend:>6.2} {receive:>8.2} {:>8.2} ({best:.2} to \
             {worst:.2}) {most:>12}{verdict}",
            ms(middle)
        );
        within &= middle <= LIMIT;
    }
    std::fs::remove_file(&path).expect("the file is there");
    within
}

fn main() {
    if let Ok(state) = std::env::var(ROLE) {
        let path = std::env::var(PATH).expect("the region's path");
        return prepare(&state, Path::new(&path));
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("kernel: {}; the bench profile", release.trim());
    let shared = home("/dev/shm", Path::new("/dev/shm"));
    let disk = home("the directory for temporary files", &std::env::temp_dir());
    if !(shared && disk) {
        println!("\nover {} ms", LIMIT.as_millis());
        std::process::exit(1);
    }
}
