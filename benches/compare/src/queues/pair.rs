//! Our queue between two: one sends by tens, the other receives and deletes by tens.

use std::{
    hint::spin_loop,
    io::{BufRead, BufReader, Write, stdin, stdout},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use ringmain::{Mapped, Queue, Region};

use super::{
    message::{TEN, Tally, bodies, check},
    ours::{send_some, take_batch},
};
use crate::{
    machine::Cores,
    sample::{Failure, Measure},
};

/// Batches between two looks at the clock.
const STRIDE: usize = 64;
/// Turns of a wait that spin; after these the thread yields.
const SPINS: u32 = 1000;

/// How the program is called by itself, to be the sending process.
#[derive(Debug, Args)]
pub struct Child {
    /// Sends to this queue, for the comparison of two processes.
    #[arg(long, hide = true)]
    child_path: Option<PathBuf>,
    /// Milliseconds to send for.
    #[arg(long, hide = true, default_value_t = 30)]
    child_millis: u64,
}

impl Child {
    /// Runs the sending process, if that is what the arguments ask for.
    ///
    /// It says "ready", waits for a line, sends, and says how many it sent and their sum.
    ///
    /// # Errors
    ///
    /// The queue's own, and those of standard input and output.
    pub fn run(&self) -> Result<bool, Failure> {
        let Some(path) = &self.child_path else {
            return Ok(false);
        };
        Cores::get().pin(0);
        let queue = Queue::open(Mapped::open(path)?)?;
        println!("ready");
        stdin().read_line(&mut String::new())?;
        let sent = produce(&queue, Duration::from_millis(self.child_millis))?;
        println!("{} {}", sent.count, sent.sum);
        stdout().flush()?;
        Ok(true)
    }
}

/// Spins, and yields after a while.
fn pause(turns: &mut u32) {
    *turns += 1;
    if *turns < SPINS {
        spin_loop()
    } else {
        thread::yield_now()
    }
}

/// Sends by tens until the time is up.
fn produce<R: Region>(queue: &Queue<R>, time: Duration) -> Result<Tally, Failure> {
    let mut bodies = bodies();
    let mut sent = Tally::default();
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..STRIDE {
            sent.number(&mut bodies);
            let (mut left, mut turns) = (TEN, 0);
            loop {
                left = send_some(queue, &mut bodies[..left], &mut sent)?;
                if left == 0 {
                    break;
                }
                pause(&mut turns);
            }
        }
    }
    Ok(sent)
}

/// Receives and deletes until the sender has ended and nothing is left.
fn consume<R: Region>(queue: &Queue<R>, ended: &AtomicBool) -> Result<Tally, Failure> {
    let mut received = Tally::default();
    let mut turns = 0;
    loop {
        // ORDERING: Acquire; [all-sent] true here means that a receive from now on sees each send.
        let last = turns > 0 && ended.load(Ordering::Acquire);
        match take_batch(queue, TEN, &mut received)? {
            0 if last => return Ok(received),
            0 => pause(&mut turns),
            _ => turns = 0,
        }
    }
}

/// Two threads.
///
/// # Errors
///
/// The queue's own, and a sum that does not match.
pub fn threads<R: Region + Send + Sync>(
    queue: &Queue<R>,
    time: Duration,
) -> Result<Measure, Failure> {
    let ended = AtomicBool::new(false);
    let ready = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            Cores::get().pin(0);
            // ORDERING: Release and Acquire; the sender starts when the receiver is there.
            while !ready.load(Ordering::Acquire) {
                thread::yield_now();
            }
            let start = Instant::now();
            let sent = produce(queue, time);
            ended.store(true, Ordering::Release); // ORDERING: Release; [all-sent].
            sent.map(|sent| (sent, start))
        });
        let receiver = scope.spawn(|| {
            Cores::get().pin(1);
            ready.store(true, Ordering::Release);
            consume(queue, &ended).map(|received| (received, Instant::now()))
        });
        let (sent, start) = sender.join().map_err(|_| "the sender panicked")??;
        let (received, end) = receiver.join().map_err(|_| "the receiver panicked")??;
        check(sent, received)?;
        Ok(Measure::new(received.count, end - start))
    })
}

/// Two processes over one mapped file: this program again as the sender, this process receives.
///
/// # Errors
///
/// The queue's own, those of starting a process, and a sum that does not match.
pub fn processes<R: Region + Send + Sync>(
    queue: &Queue<R>,
    path: &Path,
    time: Duration,
) -> Result<Measure, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--child-path")
        .arg(path)
        .arg("--child-millis")
        .arg(time.as_millis().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut go = child
        .stdin
        .take()
        .ok_or("the child has no standard input")?;
    let said = child
        .stdout
        .take()
        .ok_or("the child has no standard output")?;
    let mut said = BufReader::new(said).lines();
    if said.next().transpose()?.as_deref() != Some("ready") {
        child.wait()?;
        return Err("the sending process did not start".into());
    }
    let ended = AtomicBool::new(false);
    let (sent, received, took) = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            Cores::get().pin(1);
            consume(queue, &ended).map(|received| (received, Instant::now()))
        });
        let start = Instant::now();
        let sent = go.write_all(b"go\n").and_then(|()| said.next().transpose());
        ended.store(true, Ordering::Release); // ORDERING: Release; [all-sent].
        let (received, end) = receiver.join().map_err(|_| "the receiver panicked")??;
        Ok::<_, Failure>((parse(sent?)?, received, end - start))
    })?;
    if !child.wait()?.success() {
        return Err("the sending process failed".into());
    }
    check(sent, received)?;
    Ok(Measure::new(received.count, took))
}

/// What the sending process said it sent.
fn parse(line: Option<String>) -> Result<Tally, Failure> {
    let line = line.ok_or("the sending process said nothing")?;
    let (count, sum) = line
        .split_once(' ')
        .ok_or("the sending process said something else")?;
    Ok(Tally {
        count: count.parse()?,
        sum: sum.parse()?,
    })
}
