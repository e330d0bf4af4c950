//! The `exeat` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    exeat::main()
}
