//! Starts the program: hands arguments, environment and terminal to the command line, and its answer to the shell.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One crypto provider for the whole program; a second installation can only be this one again.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::main(std::env::args_os())
}
