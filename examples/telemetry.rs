//! A machine's telemetry in one stream: two processes append to it, and it is replayed.
//!
//! One process reads load and memory from `/proc`, the other the times of each CPU, both as fast as
//! they can. Each reading is a record whose partition key says what was read; so the readings of
//! one key are in one shard, in the order in which they were taken, whoever else appends. Then all
//! shards are read from the oldest record on, several times over: reading takes nothing away.
//!
//! ```sh
//! cargo run --release --example telemetry                # all of it
//!
//! cargo run --release --example telemetry -- gather host # in one terminal
//! cargo run --release --example telemetry -- gather cpus # in another
//! cargo run --release --example telemetry -- replay      # at any time, again and again
//! ```
//!
//! The file is in `/dev/shm` where there is one, else in the directory of temporary files; a path
//! after the words names another. Programs that are started by hand leave it, for the next run, and
//! then the oldest readings make room for new ones.

use ringmain::{Error, FullPolicy, Mapped, Start, Stream, StreamEntry, StreamOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// How often each process reads.
const ROUNDS: u64 = 3000;
/// At most so many CPUs are read, so that all of it fits.
const CPUS: usize = 8;
/// How often the stream is replayed.
const REPLAYS: u32 = 20;
const REGION_BYTES: u64 = 32 << 20;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let usual = place("ringmain-telemetry");
    match words[..] {
        [] => all(&place(&format!(
            "ringmain-telemetry-{}",
            std::process::id()
        ))),
        ["gather", what] => gather(what, &usual),
        ["gather", what, path] => gather(what, Path::new(path)),
        ["replay"] => replay(&usual).map(drop),
        ["replay", path] => replay(Path::new(path)).map(drop),
        _ => Err("usage: telemetry [gather host|cpus [PATH] | replay [PATH]]".into()),
    }
}

/// Where a file of this name goes.
fn place(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    dir.join(name)
}

/// Whoever comes first makes the file and the stream.
fn open(path: &Path) -> Result<Stream<Mapped>, Error> {
    let region = Mapped::open_or_create(path, REGION_BYTES)?;
    let options = StreamOptions::new()
        .shards(4)
        .retention(Duration::from_secs(3600))
        .full(FullPolicy::Evict);
    Stream::open_or_create(region, options)
}

/// Takes one round of readings: keys, each with a value.
fn host() -> Result<Vec<(String, String)>, Failure> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().ok_or("a strange load")?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let free = memory.lines().find_map(|line| {
        let rest = line.strip_prefix("MemAvailable:")?;
        Some(rest.trim().to_owned())
    });
    let free = free.ok_or("no available memory is told")?;
    Ok(vec![
        ("host/load".to_owned(), load.to_owned()),
        ("host/memory".to_owned(), free),
    ])
}

fn cpus() -> Result<Vec<(String, String)>, Failure> {
    let times = std::fs::read_to_string("/proc/stat")?;
    let of_cpus = times.lines().filter_map(|line| {
        let (name, times) = line.split_once(' ')?;
        let is_cpu = name.strip_prefix("cpu")?.parse::<u32>().is_ok();
        is_cpu.then(|| (format!("cpus/{name}"), times.to_owned()))
    });
    Ok(of_cpus.take(CPUS).collect())
}

/// Reads and appends, a batch each round.
fn gather(what: &str, path: &Path) -> Result<(), Failure> {
    let take = match what {
        "host" => host,
        "cpus" => cpus,
        _ => return Err("gather host, or gather cpus".into()),
    };
    let stream = open(path)?;
    let begin = Instant::now();
    let mut count = 0;
    for round in 0..ROUNDS {
        let readings: Vec<(String, String)> = take()?
            .into_iter()
            .map(|(key, value)| (key, format!("{round} {value}")))
            .collect();
        let batch: Vec<StreamEntry<'_>> = readings
            .iter()
            .map(|(key, value)| StreamEntry::new(key, value))
            .collect();
        let mut refused = None;
        // Each record succeeds or fails on its own.
        stream.put_batch(&batch, |_, outcome| match outcome {
            Ok(_) => count += 1,
            Err(error) => refused = Some(error),
        })?;
        if let Some(error) = refused {
            return Err(error.into());
        }
    }
    println!("{what}: {count} readings in {:.1?}", begin.elapsed());
    Ok(())
}

/// What was read of a key.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// The round that comes next, if nothing is missing and all is in order.
    next: u64,
    latest: String,
}

/// Reads all that is there, in place, and adds it up.
fn read(stream: &Stream<Mapped>) -> Result<BTreeMap<String, Seen>, Failure> {
    let mut keys: BTreeMap<String, Seen> = BTreeMap::new();
    for shard in stream.shards() {
        let mut cursor = stream.cursor(shard, Start::Oldest)?;
        loop {
            let records = match cursor.read(10_000) {
                // Somebody gathers faster than this reads: it goes on at what is oldest now.
                Err(Error::Lost { .. }) => continue,
                records => records?,
            };
            if records.is_empty() {
                break; // nothing more, for now
            }
            for record in &records {
                let key = record.key()?;
                let text = std::str::from_utf8(record.data())?;
                let (round, value) = text.split_once(' ').ok_or("a strange reading")?;
                if !keys.contains_key(key) {
                    keys.insert(key.to_owned(), Seen::default());
                }
                let seen = keys.get_mut(key).ok_or("just put there")?;
                seen.count += 1;
                if round.parse() == Ok(seen.next) {
                    seen.next += 1;
                    seen.latest.clear();
                    seen.latest.push_str(value);
                }
            }
        }
    }
    Ok(keys)
}

/// Replays the stream several times over, and prints what is in it.
fn replay(path: &Path) -> Result<BTreeMap<String, Seen>, Failure> {
    let stream = open(path)?;
    let begin = Instant::now();
    let mut records = 0;
    for _ in 1..REPLAYS {
        let keys = read(&stream)?;
        records += keys.values().map(|seen| seen.count).sum::<u64>();
    }
    let keys = read(&stream)?;
    records += keys.values().map(|seen| seen.count).sum::<u64>();
    let took = begin.elapsed();
    for (key, seen) in &keys {
        println!(
            "{key:<12} {:>6} readings, the latest: {}",
            seen.count,
            seen.latest.trim()
        );
    }
    let rate = records as f64 / took.as_secs_f64() / 1e6;
    println!(
        "replayed {REPLAYS} times: {records} records in {took:.1?}, {rate:.1} million a second"
    );
    Ok(keys)
}

/// Starts both processes, over a file that is removed at the end, and replays what they have put.
fn all(path: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let start = |what: &str| {
        let mut command = Command::new(&program);
        command.args(["gather", what]).arg(path).spawn()
    };
    let children = [start("host")?, start("cpus")?];
    let mut ended_well = true;
    for mut child in children {
        ended_well &= child.wait()?.success();
    }
    let keys = replay(path);
    std::fs::remove_file(path)?;
    let keys = keys?;
    assert!(ended_well, "both ended well");
    assert!(keys.len() >= 3, "load, memory, and a CPU at least");
    for (key, seen) in &keys {
        assert_eq!(seen.count, ROUNDS, "{key}: each reading is there once");
        assert_eq!(
            seen.next, ROUNDS,
            "{key}: in the order in which they were taken"
        );
    }
    Ok(())
}
