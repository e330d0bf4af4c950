//! What end-to-end tests share: a data folder, the binary, a server, a sandbox with hostile guests,
//! and the secrets to look for.

pub mod fleet;
pub mod hostile;
mod house;
pub mod mutate;
mod receiver;
mod secrets;
mod server;
pub mod stage;

pub use house::{House, Ran};
pub use receiver::{Received, Receiver};
pub use secrets::{Needles, persons, secrets};
pub use server::{Answer, Server};

/// A component that misbehaves as its configuration says: see `tests/guests/misbehaving`.
pub const MISBEHAVING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/misbehaving.wasm"));

/// A component that tries what it finds of WASI: see `tests/guests/wasi`.
pub const WASI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wasi_guest.wasm"));
