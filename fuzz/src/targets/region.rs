//! A region that was damaged while nobody had it open: opening it tells what is wrong, or it is
//! used in every way there is.

use super::exercise::{Player, TENDS, told};
use crate::ground::input::Input;
use crate::ground::layout::{CONFIG, CONFIG_BYTES, FLAGS, word};
use crate::ground::mutation::Mutation;
use crate::ground::{Ground, START_MS, STRETCHED_MAX};
use ringmain::{ManualClock, Queue};

const MUTATIONS_MAX: usize = 12;
const STEPS_MAX: usize = 64;

thread_local! {
    static WIDE: Ground = Ground::new();
    static NARROW: Ground = Ground::narrow();
}

/// The input: `{ count, seal, again, narrow and tends; length; mutations; operations }`.
pub fn run(data: &[u8]) {
    let narrow = data.first().is_some_and(|first| first & 64 != 0);
    let ground = if narrow { &NARROW } else { &WIDE };
    ground.with(|ground| damaged(ground, Input::new(data)));
}

fn damaged(ground: &Ground, mut input: Input<'_>) {
    ground.reset();
    let first = input.byte();
    let (count, seals) = (first as usize % 16 % (MUTATIONS_MAX + 1), first & 16 != 0);
    let tends = if first >= 224 { TENDS } else { 1 };
    let length = input.byte();
    let layout = &ground.template.layout;
    let mutations: Vec<Mutation> = (0..count)
        .map(|_| Mutation::draw(&mut input, layout))
        .collect();
    mutations.iter().for_each(|mutation| mutation.apply(ground));
    if seals {
        ground.seal();
    }
    if length >= 248 {
        ground.set_len(input.pair() as usize % (STRETCHED_MAX + 1));
    } else if length >= 244 {
        ground.set_len(ground.template.bytes.len() - 4096 + 16 * input.byte() as usize);
    }
    let config = |at: usize| (CONFIG..CONFIG + CONFIG_BYTES + 8).contains(&at);
    let reshaped = seals && mutations.iter().any(|mutation| config(mutation.at));
    let forged = mutations
        .iter()
        .any(|mutation| mutation.may_forge(layout) || (reshaped && mutation.at >= layout.notes));
    let flags = word(&ground.template.bytes, FLAGS);
    let sound = !forged && ground.word(FLAGS) == flags;
    let mut reopens = first & 32 != 0;
    for round in 0.. {
        let clock = ManualClock::new(START_MS + 10 * round);
        let Some(region) = told(ground.open()) else {
            return;
        };
        let Some(queue) = told(Queue::open_with(&region, &clock)) else {
            return;
        };
        let mut player = Player::new(&queue, &clock, sound);
        for _ in 0..STEPS_MAX {
            if input.is_empty() {
                break;
            }
            player.step(&mut input);
        }
        player.everything();
        if !reopens {
            return player.ends(tends);
        }
        reopens = false;
    }
}
