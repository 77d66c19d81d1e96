//! Redis streams on a unix socket: a server that this program starts and stops.

use std::path::Path;

use redis::{Connection, Value};

use super::{
    log,
    record::{KEY, Seen},
};
use crate::{
    queues::{RedisServer, start_redis},
    sample::Failure,
};

const STREAM: &str = "records";
/// Records of a trip of a replay.
const READ: usize = 1000;

/// A stream of a server of its own.
pub struct Log {
    connection: Connection,
    _server: RedisServer,
}

impl Log {
    /// A new server in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let started = start_redis(folder)?;
        let (connection, server) = started.ok_or("there is no `redis-server` on PATH")?;
        Ok(Self {
            connection,
            _server: server,
        })
    }
}

/// The id and the data of a record of a reply.
fn parts(record: &Value) -> Option<(&[u8], &[u8])> {
    let Value::Array(record) = record else {
        return None;
    };
    let [Value::BulkString(id), Value::Array(fields)] = &record[..] else {
        return None;
    };
    let [Value::BulkString(_), Value::BulkString(data)] = &fields[..] else {
        return None;
    };
    Some((id, data))
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        let mut trip = redis::pipe();
        for record in bytes.chunks_exact(size) {
            trip.cmd("XADD")
                .arg(STREAM)
                .arg("*")
                .arg(KEY)
                .arg(record)
                .ignore();
        }
        Ok(trip.exec(&mut self.connection)?)
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut from = b"-".to_vec();
        loop {
            let reply: Value = redis::cmd("XRANGE")
                .arg(STREAM)
                .arg(&from)
                .arg("+")
                .arg("COUNT")
                .arg(READ)
                .query(&mut self.connection)?;
            let Value::Array(records) = &reply else {
                return Err("XRANGE answered something else".into());
            };
            let Some(last) = records.last() else {
                return Ok(());
            };
            for record in records {
                let (_, data) = parts(record).ok_or("a record has lost a part")?;
                seen.add(data);
            }
            let (id, _) = parts(last).ok_or("a record has lost a part")?;
            from.clear();
            from.push(b'(');
            from.extend_from_slice(id);
        }
    }

    fn clear(&mut self) -> Result<(), Failure> {
        Ok(redis::cmd("DEL").arg(STREAM).exec(&mut self.connection)?)
    }
}
