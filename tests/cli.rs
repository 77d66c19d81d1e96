//! The program as its users meet it: pipes, exit statuses, bad input.
#![cfg(feature = "cli")]

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "cli/attempts.rs"]
mod attempts;
#[path = "cli/attributes.rs"]
mod attributes;
#[path = "cli/consumers.rs"]
mod consumers;
#[path = "cli/engine.rs"]
mod engine;
#[path = "cli/fifo.rs"]
mod fifo;
#[path = "cli/follow.rs"]
mod follow;
#[path = "cli/kept.rs"]
mod kept;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/pipes.rs"]
mod pipes;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/settings.rs"]
mod settings;
#[path = "cli/settle.rs"]
mod settle;
#[path = "cli/stream_figures.rs"]
mod stream_figures;
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/top.rs"]
mod top;

const RINGMAIN: &str = env!("CARGO_BIN_EXE_ringmain");

type Outcome = Result<(), Box<dyn Error>>;

/// A directory of this test's own, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> std::io::Result<Self> {
        let name = format!("ringmain-cli-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(args: &[&str]) -> std::io::Result<Output> {
    Command::new(RINGMAIN)
        .args(args)
        .stdin(Stdio::null())
        .output()
}

fn run_with(args: &[&str], input: &[u8]) -> std::io::Result<Output> {
    let mut child = Command::new(RINGMAIN)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child
        .stdin
        .take()
        .ok_or_else(|| std::io::Error::other("no input"))?;
    stdin.write_all(input)?;
    drop(stdin);
    child.wait_with_output()
}

#[track_caller]
fn expect(output: &Output, code: i32, stdout: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let found = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{found}{stderr}");
    assert_eq!(found, stdout, "{stderr}");
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// The one JSON object that was printed.
fn json(output: &Output) -> Result<Value, Box<dyn Error>> {
    assert_eq!(output.status.code(), Some(0));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn stat(path: &str) -> Result<Value, Box<dyn Error>> {
    json(&run(&["stat", path, "--json"])?)
}

#[test]
fn messages_go_in_and_come_out() -> Outcome {
    let place = Place::new("in-out")?;
    let q = &place.file("q.ring");
    expect(
        &run(&["create", q, "--size", "1M", "--visibility", "5m"])?,
        0,
        "",
    );
    expect(&run(&["send", q, "one", "two", "three"])?, 0, "");
    assert_eq!(stat(q)?["visible"], 3);
    assert_eq!(stat(q)?["visibility_ms"], 300_000);
    expect(&run(&["receive", q, "--delete"])?, 0, "one\n");
    expect(
        &run(&["receive", q, "--delete", "--max", "20"])?,
        0,
        "two\nthree\n",
    );
    expect(&run(&["receive", q])?, 3, "");
    expect(&run(&["receive", q, "--wait", "20ms"])?, 3, "");
    let text = String::from_utf8(run(&["stat", q])?.stdout)?;
    assert!(
        text.lines()
            .any(|line| line.starts_with("in flight") && line.ends_with(" 0"))
    );
    Ok(())
}

#[test]
fn a_message_that_was_not_deleted_comes_back() -> Outcome {
    let place = Place::new("back")?;
    let q = &place.file("q.ring");
    run(&[
        "send",
        q,
        "--create",
        "--size",
        "1M",
        "--visibility",
        "300ms",
        "again",
    ])?;
    expect(&run(&["receive", q])?, 0, "again\n");
    let found = run(&["receive", q, "--wait", "20s", "--json"])?;
    assert_eq!(
        serde_json::from_slice::<Value>(&found.stdout)?["receive_count"],
        2
    );
    Ok(())
}

#[test]
fn json_lines_carry_any_bytes() -> Outcome {
    let place = Place::new("json")?;
    let q = &place.file("q.ring");
    expect(
        &run_with(
            &["send", q, "--create", "--size", "1M"],
            b"g\xc3\xbcn\n\xff\x00\n",
        )?,
        0,
        "",
    );
    let output = run(&["receive", q, "--max", "2", "--delete", "--json"])?;
    let lines: Vec<Value> = String::from_utf8(output.stdout)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["body"], "g\u{fc}n");
    assert_eq!(lines[0]["receive_count"], 1);
    assert_eq!(lines[0]["id"].as_str().map(str::len), Some(32));
    assert_eq!(lines[0]["receipt"].as_str().map(str::len), Some(48));
    assert_eq!(lines[0].get("attributes"), None);
    assert!(lines[0]["sent_ms"].as_u64() <= lines[0]["first_received_ms"].as_u64());
    assert!(lines[0]["sent_ms"].is_u64() && lines[0].get("body_base64").is_none());
    assert_eq!(lines[1]["body_base64"], "/wA=");
    assert!(lines[1].get("body").is_none());
    Ok(())
}

#[test]
fn a_rate_holds_back() -> Outcome {
    let place = Place::new("rate")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let start = std::time::Instant::now();
    let input = "x\n".repeat(21);
    expect(
        &run_with(&["send", q, "--rate", "100"], input.as_bytes())?,
        0,
        "",
    );
    let took = start.elapsed().as_millis();
    assert!(took >= 195, "{took} ms for 20 intervals of 10 ms");
    assert_eq!(stat(q)?["visible"], 21);
    Ok(())
}

#[test]
fn purge_empties() -> Outcome {
    let place = Place::new("purge")?;
    let q = &place.file("q.ring");
    run(&["send", q, "--create", "--size", "1M", "a", "b"])?;
    refused(&run(&["purge", q, "--yes"])?, 0, "2 removed");
    expect(&run(&["receive", q])?, 3, "");
    Ok(())
}
