//! Receives with an attempt id: killed and begun again, refused, waited for.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ringmain::{FifoOptions, FifoQueue, Mapped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Outcome, Place, RINGMAIN, expect, refused, run, stat};

const SECOND: Duration = Duration::from_secs(1);
/// Each message has so many bytes: a pipe takes three of them, and no more.
const BODY_BYTES: usize = 20_000;
/// What a pipe takes.
const PIPE_BYTES: usize = 64 << 10;

fn body(number: usize) -> String {
    format!("{number:0BODY_BYTES$}")
}

fn bodies(numbers: impl Iterator<Item = usize>) -> String {
    numbers.map(|number| body(number) + "\n").collect()
}

/// A FIFO queue with this many messages of one group.
fn filled(
    place: &Place,
    name: &str,
    messages: usize,
) -> Result<String, Box<dyn std::error::Error>> {
    let path = place.file(name);
    let queue = FifoQueue::create(Mapped::create(&path, 4 << 20)?, FifoOptions::new())?;
    for number in 0..messages {
        let id = number.to_string();
        queue.send("a", &*id, body(number).as_bytes())?;
    }
    Ok(path)
}

fn receive(q: &str, id: &str, more: &[&str]) -> std::io::Result<std::process::Output> {
    run(&[&["receive", q, "--attempt-id", id], more].concat())
}

fn spawn(q: &str, id: &str, more: &[&str]) -> std::io::Result<Child> {
    Command::new(RINGMAIN)
        .args(["receive", q, "--attempt-id", id])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
}

fn signal(child: &Child, signal: Signal) -> Outcome {
    let pid = Pid::from_raw(child.id() as i32).ok_or("no id")?;
    Ok(kill_process(pid, signal)?)
}

fn counts(q: &str) -> Result<[Option<u64>; 2], Box<dyn std::error::Error>> {
    let figures = stat(q)?;
    Ok(["visible", "in_flight"].map(|key| figures[key].as_u64()))
}

/// Killed in the midst of its lines, of which a pipe takes three: nothing is deleted yet, and the
/// next one with the id prints all of them, whoever else has looked meanwhile.
#[test]
fn killed_before_the_last_line_it_is_begun_again() -> Outcome {
    let place = Place::new("attempt-kill")?;
    let q = &filled(&place, "q.fifo", 10)?;
    for kills in 1..=3 {
        let mut child = spawn(q, "id", &["--max", "10", "--delete"])?;
        let mut output = child.stdout.take().ok_or("no output")?;
        output.read_exact(&mut [0])?;
        child.kill()?;
        child.wait()?;
        assert_eq!(counts(q)?, [Some(0), Some(10)], "{kills}");
        expect(&receive(q, "other", &["--max", "10"])?, 3, "");
    }
    let again = receive(q, "id", &["--max", "10", "--json"])?;
    let lines = String::from_utf8(again.stdout)?;
    let counted = lines.lines().map(serde_json::from_str::<Value>);
    for line in counted {
        assert_eq!(line?["receive_count"], 4);
    }
    let last = receive(q, "id", &["--max", "10", "--delete"])?;
    expect(&last, 0, &bodies(0..10));
    assert_eq!(counts(q)?, [Some(0), Some(0)]);
    Ok(())
}

/// Killed with all of it received and nothing printed, for its pipe is full before it begins.
#[test]
fn killed_before_the_first_line_it_is_begun_again() -> Outcome {
    let place = Place::new("attempt-unheard")?;
    let q = &filled(&place, "q.fifo", 10)?;
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(&[0; PIPE_BYTES])?;
    let mut child = Command::new(RINGMAIN)
        .args(["receive", q, "--attempt-id", "id", "--max", "10"])
        .arg("--delete")
        .stdout(writer)
        .spawn()?;
    let start = Instant::now();
    while counts(q)?[1] != Some(10) {
        assert!(start.elapsed() < 60 * SECOND, "nothing is received");
    }
    child.kill()?;
    child.wait()?;
    let again = receive(q, "id", &["--max", "10", "--delete"])?;
    expect(&again, 0, &bodies(0..10));
    let mut printed = Vec::new();
    { reader }.read_to_end(&mut printed)?;
    assert_eq!(printed.len(), PIPE_BYTES, "it has printed something");
    assert_eq!(counts(q)?, [Some(0), Some(0)]);
    Ok(())
}

/// Killed at any moment: as long as it has printed nothing, the next one prints what it would have.
#[test]
fn killed_at_any_moment_it_is_begun_again() -> Outcome {
    let place = Place::new("attempt-moments")?;
    let mut unheard = 0;
    for round in 0..40 {
        let q = &filled(&place, &format!("{round}.fifo"), 2)?;
        let mut child = spawn(q, "id", &["--max", "10", "--delete"])?;
        sleep(Duration::from_micros(250 * round));
        child.kill()?;
        let printed = child.wait_with_output()?.stdout;
        let again = receive(q, "id", &["--max", "10", "--delete"])?;
        if printed.is_empty() {
            unheard += 1;
            expect(&again, 0, &bodies(0..2));
        } else {
            // What is deleted was printed; the rest comes again now, or after its timeout.
            let again = String::from_utf8(again.stdout)?;
            let left = counts(q)?.into_iter().flatten().sum::<u64>();
            let all = bodies(0..2);
            let whole = all.as_bytes() == printed || again == all;
            assert!(whole || left > 0, "{round}: {again}");
        }
    }
    assert!(unheard > 0, "none was killed in time");
    Ok(())
}

/// A signal gives back what is not written, and deletes what is.
#[test]
fn a_signal_ends_it() -> Outcome {
    let place = Place::new("attempt-signal")?;
    let q = &filled(&place, "q.fifo", 10)?;
    let mut child = spawn(q, "id", &["--max", "10", "--delete"])?;
    let mut output = child.stdout.take().ok_or("no output")?;
    let mut text = vec![0];
    output.read_exact(&mut text)?;
    signal(&child, Signal::TERM)?;
    assert_eq!(child.wait()?.code(), Some(0));
    output.read_to_end(&mut text)?;
    let whole = text.iter().filter(|&&byte| byte == b'\n').count();
    assert!((1..10).contains(&whole), "{whole}");
    assert_eq!(counts(q)?, [Some(10 - whole as u64), Some(0)]);
    let rest = receive(q, "id", &["--max", "10", "--delete"])?;
    expect(&rest, 0, &bodies(whole..10));
    Ok(())
}

/// What it has in hand is kept from others while the reader takes its time.
#[test]
fn a_slow_reader_loses_nothing() -> Outcome {
    let place = Place::new("attempt-slow")?;
    let q = &filled(&place, "q.fifo", 10)?;
    run(&["set", q, "--visibility", "300ms"])?;
    let child = spawn(q, "id", &["--max", "10", "--delete"])?;
    let start = Instant::now();
    while counts(q)?[1] != Some(10) {
        assert!(start.elapsed() < 60 * SECOND, "nothing is received");
    }
    expect(&run(&["receive", q, "--wait", "2s"])?, 3, "");
    let output = child.wait_with_output()?;
    expect(&output, 0, &bodies(0..10));
    assert_eq!(counts(q)?, [Some(0), Some(0)]);
    Ok(())
}

#[test]
fn it_waits() -> Outcome {
    let place = Place::new("attempt-wait")?;
    let q = &filled(&place, "q.fifo", 0)?;
    expect(&receive(q, "id", &[])?, 3, "");
    expect(&receive(q, "id", &["--wait", "300ms"])?, 3, "");
    let child = spawn(q, "id", &["--wait", "60s", "--receipt"])?;
    sleep(SECOND / 2);
    let sent = run(&["send", q, "--group", "a", "--dedup-id", "1", "one"])?;
    assert_eq!(sent.status.code(), Some(0));
    let first = child.wait_with_output()?;
    let line = String::from_utf8(first.stdout)?;
    let stale = line.split('\t').next().ok_or("no receipt")?;

    // Its receipt is stale as soon as another one has its messages.
    let again = receive(q, "id", &["--receipt"])?;
    let line = String::from_utf8(again.stdout)?;
    let (receipt, body) = line.split_once('\t').ok_or("no receipt")?;
    assert_eq!(body, "one\n");
    refused(&run(&["delete", q, stale])?, 1, "received again");
    expect(&run(&["delete", q, receipt])?, 0, "");

    let waiting = spawn(q, "id", &["--wait", "60s"])?;
    sleep(SECOND / 2);
    signal(&waiting, Signal::TERM)?;
    expect(&waiting.wait_with_output()?, 0, "");
    Ok(())
}

#[test]
fn what_does_not_go_is_refused() -> Outcome {
    let place = Place::new("attempt-not")?;
    let q = &place.file("q.fifo");
    let create = ["create", q, "--size", "1M", "--fifo", "--attempts", "8"];
    expect(&run(&create)?, 0, "");
    refused(&receive(q, "a b", &[])?, 2, "attempt id");
    refused(&receive(q, "", &[])?, 2, "attempt id");
    refused(&receive(q, "id", &["--max", "11"])?, 2, "at most 10");
    refused(&receive(q, "id", &["--follow"])?, 2, "--follow");

    for id in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        let sent = run(&["send", q, "--group", id, "--dedup-id", id, id])?;
        assert_eq!(sent.status.code(), Some(0));
    }
    for id in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        expect(&receive(q, id, &[])?, 0, &format!("{id}\n"));
    }
    refused(&receive(q, "9", &[])?, 4, "another receive attempt");
    expect(&receive(q, "8", &["--delete"])?, 0, "8\n");
    expect(&receive(q, "9", &[])?, 0, "9\n");

    let none = &place.file("none.fifo");
    let create = ["create", none, "--size", "1M", "--fifo", "--attempts", "0"];
    expect(&run(&create)?, 0, "");
    refused(&receive(none, "id", &[])?, 1, "not supported");
    let standard = &place.file("q.ring");
    expect(&run(&["create", standard, "--size", "1M"])?, 0, "");
    refused(&receive(standard, "id", &[])?, 1, "for FIFO queues");
    refused(&run(&["create", standard, "--attempts", "8"])?, 2, "--fifo");
    Ok(())
}
