//! redb: a B-tree file, committed without sync.

use std::path::Path;

use redb::{Database, Durability, TableDefinition, WriteTransaction};

use super::{
    message::{Body, Tally},
    store::Store,
};
use crate::sample::Failure;

const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");

struct Redb {
    database: Database,
    next: u64,
}

/// A new database in `folder`.
pub fn open(folder: &Path) -> Result<impl Store + use<>, Failure> {
    let database = Database::create(folder.join("messages.redb"))?;
    Ok(Redb { database, next: 0 })
}

impl Redb {
    fn begin(&self) -> Result<WriteTransaction, Failure> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::None)?;
        Ok(transaction)
    }
}

impl Store for Redb {
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let transaction = self.begin()?;
        {
            let mut table = transaction.open_table(MESSAGES)?;
            for body in bodies {
                table.insert(self.next, &body[..])?;
                self.next += 1;
            }
        }
        Ok(transaction.commit()?)
    }

    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure> {
        let transaction = self.begin()?;
        let mut taken = 0;
        {
            let mut table = transaction.open_table(MESSAGES)?;
            while taken < max {
                let Some((_, body)) = table.pop_first()? else {
                    break;
                };
                tally.consume(body.value());
                taken += 1;
            }
        }
        transaction.commit()?;
        Ok(taken)
    }
}
