//! Cursors and reads; figures and tending.

use super::super::super::board::{Fault, Time};
use super::super::super::common::body;
use super::super::super::ground::Image;
use super::super::super::stage::Stage;
use super::super::super::tracer::{begin, end};
use super::super::Streamed;
use super::super::ground::{ASKED_MS, Log, Maker, first};
use super::super::ledger::{LARGE, SMALL, TRACED, all_sound, key, put};
use super::{PLAIN, may_be, opened, some};
use ringmain::{Cursor, Error, Mapped, ShardId, Start};
use std::sync::Arc;

type Place<'s> = Cursor<'s, Arc<Mapped>, Time>;

const FIRST: ShardId = ShardId::from_number(0);
/// Records that are put until the oldest segment is given up.
const LAP: u64 = 40;

pub const ALL: &[Streamed] = &[
    Streamed {
        name: "Stream cursor, at the oldest",
        operate: |stage| cursor(stage, Start::Oldest),
        ..PLAIN
    },
    Streamed {
        name: "Stream cursor, at a time",
        prepare: |maker| {
            some(maker);
            maker.board.pass_ms(100);
            some(maker)
        },
        operate: |stage| {
            let stream = opened(stage);
            let now_ms = first(&stream).latest_ms;
            drop(stream);
            cursor(stage, Start::Time(now_ms))
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream read",
        operate: |stage| read(stage, |_, _| {}),
        ..PLAIN
    },
    Streamed {
        name: "Stream read, on into the next segment",
        prepare: |maker| {
            (0..8).for_each(|_| maker.put(0, LARGE));
            None
        },
        operate: |stage| {
            read(stage, |_, cursor| match cursor.read(100) {
                Ok(records) => assert_eq!(records.len(), 5),
                Err(error) => panic!("{error}"),
            })
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream read, finding itself behind",
        evicts: true,
        operate: |stage| lost(stage),
        given_up: 2 * LAP / 5,
        ..PLAIN
    },
    Streamed {
        name: "Stream drop of a Cursor",
        operate: |stage| {
            let stream = opened(stage);
            let cursor = at(stage, &stream, Start::Oldest);
            begin();
            drop(cursor);
            end();
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream stat",
        operate: |stage| {
            let stream = opened(stage);
            begin();
            let stat = stream.stat(FIRST);
            end();
            if let Err(error) = stat {
                may_be(stage, 0, &error);
            }
        },
        ..PLAIN
    },
    Streamed {
        name: "Stream tend, after a death",
        prepare: in_the_midst,
        operate: |stage| {
            let stream = opened(stage);
            stage.board.pass_ms(ASKED_MS);
            begin();
            let tended = stream.tend();
            end();
            if let Err(error) = tended {
                may_be(stage, 0, &error);
            }
        },
        does: |ground, stream| first(stream).oldest > ground.first.oldest,
        given_up: 4,
        ..PLAIN
    },
];

/// Old records in full segments, and one who has died with a claim.
fn in_the_midst(maker: &Maker<'_>) -> Option<Image> {
    maker.fill();
    maker.ages();
    let claims = |stage: &Stage<'_>| {
        let stream = opened(stage);
        let (key, data) = (key(0), body(TRACED, SMALL));
        begin();
        let _ = stream.put(&key, &data);
        end();
    };
    let tail = first(&maker.stream).tail;
    let [_, claimed] = maker.dies(claims, &|stream| first(stream).tail > tail);
    Some(claimed)
}

fn at<'s>(stage: &Stage<'_>, stream: &'s Log, start: Start) -> Place<'s> {
    let cursor = stream.cursor(FIRST, start);
    cursor.unwrap_or_else(|error| panic!("{error} at {}", stage.board.now_ms()))
}

fn cursor(stage: &Stage<'_>, start: Start) {
    let stream = opened(stage);
    begin();
    let cursor = stream.cursor(FIRST, start);
    end();
    match cursor {
        Ok(mut cursor) => reads_on(stage, &mut cursor),
        Err(error) => may_be(stage, 0, &error),
    }
}

/// A read after what is done before.
fn read(stage: &Stage<'_>, before: impl Fn(&Stage<'_>, &mut Place<'_>)) {
    let stream = opened(stage);
    let mut cursor = at(stage, &stream, Start::Oldest);
    before(stage, &mut cursor);
    let from = cursor.position();
    begin();
    let records = cursor.read(3);
    end();
    match records {
        Ok(records) => {
            if records.is_empty() {
                let what = "there are records, and it reads none";
                stage.board.fault(Fault::Lost, 0, what);
            }
            let mut last = None;
            for record in &records {
                all_sound(stage.board, &record);
                if record.sequence() < from || last >= Some(record.sequence()) {
                    let what = "the traced one reads backwards";
                    stage.board.fault(Fault::Reordered, 0, what);
                }
                last = Some(record.sequence());
            }
        }
        Err(error) => may_be(stage, 0, &error),
    }
}

/// A cursor that others have left behind: it is told so, and goes on.
fn lost(stage: &Stage<'_>) {
    let stream = opened(stage);
    let mut cursor = at(stage, &stream, Start::Oldest);
    drop(cursor.read(1));
    for seed in TRACED..TRACED + LAP {
        put(stage.board, &stream, (seed, 0), LARGE).expect("room");
    }
    begin();
    let told = cursor.read(3).map(|records| records.len());
    end();
    if !matches!(told, Err(Error::Lost { .. })) {
        let what = "nobody tells it that it is behind";
        stage.board.fault(Fault::Lost, 0, what);
    }
    reads_on(stage, &mut cursor);
}

/// Reads some more, whatever has happened meanwhile.
fn reads_on(stage: &Stage<'_>, cursor: &mut Place<'_>) {
    match cursor.read(10) {
        Ok(records) => records.iter().for_each(|record| {
            all_sound(stage.board, &record);
        }),
        Err(error) => may_be(stage, 0, &error),
    }
}
