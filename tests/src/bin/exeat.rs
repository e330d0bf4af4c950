//! The `exeat` binary, for the tests of this package.

use std::process::ExitCode;

fn main() -> ExitCode {
    exeat::main()
}
