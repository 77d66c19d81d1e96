//! `ringmain top` in a terminal: a pseudo-terminal with a screen of its own, on which the figures
//! of a live queue are read.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Outcome, Place, RINGMAIN, expect, refused, run, run_with};

const WIDTH: usize = 110;
const HEIGHT: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// What a terminal would show, and all that it was sent.
struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    sent: Vec<u8>,
}

impl Screen {
    fn new() -> Self {
        Self {
            cells: vec![vec![' '; WIDTH]; HEIGHT],
            row: 0,
            column: 0,
            sent: Vec::new(),
        }
    }

    /// All lines, from all that was sent so far.
    fn lines(&mut self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.sent).into_owned();
        self.cells = vec![vec![' '; WIDTH]; HEIGHT];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\x1b' => self.escape(&mut chars),
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                c => self.put(c),
            }
        }
        self.cells
            .iter()
            .map(|line| line.iter().collect())
            .collect()
    }

    fn put(&mut self, c: char) {
        if let Some(cell) = self
            .cells
            .get_mut(self.row)
            .and_then(|row| row.get_mut(self.column))
        {
            *cell = c;
        }
        self.column += 1;
    }

    /// Moves of the cursor and clearing are obeyed, all else is passed over.
    fn escape(&mut self, chars: &mut std::str::Chars<'_>) {
        if chars.next() != Some('[') {
            return;
        }
        let mut numbers = String::new();
        for c in chars {
            if !c.is_ascii_alphabetic() {
                numbers.push(c);
                continue;
            }
            let mut parts = numbers.split(';').map(|n| n.parse().unwrap_or(1));
            match c {
                'H' => {
                    self.row = parts.next().unwrap_or(1) - 1;
                    self.column = parts.next().unwrap_or(1) - 1;
                }
                'J' => self.cells = vec![vec![' '; WIDTH]; HEIGHT],
                _ => {}
            }
            return;
        }
    }
}

/// The program in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    /// The program's side: kept open, so that its settings can be read after its end.
    side: OwnedFd,
    screen: Arc<Mutex<Screen>>,
}

fn settings(side: &OwnedFd) -> libc::termios {
    // SAFETY: termios is plain data; the descriptor is a terminal's.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(side.as_raw_fd(), &mut settings), 0);
        settings
    }
}

impl Terminal {
    fn run(args: &[&str]) -> std::io::Result<Self> {
        let (mut master, mut side) = (0, 0);
        let size = libc::winsize {
            ws_row: HEIGHT as u16,
            ws_col: WIDTH as u16,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let none = std::ptr::null_mut();
        // SAFETY: both numbers and the size live through the call; no name is asked for.
        let opened = unsafe { libc::openpty(&mut master, &mut side, none, none.cast(), &size) };
        assert_eq!(opened, 0, "a pseudo-terminal");
        // SAFETY: just opened, and nobody else's.
        let (master, side) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(side)) };
        let child = Command::new(RINGMAIN)
            .args(args)
            .env("TERM", "xterm-256color")
            .stdin(Stdio::from(side.try_clone()?))
            .stdout(Stdio::from(side.try_clone()?))
            .stderr(Stdio::from(side.try_clone()?))
            .spawn()?;
        let screen = Arc::new(Mutex::new(Screen::new()));
        let (mut reads, seen) = (master.try_clone()?, Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len) = reads.read(&mut bytes) {
                seen.lock().expect("whole").sent.extend(&bytes[..len]);
            }
        });
        Ok(Self {
            child,
            keys: master,
            side,
            screen,
        })
    }

    /// Waits until a line of the screen satisfies `is`.
    fn shows(&mut self, what: &str, is: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let lines = self.screen.lock().expect("whole").lines();
            if lines.iter().any(|line| is(line)) {
                return;
            }
            let ended = self.child.try_wait().expect("a child");
            let waits = ended.is_none() && begun.elapsed() < PATIENCE;
            assert!(waits, "no {what} ({ended:?}) on:\n{}", lines.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end; whether the terminal was given back.
    fn ends(mut self) -> i32 {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        };
        let left = |screen: &Arc<Mutex<Screen>>| {
            let sent = &screen.lock().expect("whole").sent;
            let text = String::from_utf8_lossy(sent).into_owned();
            text.contains("\x1b[?1049h") && text.contains("\x1b[?1049l")
        };
        while !left(&self.screen) {
            assert!(begun.elapsed() < PATIENCE, "the other screen was left");
            std::thread::sleep(Duration::from_millis(20));
        }
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The figures in the row of a queue.
fn figures(line: &str, name: &str) -> Option<Vec<String>> {
    let mut words = line.split_whitespace();
    (words.next() == Some(name)).then(|| words.map(str::to_owned).collect())
}

fn engine(place: &Place) -> Result<String, Box<dyn std::error::Error>> {
    let dir = place.file("q");
    expect(&run(&["init", &dir])?, 0, "");
    for name in ["orders", "mails"] {
        let queue = format!("{dir}/{name}");
        expect(&run(&["create", &queue, "--size", "1M"])?, 0, "");
    }
    Ok(dir)
}

#[test]
fn a_live_queue_is_seen_in_a_terminal() -> Outcome {
    let place = Place::new("top")?;
    let dir = engine(&place)?;
    let orders = format!("{dir}/orders");
    expect(
        &run_with(&["send", &orders], b"two apples\ntwo\nthree\n")?,
        0,
        "",
    );
    let mut terminal = Terminal::run(&["top", &dir, "--interval", "100ms"])?;
    let before = {
        // As it was before the program changed it, by another terminal that nobody has touched.
        let untouched = Terminal::run(&["--version"])?;
        settings(&untouched.side)
    };
    terminal.shows("queue with 3 messages", |line| {
        figures(line, "orders").is_some_and(|figures| figures[0] == "3")
    });
    terminal.shows("other queue", |line| figures(line, "mails").is_some());
    expect(&run_with(&["send", &orders], b"four\nfive\n")?, 0, "");
    terminal.shows("changed figure", |line| {
        figures(line, "orders").is_some_and(|figures| figures[0] == "5")
    });
    terminal.keys.write_all(b"jp")?;
    terminal.shows("peeked message", |line| line.contains("two apples"));
    terminal.keys.write_all(b"qP")?;
    terminal.shows("question", |line| {
        line.contains("Remove all messages of orders?")
    });
    terminal.keys.write_all(b"y")?;
    terminal.shows("outcome", |line| line.contains("5 removed from orders"));
    terminal.keys.write_all(b"Ry")?;
    terminal.shows("refusal", |line| line.contains("queue of dead letters"));
    terminal.keys.write_all(b"q")?;
    let side = terminal.side.try_clone()?;
    assert_eq!(terminal.ends(), 0);
    let after = settings(&side);
    let flags = |s: &libc::termios| (s.c_iflag, s.c_oflag, s.c_cflag, s.c_lflag);
    assert_eq!(flags(&after), flags(&before), "the terminal is as it was");
    Ok(())
}

#[test]
fn a_signal_gives_the_terminal_back() -> Outcome {
    let place = Place::new("top-signal")?;
    let dir = engine(&place)?;
    let mut terminal = Terminal::run(&["top", &dir])?;
    terminal.shows("queue", |line| figures(line, "orders").is_some());
    let side = terminal.side.try_clone()?;
    assert_eq!(settings(&side).c_lflag & libc::ICANON, 0, "it reads keys");
    // SAFETY: the process is this test's own child.
    let asked = unsafe { libc::kill(terminal.child.id() as i32, libc::SIGTERM) };
    assert_eq!(asked, 0);
    assert_eq!(terminal.ends(), 0);
    assert_ne!(
        settings(&side).c_lflag & libc::ICANON,
        0,
        "it reads lines again"
    );
    Ok(())
}

#[test]
fn without_a_terminal_it_prints_once_or_says_so() -> Outcome {
    let place = Place::new("top-once")?;
    let dir = engine(&place)?;
    expect(&run(&["send", &format!("{dir}/orders"), "one"])?, 0, "");
    refused(&run(&["top", &dir])?, 1, "no terminal");
    refused(&run(&["top", &dir, "--interval", "1ms"])?, 2, "100ms to 1h");
    refused(&run(&["top", &dir, "--json"])?, 2, "--once");
    refused(&run(&["top", &place.file("none")])?, 1, "");
    let once = run(&["top", &dir, "--once"])?;
    let text = String::from_utf8(once.stdout)?;
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows.len() == 3 && rows[0].contains("VISIBLE"), "{text}");
    assert_eq!(
        figures(rows[2], "orders").map(|f| f[0].clone()),
        Some("1".into()),
        "{text}"
    );
    let json = run(&["top", &dir, "--once", "--json"])?;
    let lines = String::from_utf8(json.stdout)?;
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap_or(""))?;
    assert_eq!(
        (&last["name"], &last["visible"]),
        (&"orders".into(), &1.into())
    );
    Ok(())
}
