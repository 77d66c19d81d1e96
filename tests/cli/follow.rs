//! Lines of files that are followed: each is a record once, in order, over rotation and kills.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::streams::{lines, put, text};
use super::{Outcome, Place, RINGMAIN, expect, json, refused, run};

const KEYS: u64 = 7;

/// A stream with room for all that a quick machine writes in a test.
fn made(place: &Place, options: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let s = place.file("logs.stream");
    let create = ["create", &s, "--size", "64M", "--stream"];
    expect(&run(&[&create[..], options].concat())?, 0, "");
    Ok(s)
}

fn begun(log: &str, s: &str) -> std::io::Result<Child> {
    Command::new(RINGMAIN)
        .args(["follow", log, s, "--key-regex", r"^(k\d+) "])
        .args(["--linger", "100ms", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn asked_to_end(child: Child) -> std::io::Result<std::process::Output> {
    // SAFETY: the process is this test's own child.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGTERM) }, 0);
    child.wait_with_output()
}

/// Each of `count` lines is there once, and those of a key are in order.
fn audit(s: &str, count: u64) -> Outcome {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let records = lines(&run(&["tail", s, "--json"])?)?;
    for record in &records {
        let data = record["data"].as_str().ok_or("no text")?;
        let (key, number) = data.split_once(' ').ok_or("no key")?;
        assert_eq!(record["partition_key"], key);
        let number: u64 = number.split(' ').next().ok_or("no number")?.parse()?;
        let next = next
            .entry(key.to_owned())
            .or_insert_with(|| key[1..].parse().expect("a key is a letter and a number"));
        assert_eq!(
            number,
            *next,
            "of {key}, among {} of {count}",
            records.len()
        );
        *next += KEYS;
    }
    assert_eq!(records.len() as u64, count);
    Ok(())
}

/// A writer that rotates, and numbers that look random.
struct Writer {
    log: String,
    file: File,
    lines: u64,
    rotations: u64,
    random: u64,
}

impl Writer {
    fn new(log: String, random: u64) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        Ok(Self {
            log,
            file,
            lines: 0,
            rotations: 0,
            random,
        })
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    /// Appends lines in pieces that end anywhere.
    fn append(&mut self, count: u64) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let n = self.lines;
            let more = "x".repeat(self.below(60) as usize);
            bytes.extend_from_slice(format!("k{} {n} {more}\n", n % KEYS).as_bytes());
            self.lines += 1;
        }
        let cut = self.below(bytes.len() as u64) as usize;
        self.file.write_all(&bytes[..cut])?;
        self.file.write_all(&bytes[cut..])
    }

    /// Moves older parts on by one.
    fn shift(&mut self) -> std::io::Result<String> {
        for n in (1..=self.rotations).rev() {
            let part = |n| format!("{}.{n}", self.log);
            fs::rename(part(n), part(n + 1))?;
        }
        self.rotations += 1;
        Ok(format!("{}.1", self.log))
    }

    fn rename(&mut self) -> std::io::Result<()> {
        let part = self.shift()?;
        fs::rename(&self.log, part)?;
        self.file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        Ok(())
    }

    fn copy_and_truncate(&mut self) -> std::io::Result<()> {
        let part = self.shift()?;
        fs::copy(&self.log, part)?;
        self.file.set_len(0)
    }
}

/// Kills the program again and again at random while a file is written and rotated.
fn killed(name: &str, rotate: fn(&mut Writer) -> std::io::Result<()>, every: u64) -> Outcome {
    let place = Place::new(name)?;
    let s = &made(&place, &["--shards", "3"])?;
    let log = place.file("app.log");
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let seed = seed.as_nanos() as u64 | 1;
    eprintln!("seed {seed}");
    let mut writer = Writer::new(log.clone(), seed)?;
    // What goes before the program has seen the file is nothing to it.
    writer.append(10)?;
    let once = [
        "follow",
        &log,
        s,
        "--key-regex",
        r"^(k\d+) ",
        "--once",
        "--json",
    ];
    assert_eq!(json(&run(&once)?)?["lines"], 10);
    let (mut kills, mut at_work) = (0, 0);
    let start = Instant::now();
    while kills < 40 && start.elapsed() < Duration::from_secs(40) {
        let mut child = begun(&log, s)?;
        for _ in 0..writer.below(8) {
            let count = 1 + writer.below(900);
            writer.append(count)?;
            if writer.below(every) == 0 {
                rotate(&mut writer)?;
            }
            let us = writer.below(4000);
            std::thread::sleep(Duration::from_micros(us));
        }
        let us = writer.below(30_000);
        std::thread::sleep(Duration::from_micros(us));
        if let Some(status) = child.try_wait()? {
            let output = child.wait_with_output()?;
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("it ended by itself: {status}, {words}").into());
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
        let state = fs::read(format!("{s}.follow")).unwrap_or_default();
        at_work += u64::from(state.windows(9).any(|part| part == b"\"parts\":["));
    }
    assert!(at_work > 0, "no kill found it at work");
    let once = [
        "follow",
        &log,
        s,
        "--key-regex",
        r"^(k\d+) ",
        "--once",
        "--json",
    ];
    let told = json(&run(&once)?)?;
    assert_eq!((&told["lost"], &told["unknown"]), (&0.into(), &0.into()));
    assert!(writer.rotations > 0, "seed {seed}");
    audit(s, writer.lines)
}

#[test]
fn kills_and_renames_lose_and_double_nothing() -> Outcome {
    killed("follow-rename", Writer::rename, 3)
}

#[test]
fn kills_and_truncations_lose_and_double_nothing() -> Outcome {
    killed("follow-truncate", Writer::copy_and_truncate, 3)
}

#[test]
fn a_file_is_followed_from_its_making_on() -> Outcome {
    let place = Place::new("follow-live")?;
    let s = &made(&place, &["--shards", "2", "--max-shards", "6"])?;
    let log = place.file("app.log");
    let child = begun(&log, s)?;
    std::thread::sleep(Duration::from_millis(50));
    let mut writer = Writer::new(log.clone(), 99)?;
    writer.append(300)?;
    expect(
        &run(&["split", s, "0"])?,
        0,
        "shardId-000000000002\nshardId-000000000003\n",
    );
    writer.append(300)?;
    writer.rename()?;
    writer.append(300)?;
    writer.file.write_all(b"k4 900 with")?;
    let wait = Instant::now();
    while run(&["tail", s])?
        .stdout
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        < 900
    {
        assert!(
            wait.elapsed() < Duration::from_secs(20),
            "{}",
            text(&run(&["stat", s])?)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    writer.file.write_all(b"out its end\n")?;
    writer.lines += 1;
    std::thread::sleep(Duration::from_millis(200));
    // One at a time.
    let second = ["follow", &log, s, "--key", "k"];
    refused(&run(&second)?, 1, "another `ringmain follow`");
    let output = asked_to_end(child)?;
    let told = json(&output)?;
    assert_eq!(
        (&told["lines"], &told["rotations"]),
        (&901.into(), &1.into())
    );
    assert_eq!(told["lag_bytes"], 0);
    audit(s, 901)
}

#[test]
fn a_full_shard_is_waited_for() -> Outcome {
    let place = Place::new("follow-full")?;
    let s = &place.file("small.stream");
    expect(
        &run(&["create", s, "--size", "1M", "--stream", "--retention", "1s"])?,
        0,
        "",
    );
    let log = place.file("app.log");
    let mut writer = Writer::new(log.clone(), 5)?;
    writer.append(20_000)?;
    let once = [
        "follow",
        &log,
        s,
        "--key-regex",
        r"^(k\d+) ",
        "--once",
        "--json",
    ];
    let told = json(&run(&once)?)?;
    assert_eq!(told["lines"], 20_000);
    Ok(())
}

#[test]
fn lines_that_cannot_be_put_are_told() -> Outcome {
    let place = Place::new("follow-bad")?;
    let s = &made(&place, &["--max-data", "10"])?;
    let log = &place.file("app.log");
    fs::write(log, b"k1 good\r\n\xffx y\nnone\nk3 0123456789\n\nk2 end")?;
    let follow = [
        "follow",
        log,
        s,
        "--once",
        "--crlf",
        "--key-regex",
        r"(?-u)^([^ ]+) ",
    ];
    refused(&run(&[&follow[..], &["--strict"]].concat())?, 1, "not put");
    let output = run(&follow)?;
    refused(&output, 1, "2 lines put, 13 bytes; 4 passed over");
    refused(&output, 1, "takes at most 10");
    refused(&output, 1, "not UTF-8");
    expect(&run(&["tail", s])?, 0, "k1 good\nk2 end\n");
    // Nothing is put again, and what --key is for.
    fs::write(log, b"none\n")?;
    let output = run(&[&follow[..], &["--key", "spare"]].concat())?;
    refused(&output, 0, "1 lines put");
    refused(&output, 0, "cut short");
    let missing = &place.file("missing.log");
    refused(
        &run(&["follow", missing, s, "--key-file", "--once"])?,
        1,
        "not there",
    );
    refused(&run(&["follow", s, "--key", "k"])?, 2, "FILE");
    refused(&run(&["follow", log, s])?, 2, "--key");
    Ok(())
}

/// Whatever stands in the state's file: it is refused, or nothing is lost or doubled.
#[test]
fn a_damaged_state_is_refused() -> Outcome {
    let place = Place::new("follow-state")?;
    let s = &made(&place, &[])?;
    let log = &place.file("app.log");
    let mut writer = Writer::new(log.clone(), 7)?;
    writer.append(3)?;
    let once = ["follow", log, s, "--key-regex", r"^(k\d+) ", "--once"];
    refused(&run(&once)?, 0, "3 lines put");
    let state = format!("{s}.follow");
    let whole = fs::read(&state)?;
    let slots = [4096, 4096 + (1 << 20)];
    let mut told = 0;
    for at in (0..100)
        .step_by(9)
        .chain(slots)
        .chain(slots.map(|at| at + 8))
        .chain(slots.map(|at| at + 40))
    {
        let mut bytes = whole.clone();
        let Some(byte) = bytes.get_mut(at) else {
            continue;
        };
        *byte ^= 0x55;
        fs::write(&state, &bytes)?;
        let output = run(&once)?;
        if output.status.code() == Some(1) {
            refused(&output, 1, "Nothing was put");
            told += 1;
        }
        audit(s, 3)?;
    }
    assert!(told >= 6, "{told}");
    for len in [1, 79, 4096, 4100] {
        fs::write(&state, &whole[..len])?;
        refused(&run(&once)?, 1, "Nothing was put");
    }
    fs::write(&state, &whole)?;
    writer.append(2)?;
    refused(&run(&once)?, 0, "2 lines put");
    audit(s, 5)?;
    // Another stream under the same name.
    fs::remove_file(s)?;
    made(&place, &[])?;
    writer.append(1)?;
    refused(&run(&once)?, 1, "--adopt");
    refused(&run(&[&once[..], &["--adopt"]].concat())?, 0, "1 lines put");
    put(s, "k", &["more"])
}
