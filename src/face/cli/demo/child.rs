//! A child of the demo, seen from the parent: its process, its journal, its end.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command, ExitStatus, Stdio};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process, set_parent_process_death_signal,
    waitid,
};

use super::super::exit::Trouble;
use super::super::monotonic::now_ns;
use super::audit::{Audit, Hands};
use super::place::Place;
use super::wire::{Author, Record};

const JOURNAL_BYTES: usize = 1 << 20;
/// How much of a journal is taken up at a time.
const PART_BYTES: u64 = 256 << 10;

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Producer,
    Worker,
    /// Of a stream.
    Reader,
}

/// A running child.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) role: Role,
    pub(super) author: Author,
    process: Process,
    journal: File,
    unread: Vec<u8>,
    hands: Hands,
    /// Whether its journal has held anything.
    pub(super) heard: bool,
    /// Whether it was asked to finish.
    pub(super) asked: bool,
}

impl Child {
    /// Starts this same program in another role. `author` is its index and incarnation.
    pub(super) fn start(role: Role, author: Author, place: &Place) -> Result<Self, Trouble> {
        let verb = match role {
            Role::Producer => "demo-producer",
            Role::Worker => "demo-worker",
            Role::Reader => "demo-reader",
        };
        let mut command = Command::new(std::env::current_exe()?);
        let outbox = place.outboxes.get(author.producer as usize);
        command.arg(verb);
        if let Some(outbox) = outbox.filter(|_| role == Role::Producer) {
            command.arg("--outbox").arg(outbox.path_for_children());
        }
        if let Some(progress) = &place.progress {
            command.arg("--progress").arg(progress.path_for_children());
        }
        let mut process = command
            .arg(place.path_for_children())
            .args([author.producer.to_string(), author.incarnation.to_string()])
            .arg(std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Of its own: an interrupt from the terminal is the parent's to handle.
            .process_group(0)
            .spawn()?;
        let Some(stdout) = process.stdout.take() else {
            return Err(Trouble::new("a child without a journal"));
        };
        let journal = OwnedFd::from(stdout);
        rustix::io::ioctl_fionbio(&journal, true)?;
        // Where the kernel grants less, the child waits for the parent a little more often.
        let _ = rustix::pipe::fcntl_setpipe_size(&journal, JOURNAL_BYTES);
        let journal = File::from(journal);
        Ok(Self {
            role,
            author,
            process,
            journal,
            unread: Vec::new(),
            hands: Hands::default(),
            heard: false,
            asked: false,
        })
    }

    fn pid(&self) -> Result<Pid, Trouble> {
        Pid::from_raw(self.process.id() as i32).ok_or_else(|| Trouble::new("a child without an id"))
    }

    /// Takes up what the journal holds. Returns whether the writer is gone.
    pub(super) fn read_journal(&mut self, audit: &mut Audit) -> io::Result<bool> {
        loop {
            let mut journal = Read::take(&self.journal, PART_BYTES);
            let (gone, more) = match journal.read_to_end(&mut self.unread) {
                Ok(_) if journal.limit() == 0 => (false, true),
                Ok(_) => (true, false),
                // What was read before the pipe ran empty is in `unread`.
                Err(error) if error.kind() == ErrorKind::WouldBlock => (false, false),
                Err(error) => return Err(error),
            };
            let mut bytes = self.unread.as_slice();
            while let Some(record) = Record::read(&mut bytes)? {
                audit.take(self.author, &mut self.hands, record);
                self.heard = true;
            }
            let left = bytes.len();
            self.unread.drain(..self.unread.len() - left);
            if !more {
                return Ok(gone);
            }
        }
    }

    /// If the child holds messages, stops it; if it still does then, kills it, else lets it go on.
    /// Returns whether it was killed.
    pub(super) fn kill_if_holding(&mut self, audit: &mut Audit) -> Result<bool, Trouble> {
        self.read_journal(audit)?;
        if !self.hands.are_full() {
            return Ok(false);
        }
        let pid = self.pid()?;
        kill_process(pid, Signal::STOP)?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), options)?;
        self.read_journal(audit)?;
        if !self.hands.are_full() {
            kill_process(pid, Signal::CONT)?;
            return Ok(false);
        }
        let killed_ns = now_ns();
        self.kill(audit)?;
        audit.bereave(&self.hands, killed_ns);
        Ok(true)
    }

    /// Asks a worker to hold its next batch. Returns whether it could be asked: one that has not
    /// yet written to its journal may not yet listen.
    pub(super) fn ask_to_hold(&self) -> Result<bool, Trouble> {
        if self.heard {
            kill_process(self.pid()?, Signal::USR1)?;
        }
        Ok(self.heard)
    }

    /// Kills the child wherever it is, and reads what it left in its journal.
    pub(super) fn kill(&mut self, audit: &mut Audit) -> Result<(), Trouble> {
        self.process.kill()?;
        self.process.wait()?;
        while !self.read_journal(audit)? {}
        Ok(())
    }

    /// Asks the child to finish.
    pub(super) fn ask_to_stop(&mut self) -> Result<(), Trouble> {
        self.asked = true;
        Ok(kill_process(self.pid()?, Signal::TERM)?)
    }

    /// Waits for the child's end.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// How the child ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail for one that has been waited for, and that is well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// For the child: SIGKILL when the parent goes, even if it is killed.
pub(super) fn die_with_parent(parent: i32) -> Result<(), Trouble> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have gone before the line above.
    if getppid() != Pid::from_raw(parent) {
        return Err(Trouble::new("started by hand, or the parent is gone"));
    }
    Ok(())
}
