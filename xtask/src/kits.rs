//! Every kit as its author uses it: a project from `exeat plugin new`, built, tested, checked,
//! pushed, and an export that goes through it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, cargo, run, tools};

/// Languages that `exeat plugin new` knows.
const LANGS: [&str; 5] = ["c", "js", "ts", "python", "rust"];
const KINDS: [&str; 2] = ["transform", "adapter"];

/// Builds and tries all of them, in `target/kits`.
pub(crate) fn kits() -> Outcome {
    tools::compilers()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    unit_tests(&root)?;
    cargo(&["build", "--workspace", "--bins", "--locked"])?;
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let bench = root.join("target/kits");
    let failed = |error: std::io::Error| format!("{}: {error}", bench.display());
    if bench.exists() {
        std::fs::remove_dir_all(&bench).map_err(failed)?;
    }
    std::fs::create_dir_all(&bench).map_err(failed)?;
    let house = House {
        exeat: root.join("target/debug/exeat"),
        bench,
    };
    let users = [
        "users", "generate", "--tenant", "acme", "--count", "500", "--seed", "7",
    ];
    house.exeat(&users, None)?;
    for lang in LANGS {
        for kind in KINDS {
            house
                .try_kit(lang, kind)
                .map_err(|error| format!("{lang} {kind}: {error}"))?;
        }
    }
    Ok(())
}

/// The binary, and a folder to work in.
struct House {
    exeat: PathBuf,
    bench: PathBuf,
}

impl House {
    fn exeat(&self, args: &[&str], project: Option<&str>) -> Outcome {
        let folder = project.map_or_else(|| self.bench.clone(), |project| self.bench.join(project));
        let mut command = Command::new(&self.exeat);
        command.args(args).current_dir(folder);
        // Compiled code is kept with the rest, and nothing is left in the home of whoever runs this.
        command
            .env("EXEAT_DATA", self.bench.join("data"))
            .env("XDG_CACHE_HOME", self.bench.join("cache"));
        run(&mut command)
    }

    fn try_kit(&self, lang: &str, kind: &str) -> Outcome {
        let name = format!("kit-{lang}-{kind}");
        self.exeat(&["plugin", "new", &name, "--kind", kind, "--lang", lang], None)?;
        for step in [&["plugin", "build"], &["plugin", "test"], &["plugin", "check"]] {
            self.exeat(step, Some(&name))?;
        }
        self.exeat(&["plugin", "push", "--tenant", "acme"], Some(&name))?;
        let out = format!("{name}.out");
        if kind == "adapter" {
            let skip = ["--on-reject", "skip", "-o", &out];
            return self.exeat(
                &[&["export", "--tenant", "acme", "--adapter", &name], &skip[..]].concat(),
                None,
            );
        }
        let config = self.bench.join("config.json");
        std::fs::write(&config, r#"{"column": "state"}"#).map_err(|error| error.to_string())?;
        let used = [
            "export",
            "--tenant",
            "acme",
            "--transform",
            &name,
            "--config",
            "config.json",
            "-o",
            &out,
        ];
        self.exeat(&used, None)?;
        let text = std::fs::read_to_string(self.bench.join(&out)).map_err(|error| error.to_string())?;
        let shouted = |line: &str| {
            let state = line
                .split(r#""state":""#)
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            state.is_some_and(|state| !state.is_empty() && !state.contains(|c: char| c.is_ascii_lowercase()))
        };
        if text.is_empty() || !text.lines().all(shouted) {
            return Err("the export was not shouted".to_owned());
        }
        Ok(())
    }
}

/// The helpers' own tests, each in its language.
fn unit_tests(root: &Path) -> Outcome {
    run(Command::new("node")
        .args(["--test", "guest-sdk/js/test.mjs"])
        .current_dir(root))?;
    run(Command::new("python3")
        .args(["-B", "-m", "unittest", "-q", "test_exeat"])
        .current_dir(root.join("guest-sdk/python")))?;
    let built = root.join("target/test_exeat");
    let build = "exec clang-19 -std=c11 -Wall -Wextra -g -I.. -o \"$0\" test_exeat.c ../exeat*.c";
    run(Command::new("sh")
        .args(["-c", build])
        .arg(absolute(&built))
        .current_dir(root.join("guest-sdk/c/tests")))?;
    run(&mut Command::new(absolute(&built)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
