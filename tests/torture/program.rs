//! The shipped program as a participant: another build of the library. Its input and its output are
//! files, so that what it wrote outlives it.

use super::board::{FORMAT, Op};
use super::body;
use super::faults::Fault;
use super::hand::{Hand, Tools, VISIBILITY_MS};
use super::history::Past;
use super::ledger::{Kind, Record};
use super::os::End;
use super::roles::Role;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Messages that it may have received without a trace when it dies: what is in its hand, and what
/// its output page holds.
const IN_HAND_MAX: u64 = 60;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ringmain"))
}

/// Where the program of that life writes.
fn output(path: &Path, number: u64) -> PathBuf {
    path.with_file_name(format!("{number}.out"))
}

/// Where it says what went wrong.
fn errors(path: &Path, number: u64) -> PathBuf {
    path.with_file_name(format!("{number}.err"))
}

fn file(path: PathBuf) -> File {
    File::create(path).expect("a file beside the region")
}

/// Becomes `ringmain send`, with lines that it logs as intents before.
pub fn send(hand: &mut Hand) -> i32 {
    let path = hand.tools.path.clone();
    let lines = 20 + hand.below(200);
    let input = path.with_file_name(format!("{}.in", hand.number));
    let mut text = Vec::new();
    for number in 0..lines {
        let seed = body::seed(hand.tools.shape, true, hand.number, number);
        hand.sending(seed);
        text.extend(body::body(seed));
        text.push(b'\n');
    }
    std::fs::write(&input, text).expect("a file beside the region");
    let error = program()
        .arg("send")
        .arg(&path)
        .stdin(File::open(&input).expect("the file just written"))
        .stdout(Stdio::null())
        .stderr(file(errors(&path, hand.number)))
        .exec();
    panic!("the program: {error}");
}

/// Becomes `ringmain receive`, which deletes or does not; returns its arguments' sense by the
/// ledger: `count` 1 in the first record if it deletes.
pub fn receive(hand: &mut Hand) -> i32 {
    let path = hand.tools.path.clone();
    let deletes = hand.below(3) != 0;
    let mut note = Record::new(Kind::Refused, 0, 0);
    note.attachment = u8::from(deletes);
    hand.log(&note);
    let mut command = program();
    command.arg("receive").arg(&path).arg("--json");
    if deletes {
        command.arg("--delete");
    }
    if hand.below(2) == 0 {
        command.arg("--follow");
    } else {
        let max = 1 + hand.below(200);
        command.args(["--wait", "100ms", "--max", &max.to_string()]);
    }
    let error = command
        .stdin(Stdio::null())
        .stdout(file(output(&path, hand.number)))
        .stderr(file(errors(&path, hand.number)))
        .exec();
    panic!("the program: {error}");
}

/// The records of a program's life: those that it made before it became the program, what it wrote
/// and what its end says. What it may have received without a trace is the second value.
pub fn read(
    tools: &Tools,
    past: &Past,
    mut records: Vec<Record>,
    problems: &mut Vec<String>,
) -> (Vec<Record>, Option<(u64, u64)>) {
    let said = std::fs::read_to_string(errors(&tools.path, past.number)).unwrap_or_default();
    let mut problem = |text: String| {
        problems.push(format!("life {}: {text}", past.number));
    };
    let refused = said.contains("region format") || said.contains("attachments to this region");
    let in_order = match (past.end, past.role) {
        (End::Exit(0), _) | (End::Exit(3), Role::ProgramReceive) => true,
        (End::Exit(1), _) if refused => false,
        (End::Signal(_), _) => false, // the audit asks whose signal
        (end, _) => {
            problem(format!("{end:?}: {said}"));
            false
        }
    };
    if past.role == Role::ProgramSend {
        if in_order {
            let sent = records.clone().into_iter().map(|begin| Record {
                kind: Kind::SendEnd,
                t1: past.ended_ns,
                ..begin
            });
            records.extend(sent);
        }
        return (records, None);
    }
    let deletes = records.first().is_some_and(|note| note.attachment != 0);
    records.clear();
    match receives(&tools.path, past.number) {
        Ok(receives) => {
            for mut got in receives {
                (got.t0, got.t1) = (past.born_ns, past.ended_ns);
                records.push(got);
                if deletes {
                    let mut settle = Record::new(Kind::SettleBegin, got.seed, past.born_ns);
                    (settle.op, settle.count) = (Op::DeleteReceipt, got.count);
                    records.push(settle);
                    if in_order && said.is_empty() {
                        settle.kind = Kind::SettleEnd;
                        (settle.t1, settle.latest) = (past.ended_ns, u64::MAX);
                        records.push(settle);
                    }
                }
            }
        }
        Err(text) => problem(text),
    }
    let hidden = (!in_order).then_some((past.born_ns, records.len() as u64 + IN_HAND_MAX));
    (records, hidden)
}

/// What a program of that life wrote, as receives: without their times, which nobody knows.
fn receives(path: &Path, number: u64) -> Result<Vec<Record>, String> {
    let text = match std::fs::read(output(path, number)) {
        Ok(text) => text,
        // It died before it was the program.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = text[..whole].split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(received)
        .collect()
}

fn received(line: &[u8]) -> Result<Record, String> {
    use base64::Engine;
    let about = |what: &str| format!("{what}: {}", String::from_utf8_lossy(line));
    let json: serde_json::Value =
        serde_json::from_slice(line).map_err(|e| about(&e.to_string()))?;
    let text = |key: &str| json[key].as_str();
    let bytes = match (text("body"), text("body_base64")) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => base64::prelude::BASE64_STANDARD
            .decode(text)
            .map_err(|e| about(&e.to_string()))?,
        (None, None) => return Err(about("no body")),
    };
    let receipt = text("receipt").ok_or_else(|| about("no receipt"))?;
    let word = |at: usize| u64::from_str_radix(receipt.get(at..at + 16)?, 16).ok();
    let (Some(place), Some(stamp), Some(receive)) = (word(0), word(16), word(32)) else {
        return Err(about("no receipt"));
    };
    let count = json["receive_count"]
        .as_u64()
        .ok_or_else(|| about("no count"))?;
    let seed = body::seed_of(&bytes).ok_or_else(|| about("bytes of no message"))?;
    let received_ms = receive & ((1 << 44) - 1);
    let mut record = Record::new(Kind::Got, seed, 0);
    record.count = count as u32;
    record.id = (place, stamp);
    (record.a, record.b) = (received_ms, received_ms + VISIBILITY_MS);
    record.latest = u64::MAX; // nobody asked
    Ok(record)
}

/// A stranger meets a file of a newer format: the library and the program refuse it.
pub fn stranger(hand: &mut Hand) -> i32 {
    let expected = ringmain::Error::Version {
        found: FORMAT + 1,
        supported: FORMAT,
    };
    let path = hand.tools.path.clone();
    match ringmain::Mapped::open(&path) {
        Err(error) if error == expected => {}
        other => {
            let text = format!("a newer format: {other:?}");
            hand.fault(Fault::Error, 0, 0, 0, &text);
        }
    }
    for arguments in [&["stat"][..], &["send"], &["receive", "--delete"]] {
        let mut command = program();
        command.arg(arguments[0]).arg(&path).args(&arguments[1..]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(1) || !text.contains(&expected.to_string()) {
            let text = format!("{arguments:?} of a newer format: {} {text}", output.status);
            hand.fault(Fault::Program, 0, 0, 0, &text);
        }
    }
    0
}
