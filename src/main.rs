//! Hands over to `mdctl::cli` and ends with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mdctl::cli::main().code())
}
