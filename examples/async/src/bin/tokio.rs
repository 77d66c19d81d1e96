//! Consumers as tasks of tokio, over two queues of one process.
//!
//! Four consumers wait at one queue, each with a timeout; a dispatcher waits at two, and takes what
//! is urgent first. A fifth consumer is aborted: if it waits, a wake-up that it had been given goes
//! to the next one; if it has a job, that comes back when its visibility timeout is over. Nothing
//! is lost. The shutdown is graceful: each brings to an end what it has in hand.
//!
//! ```sh
//! cargo run --manifest-path examples/async/Cargo.toml --bin tokio
//! ```

use ringmain::{Error, Heap, Queue, QueueOptions, Received, SystemClock, Waitable, wait_any_async};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

type Jobs = Arc<Queue<Heap>>;
type Job<'q> = Received<'q, Heap, SystemClock>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many jobs each queue gets.
const NORMAL: u32 = 400;
const URGENT: u32 = 40;
/// How long a consumer waits before it looks again. Over a heap nobody notices that a visibility
/// timeout is over but who calls: so somebody should, now and then.
const LOOK: Duration = Duration::from_millis(100);
/// What a job costs.
const WORK: Duration = Duration::from_millis(2);
/// Far longer than that.
const VISIBILITY: Duration = Duration::from_secs(2);

/// Who has done which job.
type Done = mpsc::UnboundedSender<(&'static str, u32)>;

/// Does a job. A task that is aborted in here leaves its job to the visibility timeout, so a job
/// may be done twice: whoever listens bears that.
async fn handle(name: &'static str, job: Job<'_>, done: &Done) -> Result<(), Failure> {
    let number = u32::from_le_bytes(job.body().try_into()?);
    sleep(WORK).await;
    done.send((name, number))?;
    match job.delete() {
        Ok(()) | Err(Error::StaleReceipt) => Ok(()), // stale: too late, somebody else has it
        Err(error) => Err(error.into()),
    }
}

/// Takes jobs from one queue until `stop` says so.
async fn consume(
    name: &'static str,
    jobs: Jobs,
    done: Done,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    loop {
        let job = tokio::select! {
            job = timeout(LOOK, jobs.receive_async()) => job,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let Ok(job) = job else {
            continue; // nothing came in that time
        };
        let job = job?;
        handle(name, job, &done).await?;
    }
}

/// Takes jobs from two queues, urgent ones first, until `stop` says so.
async fn dispatch(
    urgent: Jobs,
    normal: Jobs,
    done: Done,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let both: [&dyn Waitable; 2] = [&*urgent, &*normal];
    loop {
        tokio::select! {
            found = wait_any_async(&both) => found?,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        // Waiting takes nothing, so somebody else may have been faster.
        let job = match urgent.receive()? {
            Some(job) => Some(job),
            None => normal.receive()?,
        };
        if let Some(job) = job {
            handle("dispatcher", job, &done).await?;
        }
    }
}

/// Sends jobs with these numbers, some at a time.
async fn send(jobs: Jobs, numbers: std::ops::Range<u32>) -> Result<(), Error> {
    for number in numbers {
        while let Err(error) = jobs.send(&number.to_le_bytes()) {
            match error {
                Error::Full => sleep(WORK).await, // a send does not wait by itself
                error => return Err(error),
            }
        }
        if number % 8 == 0 {
            sleep(WORK).await;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = QueueOptions::new().typical_body(4).visibility(VISIBILITY);
    let queue = || Queue::create(Heap::new(64 << 10)?, options);
    let (urgent, normal): (Jobs, Jobs) = (Arc::new(queue()?), Arc::new(queue()?));
    let (done, mut doing) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(false);

    let mut tasks = JoinSet::new();
    for name in ["ada", "ben", "cyd", "dan"] {
        tasks.spawn(consume(name, normal.clone(), done.clone(), stopped.clone()));
    }
    tasks.spawn(dispatch(
        urgent.clone(),
        normal.clone(),
        done.clone(),
        stopped.clone(),
    ));

    // Eve waits, and is aborted just when there is something.
    let eve = tokio::spawn(consume("eve", normal.clone(), done, stopped));
    sleep(LOOK / 2).await;
    let senders = [
        tokio::spawn(send(urgent.clone(), 0..URGENT)),
        tokio::spawn(send(normal.clone(), URGENT..URGENT + NORMAL)),
    ];
    eve.abort();
    let ended = eve.await.expect_err("she was aborted");
    assert!(ended.is_cancelled());

    let mut by = BTreeMap::<_, u32>::new();
    let mut seen = vec![false; (URGENT + NORMAL) as usize];
    while seen.contains(&false) {
        let (name, number) = timeout(5 * VISIBILITY, doing.recv())
            .await?
            .ok_or("no consumer")?;
        seen[number as usize] = true; // perhaps for the second time
        *by.entry(name).or_default() += 1;
    }
    stop.send(true)?; // a service would wait for `tokio::signal::ctrl_c` here
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    for sender in senders {
        sender.await??;
    }
    println!("done: {by:?}");
    for (name, queue) in [("urgent", &urgent), ("normal", &normal)] {
        let stats = queue.stat()?;
        println!("{name}: {} sent, {} deleted", stats.sent, stats.deleted);
        assert_eq!(stats.visible + stats.in_flight, 0, "nothing is left");
    }
    Ok(())
}
