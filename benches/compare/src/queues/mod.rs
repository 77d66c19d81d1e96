//! Section `queue`: cycles of 100-byte messages through our queue and through stores with a queue
//! on top: send, receive, delete.

mod fjall;
mod message;
#[cfg(feature = "queue")]
mod ours;
#[cfg(feature = "queue")]
mod pair;
mod redb;
mod redis;
mod sqlite;
mod store;

use std::path::Path;

use tempfile::TempDir;

#[cfg(feature = "queue")]
pub use pair::Child;
pub use redis::{Server as RedisServer, start as start_redis};

use crate::sample::{Column, Failure, Row};

/// The columns, in the order of each row's jobs.
pub const COLUMNS: [Column; 4] = [
    Column::alone("1 thread, by tens", None),
    Column::alone("1 thread, one by one", None),
    Column::shared("2 threads, by tens", Some(2)),
    Column::shared("2 processes, by tens", None),
];

/// The rows, with the folders that their files lie in and what was left out.
pub struct Rows {
    /// Ours first.
    pub rows: Vec<Row>,
    /// Lines for below the table.
    pub notes: Vec<String>,
    /// Removed, with all that is in it, when dropped.
    pub folders: Vec<TempDir>,
}

/// Opens each queue and each store.
///
/// # Errors
///
/// A folder or a store that cannot be made.
pub fn rows(queue_bytes: u64) -> Result<Rows, Failure> {
    let disk = TempDir::with_prefix("ringmain-compare-")?;
    let mut notes = notes(disk.path());
    #[allow(unused_mut)] // without the feature `queue` nothing of ours is added
    let mut rows = Vec::new();
    let mut folders = Vec::new();
    #[cfg(feature = "queue")]
    {
        let memory = TempDir::with_prefix_in("ringmain-compare-", "/dev/shm")?;
        ours::add(&mut rows, queue_bytes, memory.path(), disk.path())?;
        notes.push(format!(
            "ringmain: a region of {queue_bytes} bytes, visibility 30 s."
        ));
        folders.push(memory);
    }
    #[cfg(not(feature = "queue"))]
    {
        let _ = queue_bytes;
        notes.push("Built without the feature `queue`: our rows are missing.".into());
    }
    rows.push(store::row(
        "redb 4.6.0, Durability::None",
        redb::open(disk.path())?,
    ));
    for sync in sqlite::Sync::ALL {
        rows.push(store::row(
            sync.row_name(),
            sqlite::open(disk.path(), sync)?,
        ));
    }
    rows.push(store::row(
        "fjall 3.1.13, no sync",
        fjall::open(disk.path())?,
    ));
    match redis::open(disk.path())? {
        Some(store) => rows.push(store::row("Redis streams, unix socket", store)),
        None => notes.push("Redis: row skipped, there is no `redis-server` on PATH.".into()),
    }
    folders.push(disk);
    Ok(Rows {
        rows,
        notes,
        folders,
    })
}

fn notes(disk: &Path) -> Vec<String> {
    vec![
        "A message is sent, received, its body hashed (xxh3), deleted; by tens each step is one \
         call or one transaction for ten."
            .to_owned(),
        "redb and fjall: insert and take; no visibility, so no step for delete. SQLite: WAL, a \
         visibility column without an index (faster at this depth), receive is an UPDATE ... \
         RETURNING. Redis: XADD, XREADGROUP, \
         XACK and XDEL, each ten in one trip."
            .to_owned(),
        format!(
            "Files of redb, SQLite, fjall and the mapped home \"disk\": {}.",
            disk.display()
        ),
    ]
}
