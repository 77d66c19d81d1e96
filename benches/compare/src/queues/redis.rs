//! Redis streams on a unix socket: a server that this program starts and stops.

use std::{
    io::ErrorKind,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, RedisResult, streams::StreamReadReply};

use super::{
    message::{Body, Tally},
    store::Store,
};
use crate::sample::Failure;

const STREAM: &str = "messages";
const GROUP: &str = "group";
/// The server has to answer within this time.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Killed when dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Redis {
    connection: Connection,
    _server: Server,
}

/// A server's consumer group; `None` when there is no such program.
pub fn open(folder: &Path) -> Result<Option<impl Store + use<>>, Failure> {
    let Some((mut connection, server)) = start(folder)? else {
        return Ok(None);
    };
    redis::cmd("XGROUP")
        .arg("CREATE")
        .arg(STREAM)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM")
        .exec(&mut connection)?;
    Ok(Some(Redis {
        connection,
        _server: server,
    }))
}

/// Starts a server without persistence in `folder`; `None` when there is no such program.
pub fn start(folder: &Path) -> Result<Option<(Connection, Server)>, Failure> {
    let socket = folder.join("redis.sock");
    let started = Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--save",
            "",
            "--appendonly",
            "no",
            "--unixsocket",
        ])
        .arg(&socket)
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let server = match started {
        Ok(child) => Server(child),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let client = Client::open(format!("redis+unix://{}", socket.display()))?;
    Ok(Some((connect(&client)?, server)))
}

/// Tries until the server answers.
fn connect(client: &Client) -> RedisResult<Connection> {
    let start = Instant::now();
    loop {
        match client.get_connection() {
            Err(_) if start.elapsed() < START_LIMIT => std::thread::yield_now(),
            result => return result,
        }
    }
}

impl Store for Redis {
    fn send(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let mut trip = redis::pipe();
        for body in bodies {
            trip.cmd("XADD")
                .arg(STREAM)
                .arg("*")
                .arg("b")
                .arg(&body[..])
                .ignore();
        }
        Ok(trip.exec(&mut self.connection)?)
    }

    fn take(&mut self, max: usize, tally: &mut Tally) -> Result<usize, Failure> {
        let reply: StreamReadReply = redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(GROUP)
            .arg("consumer")
            .arg("COUNT")
            .arg(max)
            .arg("STREAMS")
            .arg(STREAM)
            .arg(">")
            .query(&mut self.connection)?;
        let mut ids = Vec::with_capacity(max);
        for message in reply.keys.into_iter().flat_map(|key| key.ids) {
            let body: Vec<u8> = message.get("b").ok_or("a message has lost its body")?;
            tally.consume(&body);
            ids.push(message.id);
        }
        redis::pipe()
            .cmd("XACK")
            .arg(STREAM)
            .arg(GROUP)
            .arg(&ids)
            .ignore()
            .cmd("XDEL")
            .arg(STREAM)
            .arg(&ids)
            .ignore()
            .exec(&mut self.connection)?;
        Ok(ids.len())
    }
}
