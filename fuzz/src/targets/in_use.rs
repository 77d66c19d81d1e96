//! A region that somebody writes into while two others use it.

use super::exercise::{Hands, Player, TENDS};
use crate::ground::input::Input;
use crate::ground::mutation::Mutation;
use crate::ground::{Ground, START_MS};
use ringmain::{ManualClock, Mapped, Queue};

const STEPS_MAX: usize = 200;

thread_local! {
    static WIDE: Ground = Ground::new();
    static NARROW: Ground = Ground::narrow();
}

/// The input: how often to tend at the end and whether the region has few blocks, then steps, each
/// an operation of one of the two, or a write.
pub fn run(data: &[u8]) {
    let narrow = data.first().is_some_and(|first| first & 1 != 0);
    let ground = if narrow { &NARROW } else { &WIDE };
    ground.with(|ground| used(ground, Input::new(data)));
}

fn used(ground: &Ground, mut input: Input<'_>) {
    let tends = if input.byte() >= 224 { TENDS } else { 1 };
    ground.reset();
    let clock = ManualClock::new(START_MS);
    let regions: [Mapped; 2] = [(), ()].map(|()| ground.open().expect("a sound region"));
    let open = |region| Queue::open_with(region, &clock).expect("a sound queue");
    let queues: [Hands<'_>; 2] = regions.each_ref().map(open);
    let mut forged = false;
    let [mut first, mut second] = queues
        .each_ref()
        .map(|queue| Player::new(queue, &clock, true));
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        match input.byte() % 8 {
            0..=2 => first.step(&mut input),
            3..=5 => second.step(&mut input),
            _ => {
                let mutation = Mutation::draw(&mut input, &ground.template.layout);
                forged |= mutation.may_forge(&ground.template.layout);
                if forged {
                    first.trusts_nothing();
                    second.trusts_nothing();
                }
                mutation.apply(ground);
            }
        }
    }
    first.everything();
    second.everything();
    first.ends(tends);
    second.ends(1);
}
