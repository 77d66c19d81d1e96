//! The screen without a terminal: keys and looks go in, text comes out.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw;
use super::source::{Look, Seen, Sight, Source};
use super::state::{Action, Command, Key, Mode, Sort, State};
use super::streams::{StreamLook, Streams};
use super::{Stroke, key_of, obey};
use crate::face::cli::exit::Trouble;
use crate::{
    Engine, FifoOptions, FifoQueue, Heap, ManualClock, Queue, QueueOptions, StreamOptions,
    StreamSpec,
};

/// A look at a queue with so many visible messages, of which so many were ever sent.
fn look(name: &str, visible: u64, sent: u64) -> Look {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 14).expect("memory");
    let queue = Queue::create_with(region, QueueOptions::new(), &clock).expect("a queue");
    let mut stats = queue.stat().expect("figures");
    (stats.visible, stats.sent) = (visible, sent);
    stats.oldest_age = (visible != 0).then_some(Duration::from_secs(75));
    let name = name.to_owned();
    Look {
        name,
        stats,
        groups: None,
    }
}

fn three(state: &mut State) {
    let looks = |more: u64| {
        vec![
            look("billing", 7, 100 + more),
            look("orders", 1200, 5000 + 40 * more),
            look("orders-dead", 0, 3),
        ]
    };
    state.look(looks(0), None);
    state.look(looks(20), Some(Duration::from_secs(2)));
}

fn text(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a backend");
    terminal
        .draw(|frame| draw::draw(frame, state, "/var/q"))
        .expect("drawn");
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width.max(1)));
    let line = |cells: &[ratatui::buffer::Cell]| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    };
    lines.map(line).collect()
}

#[test]
fn the_table_is_drawn() {
    let mut state = State::new();
    three(&mut state);
    let wanted = "\
ringmain top  /var/q  3 queues
NAME▼          VISIBLE  IN FLIGHT  DELAYED   OLDEST   SENT/s   RECV/s    DEL/s VISIBLE, LATELY
billing              7          0        0    1m15s     10.0      0.0      0.0 ██
orders            1200          0        0    1m15s      400      0.0      0.0 ██
orders-dead          0          0        0        -      0.0      0.0      0.0 ▁▁

j/k select  s sort  r reverse  / filter  p peek  P purge  R redrive  q quit";
    assert_eq!(text(&state, 99, 7).join("\n"), wanted);
}

#[test]
fn figures_of_groups_are_drawn_where_there_is_room() {
    let clock = ManualClock::new(1_000_000);
    let region = Heap::new(1 << 18).expect("memory");
    let queue = FifoQueue::create_with(region, FifoOptions::new(), &clock).expect("a queue");
    for group in ["a", "b", "c"] {
        queue.send(group, group, b"body").expect("room");
    }
    let _held = queue.receive().expect("received").expect("sent");
    let mut fifo = look("orders.fifo", 2, 3);
    fifo.groups = Some(queue.groups().expect("figures"));
    let mut state = State::new();
    state.look(vec![look("billing", 7, 100), fifo], None);
    let wide = text(&state, 118, 5);
    assert!(wide[1].contains("GRP READY  GRP LOCK"), "{wide:#?}");
    let words = |line: &str| -> Vec<String> {
        let words = line.split_whitespace().map(str::to_owned);
        words.collect()
    };
    assert_eq!(words(&wide[2])[8..10], ["-", "-"], "{wide:#?}");
    assert_eq!(words(&wide[3])[8..10], ["2", "1"], "{wide:#?}");
    let narrow = text(&state, 117, 5);
    assert!(!narrow[1].contains("GRP"), "{narrow:#?}");
    state.filter = "bill".to_owned();
    assert!(!text(&state, 118, 5)[1].contains("GRP"), "none is shown");
}

/// An engine with two streams, in a directory that goes with this value.
struct Place(std::path::PathBuf);

impl Place {
    fn new() -> Self {
        let name = format!("ringmain-top-streams-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn streams_are_drawn_below_queues() {
    let place = Place::new();
    let engine = Engine::open_or_create(&place.0).expect("an engine");
    let options = StreamOptions::new().shards(2);
    let spec = StreamSpec::new().bytes(1 << 20).options(options);
    let clicks = engine.create_stream("clicks", &spec).expect("a stream");
    engine.create_stream("plant.north", &spec).expect("another");
    let mut streams = Streams::default();
    let mut state = State::new();
    three(&mut state);
    state.streams = streams.looks(&engine).expect("a look");
    let words = |line: &str| -> Vec<String> {
        let words = line.split_whitespace().map(str::to_owned);
        words.collect()
    };
    let row = |state: &State, name: &str, height: u16| {
        let lines = text(state, 99, height);
        let found = lines.iter().find(|line| line.starts_with(name));
        found.map(|line| words(line)[1..].to_vec())
    };
    assert!(text(&state, 99, 20)[0].contains("3 queues, 2 streams"));
    let before = row(&state, "clicks", 20).expect("it is shown");
    assert_eq!(before, ["2", "0", "0%", "-", "-", "0", "0", "-", "-", "-"]);

    let audit = clicks.register_consumer("audit").expect("a seat");
    let shard = clicks.shard_of(clicks.hash_of("k")).expect("a shard");
    let mut reading = audit.cursor(shard, crate::Start::Oldest).expect("one");
    clicks.put("k", b"one").expect("room");
    assert_eq!(reading.read(1).expect("a read").len(), 1);
    drop(reading);
    for _ in 0..300 {
        clicks.put("k", &[7; 1000]).expect("room");
    }
    let cursor = clicks.cursor(shard, crate::Start::Oldest);
    state.streams = streams.looks(&engine).expect("a look");
    drop(cursor);
    let after = row(&state, "clicks", 20).expect("it is shown");
    let bytes: u64 = after[1].parse().expect("a number");
    assert!((307_200..330_000).contains(&bytes), "{after:?}"); // and what segments' ends leave
    assert_eq!(after[5], "1", "{after:?}");
    assert!(after[2].ends_with('%') && after[2] != "0%", "{after:?}");
    assert!(after[3] != "0.0" && after[3] != "-", "{after:?}");
    assert!(
        after[6] == "1" && after[7..].iter().all(|age| age.ends_with('s')),
        "{after:?}"
    );
    let other = row(&state, "plant.north", 20).expect("it is shown");
    assert_eq!((&*other[3], &*other[4]), ("0.0", "0.0"));
    // Of few lines streams have half at the most; a filter is for both.
    assert_eq!(row(&state, "plant.north", 8), None);
    assert!(row(&state, "orders", 8).is_some());
    state.filter = "plant".to_owned();
    assert_eq!(row(&state, "clicks", 20), None);
    assert!(row(&state, "plant.north", 20).is_some());
    state.filter.clear();
    state.look(Vec::new(), None);
    assert!(
        row(&state, "plant.north", 6).is_some(),
        "without queues all lines are theirs"
    );

    engine.delete_stream("clicks").expect("deleted");
    let left = streams.looks(&engine).expect("a look");
    assert_eq!(left.len(), 1);
    engine.create_stream("clicks", &spec).expect("made anew");
    let anew = streams.looks(&engine).expect("a look");
    assert_eq!((anew.len(), anew[0].figures.bytes), (2, 0));
}

#[test]
fn rows_are_sorted_filtered_and_selected() {
    let mut state = State::new();
    three(&mut state);
    let names = |state: &State| -> Vec<String> {
        state.shown().iter().map(|row| row.name.clone()).collect()
    };
    assert_eq!(names(&state), ["billing", "orders", "orders-dead"]);
    state.key(Key::Char('j'));
    assert_eq!(state.selected(), Some(1));
    state.key(Key::Char('s'));
    assert_eq!(state.sort, Sort::Visible);
    assert_eq!(names(&state), ["orders", "billing", "orders-dead"]);
    assert_eq!(
        state.selected(),
        Some(0),
        "the queue stays selected, not the line"
    );
    state.key(Key::Char('r'));
    assert_eq!(names(&state), ["orders-dead", "billing", "orders"]);
    state.key(Key::PageUp);
    assert_eq!(state.selected(), Some(0));
    for c in ['/', 'e', 'a', 'x'] {
        state.key(Key::Char(c));
    }
    assert!(names(&state).is_empty());
    assert_eq!(state.selected(), None);
    state.key(Key::Backspace);
    state.key(Key::Enter);
    assert_eq!(names(&state), ["orders-dead"]);
    assert_eq!(
        state.key(Key::Enter),
        Some(Command::Peek("orders-dead".into()))
    );
    state.key(Key::Escape);
    assert_eq!(names(&state).len(), 3);
    // Seven more: each column, and round to the first.
    for _ in 0..7 {
        state.key(Key::Char('s'));
    }
    assert_eq!(state.sort, Sort::Name);
    // A selected queue that goes leaves the selection to the first.
    state.look(vec![look("billing", 1, 1)], None);
    assert_eq!(state.selected(), Some(0));
    state.look(Vec::new(), None);
    assert_eq!((state.selected(), state.key(Key::Char('j'))), (None, None));
    assert_eq!(state.key(Key::Char('p')), None);
    assert_eq!(state.key(Key::Char('P')), None);
    assert_eq!(state.mode, Mode::Table);
}

/// A source that says what it was asked.
#[derive(Default)]
struct Echo(Vec<String>);

impl Source for Echo {
    fn looks(&mut self) -> Result<Vec<Look>, Trouble> {
        Ok(Vec::new())
    }

    fn streams(&mut self) -> Result<Vec<StreamLook>, Trouble> {
        Ok(Vec::new())
    }

    fn peek(&mut self, name: &str) -> Result<Sight, Trouble> {
        self.0.push(format!("peek {name}"));
        let seen = |n: u8, body: &[u8], len: usize| Seen {
            id: format!("{n:032}"),
            state: "visible",
            age_ms: 61_000,
            receive_count: u32::from(n),
            len,
            body: body.to_vec(),
        };
        let cut = "zwölf".as_bytes();
        let messages = vec![
            seen(1, b"two apples\n", 11),
            seen(2, b"\x00\xff\x1b", 3),
            seen(3, &cut[..3], 6),
            seen(4, b"a\x1b[31mred", 9),
        ];
        let passed = 2;
        Ok(Sight { messages, passed })
    }

    fn purge(&mut self, name: &str) -> Result<u64, Trouble> {
        self.0.push(format!("purge {name}"));
        Ok(1200)
    }

    fn redrive(&mut self, name: &str) -> Result<u64, Trouble> {
        self.0.push(format!("redrive {name}"));
        Ok(17)
    }
}

#[test]
fn a_deed_comes_after_a_question() {
    let (mut state, mut source) = (State::new(), Echo::default());
    three(&mut state);
    state.key(Key::Char('P'));
    assert_eq!(state.mode, Mode::Question(Action::Purge, "billing".into()));
    let last = text(&state, 80, 8).pop();
    assert_eq!(
        last.as_deref(),
        Some("Remove all messages of billing? [y/N]")
    );
    assert_eq!(state.key(Key::Enter), None, "only y is yes");
    assert_eq!(state.said, "nothing done");
    for (key, said) in [
        ('P', "1200 removed from billing"),
        ('R', "17 of billing on their way back"),
    ] {
        state.key(Key::Char(key));
        let command = state.key(Key::Char('y')).expect("a deed");
        obey(&mut state, &mut source, command);
        assert_eq!(text(&state, 80, 8).pop().as_deref(), Some(said));
    }
    assert_eq!(source.0, ["purge billing", "redrive billing"]);
    assert_eq!(state.key(Key::Char('q')), Some(Command::Quit));
}

#[test]
fn messages_are_shown_as_text_or_digits() {
    let (mut state, mut source) = (State::new(), Echo::default());
    three(&mut state);
    let command = state.key(Key::Enter).expect("a peek");
    obey(&mut state, &mut source, command);
    let shown = text(&state, 100, 8);
    assert_eq!(
        shown[0],
        "billing: 4 messages, looked at without receiving; 2 passed by"
    );
    let bodies: Vec<&str> = shown[2..6]
        .iter()
        .map(|line| line.rsplit("  ").next().unwrap_or_default().trim())
        .collect();
    assert_eq!(bodies, ["two apples·", "0x00ff1b", "zw…", "a·[31mred"]);
    assert!(shown[2].contains("1m01s"), "{}", shown[2]);
    for _ in 0..9 {
        state.key(Key::Down);
    }
    assert!(
        text(&state, 100, 8)[2].contains("a·[31mred"),
        "scrolled to the last"
    );
    assert_eq!(
        state.key(Key::Char('p')),
        Some(Command::Peek("billing".into()))
    );
    assert_eq!(state.key(Key::Char('q')), None, "back, and not out");
    assert_eq!(state.mode, Mode::Table);
}

#[test]
fn each_size_of_terminal_will_do() {
    let mut source = Echo::default();
    for mode in 0..4 {
        let mut state = State::new();
        three(&mut state);
        match mode {
            1 => drop(state.key(Key::Char('/'))),
            2 => drop(state.key(Key::Char('P'))),
            3 => obey(&mut state, &mut source, Command::Peek("orders".into())),
            _ => {}
        }
        for width in [0, 1, 2, 5, 11, 12, 30, 39, 80, 200] {
            for height in [0, 1, 2, 3, 11] {
                let lines = text(&state, width, height);
                assert_eq!(lines.len(), usize::from(height) * usize::from(width != 0));
            }
        }
    }
}

#[test]
fn keys_of_the_terminal_are_known() {
    use ratatui::crossterm::event::KeyCode;
    assert!(matches!(
        key_of(KeyCode::Char('c'), true),
        Some(Stroke::Interrupt)
    ));
    assert!(
        key_of(KeyCode::Char('p'), true).is_none(),
        "no deed by Ctrl-P"
    );
    assert!(matches!(
        key_of(KeyCode::Char('P'), false),
        Some(Stroke::Key(Key::Char('P')))
    ));
    assert!(key_of(KeyCode::F(1), false).is_none());
}

#[test]
fn history_is_bounded_and_rates_begin_with_the_second_look() {
    let mut state = State::new();
    for n in 0..100 {
        state.look(vec![look("q", n, 10 * n)], Some(Duration::from_secs(1)));
        let shown = state.shown();
        let rate = if n == 0 { 0.0 } else { 10.0 };
        assert_eq!(shown[0].rates.sent, rate);
        assert!(shown[0].history.len() <= super::state::HISTORY);
    }
    assert_eq!(state.shown()[0].history.back(), Some(&99));
}
