//! The `ringmain` program: queues in mapped files, from the command line and in pipes.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    ringmain::face::cli::main()
}
