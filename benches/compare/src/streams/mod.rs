//! Section `streams`: keyed records appended to a log and read again from its beginning: our stream
//! beside other logs and stores. One thread.

mod commitlog;
mod copy;
mod log;
#[cfg(feature = "stream")]
mod ours;
mod record;
mod redis;
mod sqlite;
mod walcraft;

use std::{path::Path, process::Command};

use tempfile::TempDir;

use self::log::row;
use crate::sample::{Column, Failure, Row};

/// The columns, in the order of each row's jobs.
pub const COLUMNS: [Column; 7] = [
    Column::alone("append 100 B", None),
    Column::alone("100 B by 10", None),
    Column::alone("100 B by 500", None),
    Column::alone("append 1 KiB", None),
    Column::alone("1 KiB by 10", None),
    Column::alone("1 KiB by 500", None),
    Column::alone("replay 100 B", None),
];

/// The rows, with the folders that their files lie in and what was left out.
pub struct Rows {
    /// The limit first, then ours.
    pub rows: Vec<Row>,
    /// Lines for below the table.
    pub notes: Vec<String>,
    /// Removed, with all that is in it, when dropped.
    pub folders: Vec<TempDir>,
}

/// Opens each log.
///
/// # Errors
///
/// A folder or a log that cannot be made.
pub fn rows() -> Result<Rows, Failure> {
    let disk = TempDir::with_prefix("ringmain-compare-")?;
    let memory = TempDir::with_prefix_in("ringmain-compare-", "/dev/shm")?;
    let mut notes = notes(disk.path());
    let copied = row("memcpy, mapped ring, /dev/shm", "limit", copy::Ring::new);
    let mut rows = vec![copied.with(memory.path())?];
    let homes = [("/dev/shm", memory.path()), ("disk", disk.path())];
    #[cfg(feature = "stream")]
    for (home, folder) in homes {
        let name = format!("ringmain Stream, {home}");
        rows.push(row(name, "stream", ours::Log::new).with(folder)?);
    }
    #[cfg(not(feature = "stream"))]
    notes.push("Built without the feature `stream`: our rows are missing.".into());
    for (home, folder) in homes {
        let name = format!("commitlog 0.2.0, {home}: a write(2) a call");
        rows.push(row(name, "log", commitlog::Log::new).with(folder)?);
    }
    for (home, folder) in homes {
        let name = format!("walcraft 0.3.0, {home}: in the process until flushed");
        rows.push(row(name, "log", walcraft::Log::new).with(folder)?);
    }
    for (home, folder) in homes {
        let name = format!("SQLite WAL, {home}: synchronous=OFF");
        rows.push(row(name, "log", sqlite::Log::new).with(folder)?);
    }
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .is_ok()
    {
        let name = "Redis streams, unix socket: no persistence";
        rows.push(row(name, "log", redis::Log::new).with(disk.path())?);
    } else {
        notes.push("Redis: row skipped, there is no `redis-server` on PATH.".into());
    }
    Ok(Rows {
        rows,
        notes,
        folders: vec![memory, disk],
    })
}

fn notes(disk: &Path) -> Vec<String> {
    vec![
        "Nothing here waits for a disk. A record of ours is there for every process, and outlives \
         the death of its writer, when `put` returns; one of commitlog, SQLite and Redis when the \
         call returns (Redis: as long as the server lives); one of walcraft after its flush, which \
         comes by itself each 250 ms, and is timed at the end of each sample."
            .into(),
        "Ours and memcpy go round in 32 MiB that are warm; the others' files grow, as is their \
         way (walcraft gives up old files beyond 64 MiB)."
            .into(),
        "Key: our partition key, commitlog's metadata, SQLite's column, Redis' field name; \
         walcraft has none, so it lies before the data. Checksums: ours on each record \
         (compared when read), commitlog's too, walcraft's on each page; SQLite's on what is in \
         its log; Redis none. SQLite locks its file for this process alone. By 10 and 500: \
         `put_batch`, one `append`, one transaction, one trip; walcraft has no batches, so they \
         are loops."
            .into(),
        "Replay: 100 000 records, from the oldest on, again and again; ours and memcpy in place, \
         by 1000; commitlog by 64 KiB; walcraft is opened for it each time (it reads nothing once \
         it has been written to); SQLite in one SELECT; Redis by XRANGE, 1000 at a time."
            .into(),
        "Aeron is missing: rusteron 0.2.16 builds its C sources by a newer CMake than Debian 12 \
         has. okaywal syncs each commit: it is in the section `durable`."
            .into(),
        format!("Files at \"disk\": {}.", disk.display()),
    ]
}
