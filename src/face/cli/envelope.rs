//! What `ringmain send` puts around each body: attributes, a delay, a group, a deduplication id.

use std::time::Duration;

use super::args::SendArgs;
use super::exit::{Exit, Trouble, about};
use super::values::Attribute;
use crate::{Error, Message, QueueOptions};

/// The attributes and the delay of all messages of a run.
pub(super) struct Envelope<'a> {
    attributes: &'a [Attribute],
    delay: Option<Duration>,
    group: Option<&'a str>,
    dedup_id: Option<&'a str>,
    /// Bytes of the attributes, as they count against the limit.
    pub(super) size: usize,
}

impl<'a> Envelope<'a> {
    /// That of a command line, if its parts go together.
    pub(super) fn of(args: &'a SendArgs) -> Result<Self, Trouble> {
        let mut envelope = Self {
            attributes: &args.attributes,
            delay: args.delay,
            group: args.group.as_deref(),
            dedup_id: args.dedup_id.as_deref(),
            size: 0,
        };
        if args.dedup_id.is_some() && args.bodies.len() != 1 {
            let text = "--dedup-id: one message has it, so write one BODY";
            return Err(Trouble::with_exit(Exit::Usage, text));
        }
        for (at, attribute) in args.attributes.iter().enumerate() {
            let before = &args.attributes[..at];
            if before.iter().any(|other| other.name == attribute.name) {
                let name = &attribute.name;
                let text = format!("--attribute: `{name}` twice; names differ in a message");
                return Err(Trouble::with_exit(Exit::Usage, text));
            }
        }
        let size = envelope.around(b"").map(|message| message.size());
        envelope.size =
            size.map_err(|error| Trouble::with_exit(Exit::Usage, format!("--attribute: {error}")))?;
        if let Some(delay) = args.delay {
            // The range is that of a queue's own delay.
            let checked = QueueOptions::new().delay(delay).policy();
            checked.map_err(about("--delay"))?;
        }
        Ok(envelope)
    }

    /// Whether a body goes as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.delay.is_none() && self.group.is_none()
    }

    /// Refuses what does not go with the kind of the queue.
    pub(super) fn check(&self, is_fifo: bool) -> Result<(), Trouble> {
        let problem = match (is_fifo, self.group.is_some()) {
            (true, false) => "a message of a FIFO queue has a group: --group",
            (true, true) if self.delay.is_some() => "in a FIFO queue a delay is the queue's own",
            (false, true) => "--group is for FIFO queues, and this is a standard one",
            _ => return Ok(()),
        };
        Err(Trouble::new(problem))
    }

    /// The message with this body.
    pub(super) fn around<'m>(&'m self, body: &'m [u8]) -> Result<Message<'m>, Error> {
        let mut message = Message::new(body);
        for attribute in self.attributes {
            message = message.attribute(&attribute.name, attribute.value())?;
        }
        if let Some(delay) = self.delay {
            message = message.delay(delay);
        }
        if let Some(group) = self.group {
            message = message.group(group);
        }
        if let Some(id) = self.dedup_id {
            message = message.deduplication_id(id);
        }
        Ok(message)
    }

    /// The longest body that fits beside the attributes, of a queue's limit.
    pub(super) fn body_bytes_max(&self, max: usize) -> Result<usize, Trouble> {
        let size = self.size;
        match max.checked_sub(size) {
            Some(left) if left > 0 => Ok(left),
            _ => Err(Trouble::new(format_args!(
                "the attributes have {size} bytes; this queue takes at most {max}, body included"
            ))),
        }
    }

    /// The words for a refusal: a length is told with the attributes that are in it.
    pub(super) fn words(&self, error: &Error) -> String {
        match *error {
            Error::BodyTooLong { len, max } if self.size > 0 => format!(
                "body and attributes have {len} bytes; this queue takes at most {max} together"
            ),
            ref other => other.to_string(),
        }
    }
}
