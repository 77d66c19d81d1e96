//! `ringmain set`: other settings for a queue that lives, for all its participants at once.

use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;

use super::args::SetArgs;
use super::create;
use super::exit::{Exit, Trouble, about};
use super::output::say;
use super::spot::Spot;
use crate::Error;
use crate::region::policy::{DELAY_MS, RETENTION_MS, VISIBILITY_MS};

/// A setting before and after.
#[derive(Debug, Clone, Copy, Serialize)]
struct Change {
    old: u64,
    new: u64,
}

#[derive(Debug, Serialize)]
struct Changes {
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility_ms: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_ms: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<Letters>,
}

/// Where dead letters went, and where they go.
#[derive(Debug, Serialize)]
struct Letters {
    old: Option<String>,
    new: Option<String>,
    max_receives: Option<u32>,
}

/// Says where dead letters go, if that is asked.
fn set_dead_letters(args: &SetArgs) -> Result<Option<Letters>, Trouble> {
    let policy = match (&args.dead_letters, args.max_receives) {
        (Some(target), Some(receives)) => Some((target.as_str(), receives)),
        _ if args.no_dead_letters => None,
        _ => return Ok(None),
    };
    let (engine, name) = Spot::named(&args.path)?;
    let told = || about::<Error>(args.path.display());
    let old = engine.describe(&name).map_err(told())?.dead_letters;
    engine.set_dead_letters(&name, policy).map_err(told())?;
    Ok(Some(Letters {
        old: old.map(|policy| policy.target),
        new: policy.map(|(target, _)| target.to_owned()),
        max_receives: policy.map(|(_, receives)| receives),
    }))
}

/// Changes the settings that are named, and prints each, old and new.
pub(super) fn run(args: &SetArgs) -> Result<Exit, Trouble> {
    let queue = create::open(&args.path)?;
    let dead_letters = set_dead_letters(args)?;
    let mut both = (queue.options(), queue.options());
    queue
        .reconfigure(|mut options| {
            both.0 = options;
            if let Some(visibility) = args.visibility {
                options = options.visibility(visibility);
            }
            if let Some(retention) = args.retention {
                options = options.retention(retention);
            }
            if let Some(delay) = args.delay {
                options = options.delay(delay);
            }
            both.1 = options;
            options
        })
        .map_err(about(args.path.display()))?;
    let (old, new) = (both.0.policy()?, both.1.policy()?);
    let change = |named: Option<Duration>, setting: usize| {
        let (old, new) = (old[setting], new[setting]);
        named.map(|_| Change { old, new })
    };
    let changes = Changes {
        visibility_ms: change(args.visibility, VISIBILITY_MS),
        retention_ms: change(args.retention, RETENTION_MS),
        delay_ms: change(args.delay, DELAY_MS),
        dead_letters,
    };
    if args.json {
        say(serde_json::to_string(&changes)?)?;
    } else {
        changes.tell()?;
    }
    Ok(Exit::Done)
}

impl Changes {
    fn tell(&self) -> Result<(), Trouble> {
        let named = [
            ("visibility", self.visibility_ms),
            ("retention", self.retention_ms),
            ("delay", self.delay_ms),
        ];
        for (name, change) in named {
            let Some(Change { old, new }) = change else {
                continue;
            };
            let [from, to] = [old, new].map(|ms| format_duration(Duration::from_millis(ms)));
            if old == new {
                say(format_args!("{name} {to}, as it was"))?;
            } else {
                say(format_args!("{name} {from} -> {to}"))?;
            }
        }
        if let Some(letters) = &self.dead_letters {
            let [from, to] = [&letters.old, &letters.new].map(|to| to.as_deref().unwrap_or("none"));
            match letters.max_receives {
                Some(n) => say(format_args!(
                    "dead letters {from} -> {to}, after {n} receives"
                ))?,
                None => say(format_args!("dead letters {from} -> {to}"))?,
            }
        }
        Ok(())
    }
}
