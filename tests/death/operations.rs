//! The operations: for each what there is before, what the survivor holds, and what is done under
//! trace. What may be true afterwards follows from the ledger: see `survivor`.

pub mod engines;
mod journaled;
mod moving;
mod peeking;
mod receiving;
mod sending;
mod settling;
mod taking_part;
mod upkeep;

use super::board::{Board, seeds, state, who};
use super::ground::{Held, Image, Jobs, Kind, Maker, ONE, Prepare};
use super::stage::{Stage, seed_in};
use std::sync::atomic::Ordering::SeqCst;

pub type Hold = for<'q> fn(&Board, &'q Jobs) -> Vec<Held<'q>>;

/// One operation of the matrix.
#[derive(Clone, Copy)]
pub struct Operation {
    pub name: &'static str,
    pub kind: Kind,
    pub prepare: Prepare,
    /// What the tracer, which is the idle survivor, holds meanwhile.
    pub hold: Hold,
    /// What the traced process does: up to `begin` it prepares, after `end` it settles.
    pub operate: fn(&Stage<'_>),
    /// What the tracer does when the operation takes its time: wakes who sleeps.
    pub asleep: Option<fn(&'static Board, &Jobs)>,
    /// Whether it takes the set-up lock, for which `open` and `create` of others wait.
    pub sets_up: bool,
}

const PLAIN: Operation = Operation {
    name: "",
    kind: Kind::Queue,
    prepare: five,
    hold: nothing,
    operate: |_| {},
    asleep: None,
    sets_up: false,
};

/// All of them, in the order of the tables.
pub fn all() -> Vec<Operation> {
    let parts = [
        sending::ALL,
        receiving::ALL,
        settling::ALL,
        moving::ALL,
        peeking::ALL,
        upkeep::ALL,
        taking_part::ALL,
        journaled::ALL,
    ];
    parts.concat()
}

/// Five messages of one slot wait.
fn five(maker: &Maker<'_>) -> Option<Image> {
    for seed in seeds::GROUND..seeds::GROUND + 5 {
        maker.send(seed, ONE);
    }
    None
}

/// No message.
fn empty(_: &Maker<'_>) -> Option<Image> {
    None
}

fn nothing<'q>(_: &Board, _: &'q Jobs) -> Vec<Held<'q>> {
    Vec::new()
}

/// The survivor reads the first message in place.
fn first<'q>(board: &Board, queue: &'q Jobs) -> Vec<Held<'q>> {
    let held = queue
        .receive()
        .expect("received")
        .expect("the ground has one");
    let entry = board.known(seed_in(held.body()));
    entry.holder.store(who::TRACER, SeqCst);
    vec![held]
}

/// The time of everything that is held is over, though its holders live.
fn pass_visibility(stage: &Stage<'_>) {
    stage.board.pass_ms(super::ground::VISIBILITY_MS + 1);
    for (_, entry) in stage.board.named() {
        if entry.holder.load(SeqCst) != 0 {
            entry.add(state::LATE);
        }
    }
}
