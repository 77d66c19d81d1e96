//! Two programs over one queue, which is a file that both map.
//!
//! One writes frames in place and sends them without a copy; the other waits for them, sleeping,
//! and reads them where they lie. Either may be started first, and either may die: what was sent
//! stays, and what a dead receiver had in hand comes back to the next one.
//!
//! ```sh
//! cargo run --example two_programs               # starts both itself
//!
//! cargo run --example two_programs -- receive    # in one terminal
//! cargo run --example two_programs -- send       # in another
//! ```
//!
//! The file is in `/dev/shm` where there is one, else in the directory of temporary files; a path
//! after the word names another. The two programs leave it, for the next run.

use ringmain::{Error, Mapped, Message, Queue, QueueOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// A frame: its number, 8 bytes, then a pattern that is made of it.
const FRAME_BYTES: usize = 4096;
const FRAMES: u64 = 10_000;
/// Room for fewer frames than that, so that the sender sometimes waits for the receiver.
const REGION_BYTES: u64 = 8 << 20;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => both(&place(&format!("ringmain-frames-{}", std::process::id()))),
        ["send"] => send(&place("ringmain-frames")),
        ["receive"] => receive(&place("ringmain-frames")),
        ["send", path] => send(Path::new(path)),
        ["receive", path] => receive(Path::new(path)),
        _ => Err("usage: two_programs [send|receive [PATH]]".into()),
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

/// Whoever comes first makes the file and the queue.
fn open(path: &Path) -> Result<Queue<Mapped>, Error> {
    let region = Mapped::open_or_create(path, REGION_BYTES)?;
    Queue::open_or_create(region, QueueOptions::new().typical_body(FRAME_BYTES))
}

/// The byte of a frame's pattern at a place.
fn pattern(number: u64, at: usize) -> u8 {
    number.wrapping_mul(31).wrapping_add(at as u64) as u8
}

fn send(path: &Path) -> Result<(), Failure> {
    let frames = open(path)?;
    let mut waits = 0;
    for number in 0..FRAMES {
        let mut claim = loop {
            match frames.claim(FRAME_BYTES) {
                Ok(claim) => break claim,
                Err(Error::Full) => {
                    waits += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.into()),
            }
        };
        let (head, rest) = claim.split_at_mut(8);
        head.copy_from_slice(&number.to_le_bytes());
        for (at, byte) in rest.iter_mut().enumerate() {
            *byte = pattern(number, at);
        }
        claim.commit(); // dropped instead, or with its process dead: nothing was sent
    }
    // Order is close to that of the sends, not exact: so the end says how many there are.
    let end = Message::new("end").integer("last", FRAMES as i64)?;
    while let Err(error) = frames.send_message(&end) {
        if error != Error::Full {
            return Err(error.into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("sent: {FRAMES} frames; the queue was full {waits} times");
    Ok(())
}

fn receive(path: &Path) -> Result<(), Failure> {
    let frames = open(path)?;
    let (mut seen, mut again, mut wanted) = (vec![false; FRAMES as usize], 0, None);
    let (mut count, mut begin) = (0, None);
    while wanted.is_none_or(|wanted| count < wanted) {
        // Long polling: a sender wakes us. The longest wait is 20 s.
        let Some(frame) = frames.receive_timeout(Duration::from_secs(20))? else {
            return Err("nobody sends".into());
        };
        begin.get_or_insert_with(Instant::now);
        if let Some(last) = frame.attribute("last") {
            wanted = Some(last.as_i64().ok_or("a strange end")?);
            frame.delete()?;
            continue;
        }
        // The body lies in the file, and stays as it is for as long as `frame` lives.
        let (head, rest) = frame.body().split_first_chunk().ok_or("a short frame")?;
        let number = u64::from_le_bytes(*head);
        let sound = rest
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == pattern(number, at));
        let seen = seen.get_mut(number as usize).filter(|_| sound);
        let seen = seen.ok_or("a damaged frame")?;
        match std::mem::replace(seen, true) {
            true => again += 1, // at least once: a frame may come twice
            false => count += 1,
        }
        frame.delete()?;
    }
    let time = begin.map_or(Duration::ZERO, |begin| begin.elapsed());
    println!(
        "received: {count} frames of {FRAME_BYTES} bytes in {time:.1?}, {again} of them twice"
    );
    Ok(())
}

/// Starts both, as processes of their own, over a file that is removed at the end.
fn both(path: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let start = |word: &str| Command::new(&program).arg(word).arg(path).spawn();
    let (mut receiver, mut sender) = (start("receive")?, start("send")?);
    let received = receiver.wait()?;
    if !received.success() {
        sender.kill()?; // it would wait for room
    }
    let sent = sender.wait()?;
    let left = open(path)?.stat()?;
    std::fs::remove_file(path)?;
    assert!(received.success() && sent.success(), "both ended well");
    assert_eq!((left.visible, left.in_flight), (0, 0), "all was deleted");
    assert_eq!(left.sent, FRAMES + 1, "the frames, and the end");
    assert_eq!(left.deleted, left.sent);
    Ok(())
}
