//! SQLite in WAL mode, with a visibility column: the queue that people build on it.
//!
//! There is no index on that column: with ten messages in the table the plain scan by id is faster,
//! and it is SQLite at its best that we want beside us.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    message::{Body, Tally},
    store::Store,
};
use crate::sample::Failure;

/// How long a received message is invisible.
const VISIBILITY_MS: i64 = 30_000;

const SCHEMA: &str = "
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        visible_ms INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL
    );";
const SEND: &str = "INSERT INTO messages (visible_ms, body) VALUES (?1, ?2)";
const RECEIVE: &str = "
    UPDATE messages SET visible_ms = ?1, receives = receives + 1
    WHERE id IN (
        SELECT id FROM messages WHERE visible_ms <= ?2 ORDER BY id LIMIT ?3
    )
    RETURNING id, body";
const DELETE: &str = "DELETE FROM messages WHERE id = ?1";

/// What `PRAGMA synchronous` says.
#[derive(Debug, Clone, Copy)]
pub enum Sync {
    /// Syncs at checkpoints.
    Normal,
    /// Never syncs.
    Off,
}

impl Sync {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Off];

    /// The row's name.
    pub fn row_name(self) -> &'static str {
        match self {
            Self::Normal => "SQLite WAL, synchronous=NORMAL",
            Self::Off => "SQLite WAL, synchronous=OFF",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Off => "OFF",
        }
    }
}

struct Sqlite {
    connection: Connection,
    taken: Vec<i64>,
}

/// A new database in `folder`.
pub fn open(folder: &Path, sync: Sync) -> Result<impl Store + use<>, Failure> {
    let path = folder.join(format!("messages-{}.sqlite", sync.word()));
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", sync.word())?;
    connection.execute_batch(SCHEMA)?;
    Ok(Sqlite {
        connection,
        taken: Vec::new(),
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Store for Sqlite {
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let now = now_ms();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = transaction.prepare_cached(SEND)?;
            for body in bodies {
                statement.execute((now, &body[..]))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure> {
        let now = now_ms();
        self.taken.clear();
        {
            let mut statement = self.connection.prepare_cached(RECEIVE)?;
            let mut rows = statement.query((now + VISIBILITY_MS, now, max as i64))?;
            while let Some(row) = rows.next()? {
                self.taken.push(row.get(0)?);
                tally.consume(row.get_ref(1)?.as_blob()?);
            }
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = transaction.prepare_cached(DELETE)?;
            for id in &self.taken {
                statement.execute((id,))?;
            }
        }
        transaction.commit()?;
        Ok(self.taken.len())
    }
}
