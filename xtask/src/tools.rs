//! Programs that tests need: installed where that is possible, named where it is not.

use std::process::Command;

use crate::{Outcome, run};

/// A program, how one sees that it is there, and the Debian packages that bring it.
struct Tool {
    name: &'static str,
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

const COMPILERS: [Tool; 3] = [
    Tool {
        name: "clang-19",
        probe: &["clang-19", "--version"],
        packages: &["clang-19", "lld-19", "wasi-libc", "libclang-rt-19-dev-wasm32"],
    },
    NPM,
    PYTHON,
];

const NPM: Tool = Tool {
    name: "npm",
    probe: &["npm", "--version"],
    packages: &["nodejs", "npm"],
};

const PYTHON: Tool = Tool {
    name: "python3 with venv",
    probe: &["python3", "-c", "import venv, ensurepip"],
    packages: &["python3", "python3-venv"],
};

/// Debian keeps the programs of a server out of the path.
const POSTGRESQL: Tool = Tool {
    name: "PostgreSQL",
    probe: &[
        "sh",
        "-c",
        "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb",
    ],
    packages: &["postgresql"],
};

/// What counts instructions.
const VALGRIND: Tool = Tool {
    name: "valgrind",
    probe: &["valgrind", "--version"],
    packages: &["valgrind"],
};

/// What exports are compared with, and what builds the peers of the transform benches.
const PEERS: [Tool; 4] = [
    Tool {
        name: "sqlite3",
        probe: &["sqlite3", "--version"],
        packages: &["sqlite3"],
    },
    Tool {
        name: "jq",
        probe: &["jq", "--version"],
        packages: &["jq"],
    },
    Tool {
        name: "a C compiler",
        probe: &["cc", "--version"],
        packages: &["gcc", "libc6-dev"],
    },
    Tool {
        name: "python3 with pip",
        probe: &["python3", "-m", "pip", "--version"],
        packages: &["python3", "python3-pip"],
    },
];

/// What clients in other languages run on, and what makes the certificate of the server before them.
const CLIENTS: [Tool; 3] = [
    NPM,
    PYTHON,
    Tool {
        name: "openssl",
        probe: &["openssl", "version"],
        packages: &["openssl"],
    },
];

/// What builds plugins in other languages than Rust.
pub(crate) fn compilers() -> Outcome {
    COMPILERS.iter().try_for_each(Tool::install)
}

/// What clients of other people need.
pub(crate) fn clients() -> Outcome {
    CLIENTS.iter().try_for_each(Tool::install)
}

/// The server that tests start clusters of.
pub(crate) fn postgresql() -> Outcome {
    POSTGRESQL.install()
}

/// What counts instructions.
pub(crate) fn valgrind() -> Outcome {
    VALGRIND.install()
}

/// What benches are compared with.
pub(crate) fn peers() -> Outcome {
    PEERS.iter().try_for_each(Tool::install)
}

impl Tool {
    fn is_there(&self) -> bool {
        let [program, args @ ..] = self.probe else {
            return false;
        };
        Command::new(program)
            .args(args)
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn install(&self) -> Outcome {
        if self.is_there() {
            return Ok(());
        }
        let (name, wanted) = (self.name, self.packages.join(" "));
        eprintln!("{name} is missing: apt-get install {wanted}");
        let installed = run(Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(self.packages));
        installed.map_err(|error| {
            format!("{name} is missing, and could not be installed ({error}): install {wanted}")
        })
    }
}
