//! Sending.

use super::super::board::seeds;
use super::super::ground::{BLOCKS, ONE, RUN};
use super::super::stage::Stage;
use super::super::tracer::{begin, end};
use super::{Operation, PLAIN};

pub const ALL: &[Operation] = &[
    Operation {
        name: "send, one slot",
        operate: |stage| send(stage, ONE),
        ..PLAIN
    },
    Operation {
        name: "send, a run of slots",
        operate: |stage| send(stage, RUN),
        ..PLAIN
    },
    Operation {
        name: "send, over 64 slots",
        operate: |stage| send(stage, BLOCKS),
        ..PLAIN
    },
    Operation {
        name: "send_batch, ten",
        operate: |stage| send_batch(stage, &[ONE; 10]),
        ..PLAIN
    },
    Operation {
        name: "send_batch, mixed lengths",
        operate: |stage| send_batch(stage, &[ONE, RUN, 8, 100, ONE, RUN]),
        ..PLAIN
    },
    Operation {
        name: "claim, commit",
        operate: |stage| claim(stage, RUN, true),
        ..PLAIN
    },
    Operation {
        name: "claim, abort",
        operate: |stage| claim(stage, RUN, false),
        ..PLAIN
    },
    Operation {
        name: "claim, abort, over 64 slots",
        operate: |stage| claim(stage, BLOCKS, false),
        ..PLAIN
    },
];

fn send(stage: &Stage<'_>, len: usize) {
    let queue = stage.open();
    let body = stage.sending(seeds::TRACED, len);
    begin();
    let sent = queue.send(body);
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok(), seeds::TRACED, "not sent");
}

fn send_batch(stage: &Stage<'_>, lens: &[usize]) {
    let queue = stage.open();
    let named = (seeds::TRACED..).zip(lens);
    let bodies: Vec<&[u8]> = named.map(|(seed, &len)| stage.sending(seed, len)).collect();
    begin();
    let outcomes = queue.send_batch(&bodies);
    if let Ok(outcomes) = &outcomes {
        for (seed, outcome) in (seeds::TRACED..).zip(outcomes) {
            stage.sent(seed, outcome);
        }
    }
    end();
    let sent = outcomes.is_ok_and(|outcomes| outcomes.iter().all(|outcome| outcome.is_ok()));
    stage.must(sent, seeds::TRACED, "not all sent");
}

fn claim(stage: &Stage<'_>, len: usize, commits: bool) {
    let queue = stage.open();
    let body = stage.sending(seeds::TRACED, len);
    begin();
    let sent = match queue.claim(len) {
        Ok(mut claim) if commits => {
            claim.copy_from_slice(body);
            claim.commit();
            Ok(())
        }
        Ok(claim) => {
            claim.abort();
            Err(ringmain::Error::Full) // not sent, as it should be
        }
        Err(error) => Err(error),
    };
    stage.sent(seeds::TRACED, &sent);
    end();
    stage.must(sent.is_ok() == commits, seeds::TRACED, "no claim");
}
