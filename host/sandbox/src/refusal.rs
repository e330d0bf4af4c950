//! Why a component is not admitted: one clear sentence with a code.

use thiserror::Error;

/// A component is not admitted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of reason it is.
    pub code: RefusalCode,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// Kinds of reasons, in the order in which a component is looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RefusalCode {
            $($(#[$doc])* $name,)+
        }

        impl RefusalCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As answers and records have it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}
codes! {
    /// The file is larger than any plugin may be.
    TooLarge = "too-large";
    /// The file is no WebAssembly.
    NotWasm = "not-wasm";
    /// The file is a core module.
    CoreModule = "core-module";
    /// The file is damaged, or was never valid.
    InvalidWasm = "invalid-wasm";
    /// It uses a feature of WebAssembly that guests may not use.
    FeatureNotAllowed = "feature-not-allowed";
    /// It asks for something that guests do not get.
    ImportNotAllowed = "import-not-allowed";
    /// It exports no world of ours.
    NoWorld = "no-world";
    /// It was built for another version of the contract.
    WrongVersion = "wrong-version";
    /// It needs more memory at the start than it may ever have.
    TooMuchMemory = "too-much-memory";
    /// It needs a longer table than it may have.
    TooLargeTable = "too-large-table";
    /// It has too many functions, instances, memories or tables.
    TooComplex = "too-complex";
    /// The compiler refuses it.
    CompileFailed = "compile-failed";
    /// Compiling it takes too long.
    CompileTime = "compile-time";
    /// Compiling it takes too much memory, or breaks the compiler down.
    CompileBrokeDown = "compile-broke-down";
    /// Its functions are not those of the world.
    WrongWorld = "wrong-world";
    /// It fails to say what it is.
    DescribeFailed = "describe-failed";
    /// What it says of itself cannot be.
    InvalidDescription = "invalid-description";
    /// The schema of its configuration is no JSON Schema.
    InvalidConfigSchema = "invalid-config-schema";
    /// It gives different answers to the same question.
    NotReproducible = "not-reproducible";
    /// It has another name or version than it was uploaded under.
    NameMismatch = "name-mismatch";
    /// It fails on a few plain rows.
    SmokeRunFailed = "smoke-run-failed";
}
