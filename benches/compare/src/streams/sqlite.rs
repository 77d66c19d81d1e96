//! SQLite in WAL mode, a transaction an append.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{
    log,
    record::{KEY, Seen},
};
use crate::sample::Failure;

const SCHEMA: &str =
    "CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT NOT NULL, data BLOB NOT NULL)";
const APPEND: &str = "INSERT INTO records (key, data) VALUES (?1, ?2)";
const REPLAY: &str = "SELECT id, key, data FROM records WHERE id > ?1 ORDER BY id";

/// A database.
pub struct Log(Connection);

impl Log {
    /// A new database in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(folder.join("records.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        // Nobody else opens it: no file locks.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(connection))
    }
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        if bytes.len() == size {
            self.0.prepare_cached(APPEND)?.execute((KEY, bytes))?;
            return Ok(());
        }
        let behaviour = TransactionBehavior::Immediate;
        let transaction = self.0.transaction_with_behavior(behaviour)?;
        {
            let mut statement = transaction.prepare_cached(APPEND)?;
            for record in bytes.chunks_exact(size) {
                statement.execute((KEY, record))?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut statement = self.0.prepare_cached(REPLAY)?;
        let mut rows = statement.query((0,))?;
        while let Some(row) = rows.next()? {
            seen.add(row.get_ref(2)?.as_blob()?);
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Failure> {
        self.0.execute("DELETE FROM records", ())?;
        // The log begins anew, over bytes that have been written before.
        self.0
            .query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(()))?;
        Ok(())
    }
}
