//! Death and standstill at each instruction.
//!
//! A tracer single-steps a forked child through one public operation on a mapped region and kills
//! it (SIGKILL) after the k-th instruction, for each k; then the survivors go on at once, and what
//! they find is held against a ledger. The stop matrix does the same with SIGSTOP, and lets the
//! stopped one go on later. `docs/recovery.md` has the tables and says what they mean;
//! `--help` says how to run it. Its own `main`, since a process that forks as it likes has one
//! thread.

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(ringmain_loom)))]
#[path = "death/matrices.rs"]
mod death;

#[cfg(all(target_os = "linux", target_arch = "x86_64", not(ringmain_loom)))]
fn main() -> std::process::ExitCode {
    death::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", not(ringmain_loom))))]
fn main() {
    println!("left out: the tracer steps through x86-64 instructions by Linux's ptrace");
}
