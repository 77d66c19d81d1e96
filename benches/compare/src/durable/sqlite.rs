//! SQLite in WAL mode that syncs its log at each commit. A connection a thread; they wait for each
//! other.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use rusqlite::{Connection, TransactionBehavior};

use super::{
    drive::{Journal, Writer},
    message::{Body, Tally},
};
use crate::sample::Failure;

const SCHEMA: &str = "CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB NOT NULL)";
const SEND: &str = "INSERT INTO messages (body) VALUES (?1)";
/// How long a connection waits for the others.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database, and the connection that settles.
pub struct Store {
    path: PathBuf,
    settling: Mutex<Connection>,
}

impl Store {
    /// A new database in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("messages.sqlite");
        let connection = open(&path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            path,
            settling: Mutex::new(connection),
        })
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

impl Journal for Store {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        let connection = open(&self.path)?;
        connection.prepare_cached(SEND)?;
        Ok(Box::new(connection))
    }

    fn settle(&self, _: Tally) -> Result<Tally, Failure> {
        let connection = self.settling.lock().map_err(|_| "settling panicked")?;
        let mut found = Tally::default();
        let mut statement = connection.prepare("SELECT body FROM messages")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            found.add(row.get_ref(0)?.as_blob()?);
        }
        drop(rows);
        connection.execute("DELETE FROM messages", ())?;
        // The log begins anew, over bytes that have been written before.
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(()))?;
        Ok(found)
    }
}

impl Writer for Connection {
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let transaction = self.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut statement = transaction.prepare_cached(SEND)?;
            for body in bodies {
                statement.execute((&body[..],))?;
            }
        }
        Ok(transaction.commit()?)
    }
}
