//! fjall: a log-structured merge tree, its journal not synced.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::{
    message::{Body, Tally},
    store::Store,
};
use crate::sample::Failure;

struct Fjall {
    database: Database,
    messages: Keyspace,
    /// Numbers that were given out; those below `first` are gone, so that a take does not have to
    /// step over their tombstones.
    next: u64,
    first: u64,
}

/// A new database in `folder`.
pub fn open(folder: &Path) -> Result<impl Store + use<>, Failure> {
    let database = Database::builder(folder.join("fjall")).open()?;
    let messages = database.keyspace("messages", KeyspaceCreateOptions::default)?;
    Ok(Fjall {
        database,
        messages,
        next: 0,
        first: 0,
    })
}

impl Store for Fjall {
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let mut batch = self.database.batch();
        for body in bodies {
            batch.insert(&self.messages, self.next.to_be_bytes(), &body[..]);
            self.next += 1;
        }
        Ok(batch.commit()?)
    }

    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure> {
        let mut batch = self.database.batch();
        let mut taken = 0;
        for entry in self.messages.range(self.first.to_be_bytes()..).take(max) {
            let (key, body) = entry.into_inner()?;
            tally.consume(&body);
            batch.remove(&self.messages, key);
            taken += 1;
        }
        batch.commit()?;
        self.first += taken as u64;
        Ok(taken)
    }
}
