//! `ringmain bench`: the queue cycle on this machine, in a few seconds.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};

use super::args::BenchArgs;
use super::exit::{Exit, Trouble, about};
use super::output::say;
use crate::{Clock, Error, Heap, Mapped, Queue, QueueOptions, Region};

const REGION_BYTES: usize = 16 << 20;
const BODY: [u8; 100] = [b'x'; 100];
const ROUNDS: usize = 7;
const ROUND_TIME: Duration = Duration::from_millis(150);

/// Prints a table: homes by rows, batch sizes by columns, medians of seven rounds.
pub(super) fn run(args: &BenchArgs) -> Result<Exit, Trouble> {
    let options = QueueOptions::new();
    let heap = Queue::create(Heap::new(REGION_BYTES)?, options)?;
    let path = args.path.clone().unwrap_or_else(scratch_path);
    let mapped = {
        let region = Mapped::create(&path, REGION_BYTES as u64).map_err(about(path.display()))?;
        // Nobody else opens it: without a name it cannot be left behind.
        fs::remove_file(&path).map_err(about(path.display()))?;
        Queue::create(region, options)?
    };
    let rows = [("heap", measure(&heap)?), ("mapped", measure(&mapped)?)];

    let version = env!("CARGO_PKG_VERSION");
    say(format_args!(
        "ringmain {version} on {}, {}",
        machine(),
        kernel()
    ))?;
    say("send, receive, delete; 100 B; one thread; ns a message, median (min to max)\n")?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["home", "by tens", "one by one", "by tens, M messages/s"]);
    for (home, [tens, ones]) in rows {
        table.add_row([
            home.to_owned(),
            tens.to_string(),
            ones.to_string(),
            format!("{:.1}", 1e3 / tens.median),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say(table)?;
    Ok(Exit::Done)
}

/// Nanoseconds a message over the rounds.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1} to {:.1})", self.median, self.min, self.max)
    }
}

fn measure<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<[Spread; 2], Error> {
    Ok([spread(|| by_tens(queue))?, spread(|| one_by_one(queue))?])
}

/// Repeats `cycle`, which moves ten messages, for seven rounds after one to warm up.
fn spread(mut cycle: impl FnMut() -> Result<(), Error>) -> Result<Spread, Error> {
    let mut rounds = [0.0; ROUNDS];
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let mut messages = 0_u32;
        while start.elapsed() < ROUND_TIME {
            for _ in 0..100 {
                cycle()?;
            }
            messages += 1000;
        }
        rounds[round.saturating_sub(1)] = start.elapsed().as_nanos() as f64 / f64::from(messages);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(Spread {
        median: rounds[ROUNDS / 2],
        min: rounds[0],
        max: rounds[ROUNDS - 1],
    })
}

fn by_tens<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<(), Error> {
    for outcome in queue.send_batch(&[BODY; 10])? {
        outcome?;
    }
    let batch = queue.receive_batch(10)?;
    for message in batch.iter() {
        black_box(message.body());
    }
    for outcome in batch.delete() {
        outcome?;
    }
    Ok(())
}

fn one_by_one<R: Region, C: Clock>(queue: &Queue<R, C>) -> Result<(), Error> {
    for _ in 0..10 {
        queue.send(&BODY)?;
        if let Some(message) = queue.receive()? {
            black_box(message.body());
            message.delete()?;
        }
    }
    Ok(())
}

/// A name in shared memory, or in the directory for temporary files where there is none.
pub(super) fn scratch_path() -> PathBuf {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() {
        shm.to_owned()
    } else {
        std::env::temp_dir()
    };
    let now = super::monotonic::now_ns();
    base.join(format!("ringmain-{}-{now:x}.ring", std::process::id()))
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .map_or("this machine", |pair| pair.1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model} ({cores} cores)")
}

fn kernel() -> String {
    let name = rustix::system::uname();
    format!(
        "{} {}",
        name.sysname().to_string_lossy(),
        name.release().to_string_lossy()
    )
}
