//! The fields of a region, one by one: where they are, which values mean something there, which
//! messages they belong to, and what an opener may say of them.

use crate::ground::layout::{
    BOOT, CONFIG, CONFIG_BYTES, COUNTERS, ENTRIES_HIGH, ENTRY_BYTES, EVENT, LATENCY, LATENCY_LEN,
    Layout, POLICY, RECEIVE, REGISTRY, RESERVED, ROOT_DUE, SECTION_DIRTY, SECTION_KIND, SELDOM,
    SEND, SLOT_HEAD_BYTES, TIME_BASE, TIME_CHECK, word,
};
use crate::ground::{DEAD, Ground, LIVE};
use ringmain::Error;

/// Some bits of a word of the file.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    at: usize,
    shift: u32,
    bits: u32,
    /// Values at its bounds, and others that mean something.
    edges: Vec<u64>,
    /// The slot that it belongs to.
    pub slot: Option<usize>,
    /// How many slots may be lost by its damage.
    pub may_miss: usize,
    /// What an opener may say: one of these stands in its words.
    refusals: &'static [&'static str],
    /// Whether each value but the present one is refused.
    pub must_refuse: bool,
}

impl Field {
    /// A field that damages nothing.
    pub fn nothing() -> Self {
        Self::whole("nothing", RESERVED)
    }

    /// A whole word.
    fn whole(name: impl Into<String>, at: usize) -> Self {
        Self {
            name: name.into(),
            at,
            shift: 0,
            bits: 64,
            edges: Vec::new(),
            slot: None,
            may_miss: 0,
            refusals: &[],
            must_refuse: false,
        }
    }

    fn bits(mut self, shift: u32, bits: u32) -> Self {
        (self.shift, self.bits) = (shift, bits);
        self
    }

    fn edges(mut self, edges: &[u64]) -> Self {
        self.edges.extend_from_slice(edges);
        self
    }

    fn of_slot(mut self, slot: usize, may_miss: usize) -> Self {
        (self.slot, self.may_miss) = (Some(slot), may_miss);
        self
    }

    fn refused(mut self, refusals: &'static [&'static str]) -> Self {
        (self.refusals, self.must_refuse) = (refusals, true);
        self
    }

    fn perhaps_refused(mut self, refusals: &'static [&'static str]) -> Self {
        self.refusals = refusals;
        self
    }

    fn greatest(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    fn present(&self, ground: &Ground) -> u64 {
        (word(&ground.template.bytes, self.at) >> self.shift) & self.greatest()
    }

    /// Every value to be tried: the least and the greatest, one beside the present one and beside
    /// each bound, each bit the other way round.
    pub fn values(&self, ground: &Ground) -> Vec<u64> {
        let (greatest, present) = (self.greatest(), self.present(ground));
        let mut values = vec![0, 1, greatest, greatest - 1];
        let near = |value: u64| [value.wrapping_sub(1), value, value.wrapping_add(1)];
        values.extend(near(present));
        values.extend(self.edges.iter().copied().flat_map(near));
        values.extend((0..self.bits).map(|bit| present ^ (1 << bit)));
        values.iter_mut().for_each(|value| *value &= greatest);
        values.sort_unstable();
        values.dedup();
        values.retain(|&value| value != present);
        values
    }

    /// Sets it, and nothing else of its word.
    pub fn set(&self, ground: &Ground, value: u64) {
        if self.name == "nothing" {
            return;
        }
        let mask = self.greatest() << self.shift;
        let rest = ground.word(self.at) & !mask;
        ground.set_word(self.at, rest | (value << self.shift));
    }

    /// Whether an opener may say this of it.
    pub fn may_refuse(&self, error: &Error) -> Result<(), String> {
        let said = error.to_string();
        if self.refusals.iter().any(|words| said.contains(words)) {
            return Ok(());
        }
        Err(format!("refused with: {said}"))
    }
}

const TIMES: [u64; 4] = [1 << 31, 1 << 40, (1 << 44) - 1, 1 << 44];

/// All of them. Of blocks, slots and words there is one in each state.
pub fn fields(ground: &Ground) -> Vec<Field> {
    let layout = &ground.template.layout;
    let mut fields = header();
    fields.extend(registry());
    fields.extend(configuration(layout));
    fields.extend(lines(layout));
    fields.extend(policy());
    fields.extend(maps(layout));
    for block in [0, 1, layout.blocks - 1] {
        let names = [
            "free", "ready", "due", "dirty", "unsynced", "copying", "padding",
        ];
        for (at, name) in names.iter().enumerate() {
            let at = layout.block(block, at);
            fields.push(Field::whole(format!("block {block}: {name}"), at).edges(&TIMES));
        }
    }
    for (state, slot) in slots(ground) {
        fields.extend(of_slot(ground, state, slot));
    }
    fields
}

fn header() -> Vec<Field> {
    let check: &[&str] = &["header checksum"];
    let whole = Field::whole;
    let mut fields = vec![
        whole("magic", 0).refused(&["not a ringmain region"]),
        whole("version", 8).bits(0, 32).refused(&["region format"]),
        whole("reserved number", 8).bits(32, 32).refused(check),
        whole("length", 16).edges(&[24_576, 1 << 46]).refused(check),
        whole("region's nonce", 24).refused(check),
        whole("creation time", 32).refused(check),
        whole("header check", 40).refused(check),
        whole("boot, low", BOOT),
        whole("boot, high", BOOT + 8),
        whole("time base", TIME_BASE).edges(&TIMES),
        whole("time check", TIME_CHECK),
        whole("entries high", ENTRIES_HIGH).edges(&[LIVE as u64, DEAD as u64, 1022]),
        // A FIFO queue has a window, which a standard one has not; a stream has shards.
        whole("section kind", SECTION_KIND).refused(&[
            "holds kind",
            "holds no queue",
            "deduplication window",
            "segment size",
        ]),
        whole("section dirty", SECTION_DIRTY),
    ];
    for number in 0..5 {
        let name = format!("reserved word {number}");
        fields.push(Field::whole(name, RESERVED + 8 * number).refused(&["reserved words"]));
    }
    fields
}

fn registry() -> Vec<Field> {
    let entry = |index: usize, who: &str| {
        let at = REGISTRY + ENTRY_BYTES * index;
        // Nobody can know what a participant had that nothing says was ever there: its claims stay.
        let lost = if index == DEAD { 64 } else { 0 };
        let mut state = Field::whole(format!("registry, {who}: state"), at);
        state.may_miss = lost;
        [state, Field::whole(format!("registry, {who}: pid"), at + 8)]
    };
    [
        (LIVE, "alive"),
        (DEAD, "dead"),
        (3, "next"),
        (700, "unused"),
        (1023, "last"),
    ]
    .into_iter()
    .flat_map(|(index, who)| entry(index, who))
    .collect()
}

fn configuration(layout: &Layout) -> Vec<Field> {
    let slots = layout.slots as u64;
    let whole = slots * layout.slot_bytes as u64 - SLOT_HEAD_BYTES as u64;
    let table: [(&str, &[&str], &[u64]); 8] = [
        (
            "slot bytes",
            &["slot bytes", "queue size", "longest body", "check"],
            &[16, 24, 128],
        ),
        (
            "slots",
            &["number of", "queue size", "longest body", "check"],
            &[1 << 31, slots - 64],
        ),
        ("blocks", &["number of blocks"], &[]),
        (
            "longest body",
            &["longest body", "check"],
            &[whole, 256 << 10],
        ),
        ("flags", &["flags", "check"], &[]),
        ("queue's nonce", &["check"], &[]),
        (
            "durability",
            &["durability", "check"],
            &[2, 3_600_000 << 2 | 2],
        ),
        ("configuration check", &["check"], &[]),
    ];
    let field = |(number, (name, refusals, edges)): (usize, (&str, &'static [&str], &[u64]))| {
        Field::whole(name, CONFIG + 8 * number)
            .edges(edges)
            .refused(refusals)
    };
    let mut fields: Vec<Field> = table.into_iter().enumerate().map(field).collect();
    let check = CONFIG + CONFIG_BYTES;
    assert_eq!(fields.last().map(|field| field.at), Some(check));
    // Behind the check, which covers it where it is not zero.
    fields.push(Field::whole("window", check + 8).refused(&["deduplication window"]));
    fields
}

fn lines(layout: &Layout) -> Vec<Field> {
    let (slots, blocks) = (layout.slots as u64, layout.blocks as u64);
    let whole = |name, at| Field::whole(name, at);
    vec![
        whole("send cursor", SEND).edges(&[slots, 64 * blocks]),
        whole("receive cursor", RECEIVE).edges(&[slots, 64 * blocks]),
        whole("tended", RECEIVE + 8).edges(&TIMES),
        whole("sequence", EVENT).bits(0, 32),
        whole("reserved half", EVENT)
            .bits(32, 32)
            .refused(&["reserved word"]),
        whole("sleepers", EVENT + 8),
        whole("extent", SELDOM).edges(&[blocks]),
        whole("latest time", SELDOM + 8)
            .edges(&TIMES)
            .perhaps_refused(&["latest time"]),
        whole("bound of all", ROOT_DUE).edges(&TIMES),
        whole("begun", SELDOM + 24),
        whole("durable", SELDOM + 32),
        whole("journal's end", SELDOM + 40),
        whole("swept", SELDOM + 48),
        whole("pending", SELDOM + 56).bits(0, 32),
        whole("reserved half of pending", SELDOM + 56)
            .bits(32, 32)
            .refused(&["reserved word"]),
        whole("recovered", SELDOM + 64).edges(&TIMES),
        whole("peeked", SELDOM + 72),
        whole("damaged", COUNTERS),
        whole("expired", COUNTERS + 8),
        whole("purged", COUNTERS + 16),
        whole("empty receives", COUNTERS + 24),
        whole("sent", COUNTERS + 32),
        whole("received", COUNTERS + 40),
        whole("in flight left", COUNTERS + 48),
        whole("sum of latencies", LATENCY),
        whole("latencies of a millisecond", LATENCY + 8),
        whole("the longest latencies", LATENCY + 8 * (LATENCY_LEN - 1)),
    ]
}

/// The settings that may be changed: refused by name at open, clamped in use.
fn policy() -> Vec<Field> {
    let table: [(&str, &'static [&str], &[u64]); 4] = [
        ("visibility", &["visibility timeout (ms)"], &[43_200_000]),
        ("retention", &["retention (ms)"], &[60_000, 1_209_600_000]),
        ("delay", &["delay (ms)"], &[900_000]),
        ("in flight", &["max_in_flight"], &[1, (1 << 31) - 1]),
    ];
    let fields = table.into_iter().enumerate();
    fields
        .flat_map(|(setting, (name, words, edges))| {
            let at = POLICY + 8 * setting;
            [
                Field::whole(format!("{name}: word"), at),
                Field::whole(format!("{name}: value"), at)
                    .bits(0, 44)
                    .edges(edges),
                Field::whole(format!("{name}: check"), at).bits(44, 20),
            ]
            .map(|field| field.refused(words))
        })
        .collect()
}

/// The maps of the blocks, and the bounds of their groups: none in a queue of few blocks.
fn maps(layout: &Layout) -> Vec<Field> {
    let mut fields = Vec::new();
    for group in 0..layout.groups {
        for (map, name) in ["free", "ready", "due"].iter().enumerate() {
            let field = Field::whole(format!("map of {name}, {group}"), layout.map(map, group));
            fields.push(field.edges(&TIMES));
        }
    }
    fields
}

/// A slot in each state that a word can be in.
fn slots(ground: &Ground) -> Vec<(&'static str, usize)> {
    let (bytes, layout) = (&ground.template.bytes, &ground.template.layout);
    let word_of = |slot: usize| word(bytes, layout.word(slot));
    let phase = |word: u64| word >> 62;
    let owner = |word: u64| (word >> 49) & 1023;
    let pins = |word: u64| (word >> 59) & 3;
    let low = |word: u64| word & ((1 << 31) - 1);
    let run = |slot: usize| {
        let message = ground.template.messages.iter().find(|m| m.slot == slot);
        message.map_or(1, |message| message.run)
    };
    let (live, dead) = (LIVE as u64, DEAD as u64);
    type Is<'a> = &'a dyn Fn(usize, u64) -> bool;
    let sent = |slot: usize| (word(bytes, layout.note(slot, 0)) >> 44) & ((1 << 18) - 1);
    let received = |slot: usize, word: u64| (word >> 31) & ((1 << 18) - 1) != sent(slot);
    let states: [(&'static str, Is<'_>); 17] = [
        ("used and free", &|_, w| phase(w) == 0 && w != 0),
        ("never used", &|_, w| w == 0),
        ("claimed by the living", &|_, w| {
            phase(w) == 1 && owner(w) == live && low(w) == 1
        }),
        ("run claimed by the living", &|_, w| {
            phase(w) == 1 && owner(w) == live && low(w) > 1
        }),
        ("claimed by the dead", &|_, w| {
            phase(w) == 1 && owner(w) == dead && low(w) == 1
        }),
        ("run claimed by the dead", &|_, w| {
            phase(w) == 1 && owner(w) == dead && low(w) > 1
        }),
        ("retired", &|_, w| {
            phase(w) == 1 && owner(w) == 0 && low(w) == 1
        }),
        ("run retired", &|_, w| {
            phase(w) == 1 && owner(w) == 0 && low(w) > 1
        }),
        ("first interior", &|_, w| {
            phase(w) == 1 && owner(w) == 1023 && low(w) == 1
        }),
        ("later interior", &|_, w| {
            phase(w) == 1 && owner(w) == 1023 && low(w) == 40
        }),
        ("ready", &|s, w| phase(w) == 2 && run(s) == 1),
        ("run ready", &|s, w| phase(w) == 2 && run(s) > 1),
        ("held by the living", &|_, w| {
            phase(w) == 3 && owner(w) == live && pins(w) == 0
        }),
        ("held by the dead", &|_, w| {
            phase(w) == 3 && owner(w) == dead && pins(w) == 0
        }),
        ("held by nobody", &|s, w| {
            phase(w) == 3 && owner(w) == 0 && received(s, w)
        }),
        ("delayed", &|s, w| {
            phase(w) == 3 && owner(w) == 0 && !received(s, w)
        }),
        ("held, and read by a former holder", &|_, w| {
            phase(w) == 3 && pins(w) != 0
        }),
    ];
    let found = |&(state, is): &(&'static str, Is<'_>)| {
        let slot = (0..layout.slots).find(|&slot| is(slot, word_of(slot)));
        (state, slot.unwrap_or_else(|| panic!("no slot is {state}")))
    };
    states.iter().map(found).collect()
}

/// The fields of a slot, wherever they lie.
fn of_slot(ground: &Ground, state: &str, slot: usize) -> Vec<Field> {
    let layout = &ground.template.layout;
    let (at, former, head) = (layout.word(slot), layout.note(slot, 1), layout.slot(slot));
    let run = run_around(ground, slot);
    let field = |name: &str, at: usize| {
        Field::whole(format!("slot {slot} ({state}): {name}"), at).of_slot(slot, run)
    };
    let owners = [LIVE as u64, DEAD as u64, 3, 1022, 1023];
    let single = (layout.slot_bytes - SLOT_HEAD_BYTES) as u64;
    let whole = (layout.slots * layout.slot_bytes - SLOT_HEAD_BYTES) as u64;
    let lens = [single, 4300, whole, whole + 20];
    let now = word(&ground.template.bytes, SELDOM + 8);
    let mut fields = vec![
        field("phase", at).bits(62, 2),
        field("borrowed", at).bits(61, 1),
        field("pins", at).bits(59, 2),
        field("owner", at).bits(49, 10).edges(&owners),
        field("generation", at).bits(31, 18),
        field("low bits", at)
            .bits(0, 31)
            .edges(&[2, 64, 65, layout.slots as u64]),
        field("stamp", layout.note(slot, 0)).edges(&TIMES),
        field("stamp: sent", layout.note(slot, 0))
            .bits(0, 44)
            .edges(&[now]),
        field("stamp: generation", layout.note(slot, 0)).bits(44, 18),
        field("length", head).bits(0, 32).edges(&lens),
        field("checksum", head).bits(32, 32),
        field("attributes: length", head + 8)
            .bits(0, 32)
            .edges(&lens),
        field("attributes: count", head + 8)
            .bits(32, 32)
            .edges(&[10]),
        field("body's first word", head + SLOT_HEAD_BYTES),
        field("body's last word", head + layout.slot_bytes - 8),
    ];
    for cell in 0..2 {
        let shift = 32 * cell;
        fields.push(field(&format!("cell {cell}: generation"), former).bits(shift, 18));
        let owner = field(&format!("cell {cell}: owner"), former).bits(shift + 18, 10);
        fields.push(owner.edges(&owners));
        fields.push(field(&format!("cell {cell}: peek"), former).bits(shift + 28, 1));
        fields.push(field(&format!("cell {cell}: reserved"), former).bits(shift + 29, 3));
    }
    // Nothing but what is told of a message depends on these: no message may be lost by them.
    for (number, name, edges) in [(2, "first receive", now), (3, "tally", 1 << 31)] {
        let name = format!("slot {slot} ({state}): {name}");
        let at = layout.note(slot, number);
        fields.push(
            Field::whole(name, at)
                .edges(&[edges, 1 << 63])
                .edges(&TIMES),
        );
    }
    // Another slot's word whole, as a stray write of a good word leaves it.
    let words = (0..layout.slots).map(|other| word(&ground.template.bytes, layout.word(other)));
    let mut others: Vec<u64> = words.collect();
    others.sort_unstable();
    others.dedup();
    let mut copied = field("whole word", at);
    copied.edges = others;
    fields.push(copied);
    fields
}

/// How many slots a run has that covers this slot.
fn run_around(ground: &Ground, slot: usize) -> usize {
    let (bytes, layout) = (&ground.template.bytes, &ground.template.layout);
    let interior = |slot: usize| {
        let word = word(bytes, layout.word(slot));
        slot < layout.slots && word >> 62 == 1 && (word >> 49) & 1023 == 1023
    };
    let mut first = slot;
    while interior(first) {
        first -= 1;
    }
    1 + (first + 1..layout.slots)
        .take_while(|&slot| interior(slot))
        .count()
}
