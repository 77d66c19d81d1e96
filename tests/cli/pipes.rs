//! Pipes: slow writers, several readers, readers that go away, signals, full queues.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Outcome, Place, RINGMAIN, expect, refused, run, run_with, stat};

fn signal(child: &Child, signal: Signal) -> Outcome {
    let pid = Pid::from_raw(child.id() as i32).ok_or("no id")?;
    Ok(kill_process(pid, signal)?)
}

#[test]
fn a_slow_line_is_sent_at_once() -> Outcome {
    let place = Place::new("slow")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let mut sender = Command::new(RINGMAIN)
        .args(["send", q])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = sender.stdin.take().ok_or("no input")?;
    input.write_all(b"now\nthis is only ha")?;
    // The sender's input stays open: the line must come out all the same.
    expect(
        &run(&["receive", q, "--wait", "20s", "--delete"])?,
        0,
        "now\n",
    );
    input.write_all(b"lf a line\n")?;
    expect(
        &run(&["receive", q, "--wait", "20s", "--delete"])?,
        0,
        "this is only half a line\n",
    );
    drop(input);
    assert!(sender.wait()?.success());
    Ok(())
}

#[test]
fn two_followers_share_each_line_once() -> Outcome {
    const LINES: usize = 100_000;
    let place = Place::new("followers")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "4M"])?;
    let follow = || {
        Command::new(RINGMAIN)
            .args(["receive", q, "--follow", "--delete"])
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut followers = [follow()?, follow()?];
    let (tell, told) = std::sync::mpsc::channel();
    for follower in &mut followers {
        let output = BufReader::new(follower.stdout.take().ok_or("no output")?);
        let tell = tell.clone();
        std::thread::spawn(move || {
            for line in output.lines() {
                // The receiver goes when the test has failed already.
                let Ok(()) = tell.send(line) else { return };
            }
        });
    }
    drop(tell);
    let input: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    expect(&run_with(&["send", q], input.as_bytes())?, 0, "");
    let mut seen = BTreeSet::new();
    for line in told.iter().take(LINES) {
        let number: usize = line?.parse()?;
        assert!(seen.insert(number), "{number} came twice");
    }
    assert_eq!(
        (seen.len(), seen.first(), seen.last()),
        (LINES, Some(&1), Some(&LINES))
    );
    signal(&followers[0], Signal::TERM)?;
    signal(&followers[1], Signal::INT)?;
    for follower in &mut followers {
        assert_eq!(follower.wait()?.code(), Some(0));
    }
    assert_eq!(told.iter().count(), 0, "more lines than were sent");
    assert_eq!(
        (&stat(q)?["visible"], &stat(q)?["in_flight"]),
        (&0.into(), &0.into())
    );
    Ok(())
}

#[test]
fn a_closed_pipe_is_no_error_and_loses_nothing() -> Outcome {
    const LINES: usize = 20_000;
    let place = Place::new("closed")?;
    let q = &place.file("q.ring");
    let input: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    expect(
        &run_with(&["send", q, "--create", "--size", "32M"], input.as_bytes())?,
        0,
        "",
    );
    let mut receiver = Command::new(RINGMAIN)
        .args(["receive", q, "--follow", "--delete"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(receiver.stdout.take().ok_or("no output")?);
    let mut first = String::new();
    output.read_line(&mut first)?;
    drop(output);
    assert_eq!(receiver.wait()?.code(), Some(0));
    let left = stat(q)?;
    assert_eq!(left["in_flight"], 0, "what was not written was given back");
    // At most what the pipe takes was written and deleted.
    let visible = left["visible"].as_u64().ok_or("no figure")? as usize;
    assert!((1..LINES).contains(&visible), "{visible}");
    let rest = run(&["receive", q, "--max", "1000000", "--delete"])?.stdout;
    assert_eq!(rest.iter().filter(|&&byte| byte == b'\n').count(), visible);
    Ok(())
}

#[test]
fn a_signal_while_the_reader_sleeps_gives_back_what_was_not_printed() -> Outcome {
    const LINES: usize = 20_000;
    let place = Place::new("sleeps")?;
    let q = &place.file("q.ring");
    let input: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    expect(
        &run_with(&["send", q, "--create", "--size", "32M"], input.as_bytes())?,
        0,
        "",
    );
    let mut receiver = Command::new(RINGMAIN)
        .args(["receive", q, "--follow", "--delete"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = receiver.stdout.take().ok_or("no output")?;
    let mut text = vec![0];
    output.read_exact(&mut text)?;
    // Nobody reads on: the pipe fills, and the receiver cannot write.
    signal(&receiver, Signal::TERM)?;
    assert_eq!(receiver.wait()?.code(), Some(0));
    output.read_to_end(&mut text)?;
    let printed = text.iter().filter(|&&byte| byte == b'\n').count();
    let left = stat(q)?;
    assert_eq!(left["in_flight"], 0);
    assert_eq!(left["visible"].as_u64(), Some((LINES - printed) as u64));
    Ok(())
}

#[test]
fn what_waits_for_a_slow_reader_stays_invisible() -> Outcome {
    let place = Place::new("patience")?;
    let q = &place.file("q.ring");
    let shape = [
        "send",
        q,
        "--create",
        "--size",
        "1M",
        "--visibility",
        "300ms",
    ];
    // More than a pipe takes: the last lines of the second batch stay in the receiver's hands.
    let lines: String = (0..20).map(|n| format!("{n:04000}\n")).collect();
    expect(&run_with(&shape, lines.as_bytes())?, 0, "");
    let mut receiver = Command::new(RINGMAIN)
        .args(["receive", q, "--max", "20", "--delete"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = receiver.stdout.take().ok_or("no output")?;
    output.read_exact(&mut [0])?;
    let start = Instant::now();
    while stat(q)?["visible"] != 0 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the receiver takes nothing"
        );
    }
    // Longer than the visibility timeout, somebody else finds nothing.
    expect(
        &run(&["receive", q, "--max", "20", "--wait", "2500ms"])?,
        3,
        "",
    );
    let mut text = Vec::new();
    output.read_to_end(&mut text)?;
    assert_eq!(text.len() + 1, lines.len());
    assert!(receiver.wait()?.success());
    assert_eq!(
        (&stat(q)?["visible"], &stat(q)?["in_flight"]),
        (&0.into(), &0.into())
    );
    Ok(())
}

#[test]
fn a_timeout_that_is_changed_meanwhile_is_gone_by() -> Outcome {
    let place = Place::new("changed")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let mut receiver = Command::new(RINGMAIN)
        .args(["receive", q, "--follow", "--delete"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(receiver.stdout.take().ok_or("no output")?);
    expect(&run(&["send", q, "first"])?, 0, "");
    let mut line = String::new();
    output.read_line(&mut line)?;
    // The receiver runs; what it gets from now on comes back after 300 ms, unless kept.
    run(&["set", q, "--visibility", "300ms"])?;
    let lines: String = (0..20).map(|n| format!("{n:04000}\n")).collect();
    expect(&run_with(&["send", q], lines.as_bytes())?, 0, "");
    let start = Instant::now();
    while stat(q)?["visible"] != 0 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the receiver takes nothing"
        );
    }
    expect(
        &run(&["receive", q, "--max", "20", "--wait", "2500ms"])?,
        3,
        "",
    );
    signal(&receiver, Signal::TERM)?;
    drop(output);
    assert_eq!(receiver.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_full_queue_waits_or_says_so() -> Outcome {
    let place = Place::new("full")?;
    let q = &place.file("q.ring");
    run(&["create", q, "--size", "1M"])?;
    let input = "0123456789\n".repeat(200_000);
    // Refused before all is read: a sender that closes its input early is part of the deal.
    let file = place.file("input");
    fs::write(&file, &input)?;
    let output = Command::new(RINGMAIN)
        .args(["send", q, "--no-wait"])
        .stdin(fs::File::open(&file)?)
        .output()?;
    refused(&output, 4, "full");
    let sent = stat(q)?["visible"].as_u64().ok_or("no figure")?;
    refused(&output, 4, &format!("{sent} sent"));
    let mut sender = Command::new(RINGMAIN)
        .args(["send", q])
        .stdin(fs::File::open(&file)?)
        .spawn()?;
    let all = (sent + 200_000).to_string();
    let output = run(&["receive", q, "--max", &all, "--follow", "--delete"])?;
    assert!(sender.wait()?.success());
    assert_eq!(output.stdout.len() as u64, 11 * (sent + 200_000));
    Ok(())
}
