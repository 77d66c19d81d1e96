//! The main job, short: workers and producers are killed for three seconds, and nothing is lost; in
//! a FIFO queue and a stream nothing is out of order either.
#![cfg(feature = "cli")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const RINGMAIN: &str = env!("CARGO_BIN_EXE_ringmain");
const KEYS: [&str; 9] = [
    "sent",
    "processed",
    "duplicates",
    "lost",
    "damaged",
    "kills",
    "messages_per_second",
    "latency_us",
    "redelivery_ms",
];

fn number(report: &Value, pointer: &str) -> Result<f64, String> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("{pointer}: {report}"))
}

/// Runs the demo to its end: what it prints on standard output.
fn demo(args: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(RINGMAIN).arg("demo").args(args).output()?;
    let stdout = String::from_utf8(output.stdout)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {stdout}{stderr}",
        output.status
    );
    assert_eq!(stderr, "", "not a terminal");
    Ok(stdout)
}

/// Runs it for three seconds: its report, which has these keys and is sound.
fn report(args: &[&str], keys: &[&str]) -> Result<Value, Box<dyn Error>> {
    let stdout = demo(&[args, &["--seconds", "3", "--json"]].concat())?;
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let report: Value = serde_json::from_str(&stdout)?;
    let found = report
        .as_object()
        .ok_or("no object")?
        .keys()
        .map(String::as_str);
    let keys = keys.iter().copied();
    assert_eq!(
        found.collect::<BTreeSet<_>>(),
        keys.collect::<BTreeSet<_>>()
    );
    assert_eq!(number(&report, "/lost")?, 0.0, "{report}");
    assert_eq!(number(&report, "/damaged")?, 0.0, "{report}");
    assert!(number(&report, "/sent")? > 100.0, "{report}");
    assert!(number(&report, "/messages_per_second")? > 0.0, "{report}");
    let latency = ["p50", "p99", "p999"].map(|key| number(&report, &format!("/latency_us/{key}")));
    let [p50, p99, p999] = latency;
    let (p50, p99, p999) = (p50?, p99?, p999?);
    assert!(0.0 < p50 && p50 <= p99 && p99 <= p999, "{report}");
    // Half of the visibility timeout: what came back did not come back by it.
    assert!(
        number(&report, "/redelivery_ms/max")? < 15_000.0,
        "{report}"
    );
    assert!(number(&report, "/redelivery_ms/p50")? > 0.0, "{report}");
    Ok(report)
}

#[test]
fn nothing_is_lost_while_processes_are_killed() -> Result<(), Box<dyn Error>> {
    let report = report(&[], &KEYS)?;
    assert!(number(&report, "/kills")? >= 3.0, "{report}");
    assert!(
        number(&report, "/processed")? >= number(&report, "/sent")?,
        "{report}"
    );
    Ok(())
}

#[test]
fn groups_keep_their_order_while_processes_are_killed() -> Result<(), Box<dyn Error>> {
    let report = report(&["--fifo"], &[&KEYS[..], &["reordered"]].concat())?;
    // On a busy machine it can take a while until a worker is found that holds messages.
    assert!(number(&report, "/kills")? >= 2.0, "{report}");
    assert_eq!(number(&report, "/reordered")?, 0.0, "{report}");
    // What a killed producer may have sent, its successor has sent again under the same ids.
    assert_eq!(
        number(&report, "/processed")?,
        number(&report, "/sent")?,
        "{report}"
    );
    Ok(())
}

#[test]
fn keys_keep_their_order_while_shards_and_processes_change() -> Result<(), Box<dyn Error>> {
    let report = report(&["--stream"], &[&KEYS[..], &["reordered"]].concat())?;
    assert!(number(&report, "/kills")? >= 2.0, "{report}");
    assert_eq!(number(&report, "/reordered")?, 0.0, "{report}");
    assert!(
        number(&report, "/processed")? >= number(&report, "/sent")?,
        "{report}"
    );
    Ok(())
}

#[test]
fn a_stream_is_split_and_merged_meanwhile() -> Result<(), Box<dyn Error>> {
    let stdout = demo(&["--stream", "--seconds", "2"])?;
    let line = stdout.lines().find_map(|line| line.strip_prefix("splits"));
    let words: Vec<_> = line.ok_or("no line")?.split_whitespace().collect();
    assert!(words[0].parse::<u64>()? > 0, "{stdout}");
    assert!(words[2].parse::<u64>()? > 0, "{stdout}");
    Ok(())
}

#[test]
fn a_successor_sends_again_what_may_have_been_sent() -> Result<(), Box<dyn Error>> {
    let stdout = demo(&["--fifo", "--seconds", "2"])?;
    let figure = |name: &str| {
        let line = stdout.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|line| line.split_whitespace().next());
        figure.ok_or_else(|| format!("{name}: {stdout}"))
    };
    assert!(figure("sent again")?.parse::<u64>()? > 0, "{stdout}");
    for name in ["reordered", "damaged", "lost"] {
        assert_eq!(figure(name)?, "0", "{stdout}");
    }
    Ok(())
}

/// The children of a process, by their `/proc` entries.
fn children(parent: u32) -> Result<Vec<i32>, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    Ok(text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?)
}

/// Waits for a condition that must come true by itself; a minute is an error.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > Duration::from_secs(60) {
            return Err(format!("never came: {what}"));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// However the parent goes, its children go too and no file stays.
fn ends_clean(
    signal: rustix::process::Signal,
    args: &[&str],
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let mut demo = Command::new(RINGMAIN)
        .args(["demo", "--seconds", "600"])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()?;
    let id = demo.id();
    let mut at_work = Vec::new();
    until("all children", || {
        at_work = children(id).unwrap_or_default();
        at_work.len() == count
    })?;
    let name = format!("ringmain-{id}-");
    let pid = rustix::process::Pid::from_raw(id as i32).ok_or("no id")?;
    rustix::process::kill_process(pid, signal)?;
    let status = demo.wait()?;
    assert!(!status.success());
    let mut stdout = String::new();
    demo.stdout
        .take()
        .ok_or("no output")?
        .read_to_string(&mut stdout)?;
    assert_eq!(stdout, "");
    for child in at_work {
        until("a child's end", || {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            // Gone, waiting to be reaped by whoever adopted it, or another program by now.
            !stat.contains("(ringmain)") || stat.contains(") Z ")
        })?;
    }
    for directory in ["/dev/shm".into(), std::env::temp_dir()] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            assert!(
                !entry.file_name().to_string_lossy().starts_with(&name),
                "{entry:?}"
            );
        }
    }
    writeln!(std::io::stderr(), "{signal:?}: {status}")?;
    Ok(())
}

#[test]
fn an_interrupted_demo_leaves_nothing() -> Result<(), Box<dyn Error>> {
    ends_clean(rustix::process::Signal::INT, &[], 5)
}

#[test]
fn a_killed_demo_leaves_nothing() -> Result<(), Box<dyn Error>> {
    ends_clean(rustix::process::Signal::KILL, &[], 5)
}

#[test]
fn a_killed_demo_of_a_fifo_queue_leaves_nothing() -> Result<(), Box<dyn Error>> {
    ends_clean(rustix::process::Signal::KILL, &["--fifo"], 5)
}

#[test]
fn a_killed_demo_of_a_stream_leaves_nothing() -> Result<(), Box<dyn Error>> {
    ends_clean(rustix::process::Signal::KILL, &["--stream"], 4)
}
