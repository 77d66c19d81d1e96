//! Consumers as tasks of smol, over a queue that other processes feed and one of their own.
//!
//! The frames come through a mapped file. Here a thread sends them, which has opened the file for
//! itself, as another process would. Three consumers wait for frames, each with a timeout; a fourth
//! task waits for frames and for commands at once. The tasks borrow the queues: an executor of smol
//! may end before they do. One wait is given up just as a frame wakes it, and the frame goes to
//! somebody else. The last command ends it all.
//!
//! ```sh
//! cargo run --manifest-path examples/async/Cargo.toml --bin smol
//! ```

use ringmain::{Error, Heap, Mapped, Queue, QueueOptions, wait_any_async};
use smol::channel::{self, Receiver, Sender};
use smol::{Executor, Timer, future};
use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Who has got which frame.
type Got = (&'static str, u32);

const FRAMES: u32 = 500;
/// What a frame costs.
const WORK: Duration = Duration::from_millis(2);
/// How long a consumer waits before it does something else.
const PATIENCE: Duration = Duration::from_millis(100);
/// The longest that anything here should take.
const LONG: Duration = Duration::from_secs(10);

/// What comes of `task`; `None` if that takes too long. It is dropped then.
async fn within<T>(time: Duration, task: impl Future<Output = T>) -> Option<T> {
    let over = async {
        Timer::after(time).await;
        None
    };
    future::or(async { Some(task.await) }, over).await
}

/// Works on a frame, says who has got it, and settles it.
async fn handle(
    name: &'static str,
    frame: ringmain::Received<'_, Mapped, ringmain::SystemClock>,
    got: &Sender<Got>,
) -> Result<(), Failure> {
    let number = u32::from_le_bytes(frame.body().try_into()?);
    Timer::after(WORK).await;
    got.send((name, number)).await?;
    // Only now: a process that dies before this leaves the frame to others.
    Ok(frame.delete()?)
}

/// Takes frames until the channel `stop` is closed.
async fn consume(
    name: &'static str,
    frames: &Queue<Mapped>,
    got: Sender<Got>,
    stop: Receiver<()>,
) -> Result<(), Failure> {
    while !stop.is_closed() {
        // A future that is dropped, by this timeout or otherwise, has taken nothing.
        if let Some(frame) = within(PATIENCE, frames.receive_async()).await {
            handle(name, frame?, &got).await?;
        }
    }
    Ok(())
}

/// Takes commands first, and frames; ends with the command to stop.
async fn command(
    commands: &Queue<Heap>,
    frames: &Queue<Mapped>,
    got: Sender<Got>,
    stop: Sender<()>,
) -> Result<(), Failure> {
    loop {
        wait_any_async(&[commands, frames]).await?;
        // Waiting takes nothing, so somebody else may have been faster.
        if let Some(command) = commands.receive()? {
            let is_stop = command.body() == b"stop";
            command.delete()?;
            if is_stop {
                stop.close();
                return Ok(());
            }
        } else if let Some(frame) = frames.receive()? {
            handle("commander", frame, &got).await?;
        }
    }
}

/// Begins to wait for a frame and gives up just when there is one: it wakes somebody else.
async fn give_up(frames: &Queue<Mapped>) -> Result<(), Error> {
    let mut wait = pin!(frames.receive_async());
    if let Some(frame) = future::poll_once(&mut wait).await {
        return frame?.release(); // there was one already
    }
    frames.send(&0u32.to_le_bytes())?;
    Ok(()) // `wait` is dropped here, woken or not
}

/// Sends the frames, as another process would.
fn send(path: &Path) -> Result<(), Error> {
    let frames = Queue::open(Mapped::open(path)?)?;
    for number in 1..FRAMES {
        while let Err(error) = frames.send(&number.to_le_bytes()) {
            match error {
                Error::Full => std::thread::sleep(Duration::from_millis(1)),
                error => return Err(error),
            }
        }
        if number % 16 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

fn run(path: &Path) -> Result<(), Failure> {
    let frames = Queue::create(Mapped::create(path, 1 << 20)?, QueueOptions::new())?;
    let commands = Queue::create(Heap::new(16 << 10)?, QueueOptions::new())?;
    let (got, getting) = channel::unbounded();
    let (stop, stopped) = channel::bounded(1);

    let executor = Executor::new();
    let mut tasks: Vec<_> = ["ada", "ben", "cyd"]
        .map(|name| executor.spawn(consume(name, &frames, got.clone(), stopped.clone())))
        .into();
    tasks.push(executor.spawn(command(&commands, &frames, got, stop)));
    let by = smol::block_on(executor.run(async {
        Timer::after(PATIENCE / 2).await; // all wait now
        give_up(&frames).await?;
        let sender = smol::unblock({
            let path = path.to_path_buf();
            move || send(&path)
        });
        let mut by = BTreeMap::<_, u32>::new();
        let mut seen = vec![false; FRAMES as usize];
        while seen.contains(&false) {
            let (name, number) = within(LONG, getting.recv())
                .await
                .ok_or("a frame is lost")??;
            seen[number as usize] = true; // perhaps for the second time
            *by.entry(name).or_default() += 1;
        }
        sender.await?;
        commands.send(b"stop")?;
        for task in tasks {
            task.await?;
        }
        Ok::<_, Failure>(by)
    }))?;

    println!("received: {by:?}");
    let stats = frames.stat()?;
    println!("{} sent, {} deleted", stats.sent, stats.deleted);
    assert_eq!(stats.sent, FRAMES.into(), "all were sent");
    assert_eq!(stats.visible + stats.in_flight, 0, "nothing is left");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let name = format!("ringmain-smol-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let outcome = run(&path);
    std::fs::remove_file(path)?;
    outcome
}
