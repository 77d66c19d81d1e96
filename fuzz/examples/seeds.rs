//! Writes first inputs for each target: `cargo run --example seeds -- corpus`. From these the
//! fuzzer goes on; what it keeps is made small by `run.sh --minimise`.

use ringmain_fuzz::targets::TARGETS;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEEDS: u64 = 40;

fn main() -> std::io::Result<()> {
    let dir = std::env::args().nth(1).unwrap_or("corpus".into());
    for (name, run) in TARGETS {
        let dir = Path::new(&dir).join(name);
        std::fs::create_dir_all(&dir)?;
        for seed in 0..SEEDS {
            let bytes = seed_of(name, seed);
            run(&bytes);
            std::fs::write(dir.join(format!("seed-{seed:02}")), &bytes)?;
        }
        println!("{name}: {SEEDS} inputs");
    }
    Ok(())
}

/// Bytes that look random, of a length that gives a history of some length.
fn seed_of(name: &str, seed: u64) -> Vec<u8> {
    let number = |at: u64| xxh3_64_with_seed(&at.to_le_bytes(), seed);
    if name == "receipt" && seed.is_multiple_of(2) {
        let digits = [
            number(0) >> 32,
            number(1) & !(3 << 62),
            number(2) & !(3 << 62),
        ];
        let text: String = digits.iter().map(|word| format!("{word:016x}")).collect();
        return [&[3 * seed as u8], text.as_bytes()].concat();
    }
    let len = match name {
        "receipt" => 25,
        "region" | "journal" => 16 + 6 * seed,
        _ => 20 + 12 * seed,
    };
    (0..len.div_ceil(8))
        .flat_map(|at| number(at).to_le_bytes())
        .collect()
}
