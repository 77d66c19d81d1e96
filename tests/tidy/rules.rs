//! The rules: what a file may use, and how long it may be.

use crate::tokens::{Token, tokens};

/// What a file breaks, and where.
#[derive(Debug)]
pub struct Fault {
    pub line: usize,
    pub what: String,
}

/// A room's rank: it may use itself, `error`, and what ranks lower. The tens are the floors of
/// ARCHITECTURE.md; on floor 0 the rest stands on `sync`, and on floor 3 on `message`
/// and `wait`.
const ROOMS: [(&str, u32); 17] = [
    ("sync", 0),
    ("trace", 1),
    ("time", 1),
    ("pod", 1),
    ("hash", 1),
    ("ring", 10),
    ("region", 20),
    ("message", 30),
    ("wait", 30),
    ("queue", 31),
    ("stream", 31),
    ("topic", 40),
    ("consumer", 50),
    ("delivery", 50),
    ("analytics", 50),
    ("engine", 60),
    ("face", 70),
];
/// The first floor that may start threads.
const THREADS_FROM: u32 = 50;
/// The files below it that may: the thread that watches for deaths while others wait, the one that
/// passes wake-ups of other processes on to wakers, and the one that commits to a journal from time
/// to time.
pub const THREAD_FILES: [&str; 3] = [
    "src/region/mapped/warden.rs",
    "src/region/mapped/sleeper.rs",
    "src/region/mapped/committer.rs",
];
/// Where `unsafe` may stand.
const UNSAFE_ROOMS: [&str; 7] = ["sync", "time", "pod", "hash", "ring", "region", "face/capi"];
const FILE_LINES_MAX: usize = 600;
const LINE_COLUMNS_MAX: usize = 100;

/// A rule: looks at one file and enters its faults.
pub type Rule = fn(&File<'_>, &mut Vec<Fault>);
pub const RULES: [Rule; 9] = [
    floors,
    unsafe_code,
    atomics,
    clocks,
    files,
    threads,
    events,
    sizes_and_opening,
    machine_paths,
];

/// A file of the package, ready to be looked at.
pub struct File<'a> {
    path: &'a str,
    text: &'a str,
    tokens: Vec<Token>,
    /// Names that `lib.rs` re-exports, each with its room.
    exports: &'a [(String, String)],
}

impl<'a> File<'a> {
    pub fn new(path: &'a str, text: &'a str, exports: &'a [(String, String)]) -> Self {
        let tokens = if path.ends_with(".rs") {
            tokens(text)
        } else {
            Vec::new()
        };
        Self {
            path,
            text,
            tokens,
            exports,
        }
    }

    /// The library's source, not its root, which only gates and re-exports.
    fn is_library(&self) -> bool {
        self.path.starts_with("src/") && self.path != "src/lib.rs"
    }

    fn is_in(&self, room: &str) -> bool {
        let inside = self
            .path
            .strip_prefix("src/")
            .and_then(|path| path.strip_prefix(room));
        inside.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    }

    /// The room that the file is in: `queue` for `src/queue/send.rs`, `error` for `src/error.rs`.
    fn room(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside
            .split('/')
            .next()
            .unwrap_or(inside)
            .trim_end_matches(".rs")
    }

    /// How many `super`s lead from the file's own module to the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.split('/').filter(|name| *name != "mod").count()
    }

    /// Each place where these tokens stand in a row.
    fn find(&self, row: &[&str]) -> impl Iterator<Item = usize> {
        let rows = self.tokens.windows(row.len());
        let found = rows.filter(|tokens| tokens.iter().zip(row).all(|(t, text)| t.text == *text));
        found
            .map(|tokens| tokens[0].line)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Enters a fault for each place where one of `rows` (written with spaces) stands.
    fn forbid(&self, rows: &[&str], what: &str, faults: &mut Vec<Fault>) {
        for row in rows {
            let row: Vec<&str> = row.split(' ').collect();
            let what = || format!("{what}: {}", row.concat());
            faults.extend(self.find(&row).map(|line| Fault { line, what: what() }));
        }
    }
}

fn rank(room: &str) -> Option<u32> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, rank)| *rank)
}

// ---- the rules

fn floors(file: &File<'_>, faults: &mut Vec<Fault>) {
    if !file.is_library() || file.is_in("bin") {
        return;
    }
    let room = file.room();
    let own = rank(room);
    if own.is_none() && room != "error" {
        faults.push(Fault {
            line: 1,
            what: format!("the room {room} has no floor"),
        });
    }
    for (line, name) in root_names(file) {
        let exported = file.exports.iter().find(|(export, _)| *export == name);
        let target = exported.map_or(name.as_str(), |(_, room)| room.as_str());
        let allowed = target == room
            || match (own, rank(target)) {
                (Some(own), Some(target)) => target < own,
                (own, _) => own.is_some() && target == "error",
            };
        if !allowed {
            faults.push(Fault {
                line,
                what: format!("{room} may not use {name} of {target}"),
            });
        }
    }
}

/// The names directly under the crate's root that a file uses, through `crate::` or `super::`.
fn root_names(file: &File<'_>) -> Vec<(usize, String)> {
    let tokens = &file.tokens;
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let (mut names, mut braces, mut modules) = (Vec::new(), 0usize, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => {
                braces += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    modules.push(braces);
                }
            }
            "}" => {
                if modules.last() == Some(&braces) {
                    modules.pop();
                }
                braces = braces.saturating_sub(1);
            }
            start @ ("crate" | "super") if text(at + 1) == "::" => {
                let mut up = usize::from(start == "super");
                at += 2;
                while text(at) == "super" && text(at + 1) == "::" {
                    up += 1;
                    at += 2;
                }
                if start == "crate" || up >= file.depth() + modules.len() {
                    names.extend(heads(tokens, at));
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    names
}

/// The first names of what follows a path: one, or each of a group in braces.
fn heads(tokens: &[Token], at: usize) -> Vec<(usize, String)> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut first = true;
    for token in &tokens[at.min(tokens.len())..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            _ if first && depth <= 1 => {
                first = false;
                heads.push((token.line, token.text.clone()));
            }
            _ => {}
        }
        if depth <= 0 {
            break;
        }
    }
    heads
}

fn unsafe_code(file: &File<'_>, faults: &mut Vec<Fault>) {
    if !file.is_library() || UNSAFE_ROOMS.iter().any(|room| file.is_in(room)) {
        return;
    }
    file.forbid(
        &["unsafe"],
        "unsafe code outside floors 0 to 2 and face/capi",
        faults,
    );
    let parts: Vec<&str> = file.path.split('/').collect();
    let root = matches!(
        parts[..],
        ["src", _] | ["src", _, "mod.rs"] | ["src", "bin", _] | ["src", "face", _, "mod.rs"]
    );
    let row = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    if root && file.find(&row).next().is_none() {
        let what = "a module root without #![forbid(unsafe_code)]".to_string();
        faults.push(Fault { line: 1, what });
    }
}

fn atomics(file: &File<'_>, faults: &mut Vec<Fault>) {
    if file.path.starts_with("src/") && !file.is_in("sync") {
        let rows = [
            ":: atomic",
            "atomic ::",
            "portable_atomic ::",
            "loom ::",
            "{ atomic",
        ];
        file.forbid(&rows, "an atomic named outside sync", faults);
    }
}

fn clocks(file: &File<'_>, faults: &mut Vec<Fault>) {
    if file.is_library() && !["time", "face", "bin"].iter().any(|room| file.is_in(room)) {
        let rows = [
            "Instant",
            "SystemTime",
            "UNIX_EPOCH",
            "clock_gettime",
            "gettimeofday",
        ];
        file.forbid(&rows, "a clock read outside time", faults);
    }
}

fn files(file: &File<'_>, faults: &mut Vec<Fault>) {
    if file.is_library()
        && !["region", "face", "bin"]
            .iter()
            .any(|room| file.is_in(room))
    {
        let rows = [
            "std :: fs",
            "rustix :: fs",
            "File",
            "OpenOptions",
            "memmap2",
            "libc :: open",
            "libc :: openat",
            "libc :: mmap",
        ];
        file.forbid(&rows, "a file touched outside region and face", faults);
    }
}

fn threads(file: &File<'_>, faults: &mut Vec<Fault>) {
    let high = rank(file.room()).is_some_and(|rank| rank >= THREADS_FROM) || file.is_in("bin");
    if file.is_library() && !high && !THREAD_FILES.contains(&file.path) {
        let rows = [
            "thread :: spawn",
            "thread :: Builder",
            "thread :: scope",
            "pthread_create",
        ];
        file.forbid(&rows, "a thread started below floor 5", faults);
    }
}

fn events(file: &File<'_>, faults: &mut Vec<Fault>) {
    if file.is_library() && !file.is_in("trace") {
        file.forbid(&["tracing ::"], "tracing named outside trace", faults);
    }
}

fn sizes_and_opening(file: &File<'_>, faults: &mut Vec<Fault>) {
    let lines = file.text.lines().count();
    let generated = file.path.ends_with(".lock") || file.path.starts_with("LICENSE");
    if lines > FILE_LINES_MAX && !generated {
        let what = format!("{lines} lines; at most {FILE_LINES_MAX}");
        faults.push(Fault { line: lines, what });
    }
    // Manifests keep a dependency or a description on one line.
    let exempt = generated || file.path.ends_with(".toml");
    for (index, line) in file.text.lines().enumerate().filter(|_| !exempt) {
        let content = line
            .trim_start()
            .trim_start_matches("//!")
            .trim_start_matches("///");
        let table = content.trim_start().starts_with('|')
            && (file.path.ends_with(".md") || content.len() < line.trim_start().len());
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX && !table && !line.contains("://") {
            let what = format!("{columns} columns; at most {LINE_COLUMNS_MAX}");
            faults.push(Fault {
                line: index + 1,
                what,
            });
        }
    }
    let opening = file.text.lines().next().unwrap_or("");
    let opens = opening
        .strip_prefix("//! ")
        .is_some_and(|text| !text.trim().is_empty())
        || opening.starts_with("#![doc = include_str!(");
    if file.path.ends_with(".rs") && !opens {
        faults.push(Fault {
            line: 1,
            what: "does not open with a `//!` paragraph".to_string(),
        });
    }
}

fn machine_paths(file: &File<'_>, faults: &mut Vec<Fault>) {
    for (index, line) in file.text.lines().enumerate() {
        for dir in ["work", "root", "farm", "home"] {
            let path = format!("/{dir}/");
            let found = line.match_indices(&path).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "_-.*}/".contains(c))
            });
            if found {
                let what = format!("a path of one machine: {path}");
                faults.push(Fault {
                    line: index + 1,
                    what,
                });
            }
        }
    }
}

/// What `lib.rs` re-exports: each name with the room that it comes from.
pub fn exports(lib: &str) -> Vec<(String, String)> {
    let tokens = tokens(lib);
    let mut exports = Vec::new();
    for at in 0..tokens.len().saturating_sub(3) {
        let (start, room) = (&tokens[at].text, &tokens[at + 1].text);
        if start == "use" && room != "crate" && tokens[at + 2].text == "::" {
            let names = heads(&tokens, at + 3);
            exports.extend(names.into_iter().map(|(_, name)| (name, room.clone())));
        }
    }
    exports
}
