//! redb: a B-tree file, each transaction synced. It has one writer at a time, and threads wait.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{Database, Durability, ReadableTable, TableDefinition};

use super::{
    drive::{Journal, Writer},
    message::{Body, Tally},
};
use crate::sample::Failure;

const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");

/// A database with one table.
pub struct Store {
    database: Database,
    next: AtomicU64,
}

impl Store {
    /// A new database in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            database: Database::create(folder.join("messages.redb"))?,
            next: AtomicU64::new(0),
        })
    }
}

impl Journal for Store {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        Ok(Box::new(self))
    }

    fn settle(&self, _: Tally) -> Result<Tally, Failure> {
        let mut found = Tally::default();
        let transaction = self.database.begin_write()?;
        for entry in transaction.open_table(MESSAGES)?.iter()? {
            found.add(entry?.1.value());
        }
        transaction.delete_table(MESSAGES)?;
        transaction.commit()?;
        Ok(found)
    }
}

impl Writer for &Store {
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(MESSAGES)?;
            // ORDERING: Relaxed; a number of its own, which orders nothing.
            let first = self.next.fetch_add(bodies.len() as u64, Ordering::Relaxed);
            for (number, body) in (first..).zip(bodies) {
                table.insert(number, &body[..])?;
            }
        }
        Ok(transaction.commit()?)
    }
}
