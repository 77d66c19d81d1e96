//! What `ringmain send` puts around each body: attributes, and a delay.

use std::time::Duration;

use super::args::SendArgs;
use super::exit::{Exit, Trouble, about};
use super::values::Attribute;
use crate::{Error, Message, QueueOptions};

/// The attributes and the delay of all messages of a run.
pub(super) struct Envelope<'a> {
    attributes: &'a [Attribute],
    delay: Option<Duration>,
    /// Bytes of the attributes, as they count against the limit.
    pub(super) size: usize,
}

impl<'a> Envelope<'a> {
    /// That of a command line, if its parts go together.
    pub(super) fn of(args: &'a SendArgs) -> Result<Self, Trouble> {
        let mut envelope = Self {
            attributes: &args.attributes,
            delay: args.delay,
            size: 0,
        };
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
        self.attributes.is_empty() && self.delay.is_none()
    }

    /// The message with this body.
    pub(super) fn around<'m>(&'m self, body: &'m [u8]) -> Result<Message<'m>, Error> {
        let mut message = Message::new(body);
        for attribute in self.attributes {
            message = message.attribute(&attribute.name, attribute.value())?;
        }
        Ok(match self.delay {
            Some(delay) => message.delay(delay),
            None => message,
        })
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
