//! Putting records that are on the disk when the put returns: the mirror, its lock, its pin and its
//! ledgers.

use super::super::Streamed;
use super::super::ground::SEGMENTS;
use super::super::ledger::{LARGE, SMALL};
use super::PLAIN;
use super::writing::{gives_up, put, put_batch};

const KEPT: Streamed = Streamed {
    kept: true,
    ..PLAIN
};

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream put, before Ok",
        operate: |stage| put(stage, 0, SMALL),
        ..KEPT
    },
    Streamed {
        name: "Stream put_batch, before Ok",
        operate: |stage| put_batch(stage, &[0, 1, 3, 0]),
        ..KEPT
    },
    Streamed {
        name: "Stream put, before Ok, evicting",
        evicts: true,
        prepare: |maker| {
            maker.fill();
            None
        },
        operate: |stage| put(stage, 0, LARGE),
        does: gives_up,
        given_up: SEGMENTS,
        ..KEPT
    },
];
