//! Lines for the person who looks after the plugin. The host limits and keeps them.

use crate::bindings::log as host;
pub use crate::bindings::types::Level;

/// Writes a line. Never log a user's values.
pub fn log(level: Level, message: &str) {
    if cfg!(target_arch = "wasm32") {
        host::write(level, message);
    } else {
        eprintln!("{level:?}: {message}");
    }
}

/// Whether anybody will see lines of this level.
pub fn log_enabled(level: Level) -> bool {
    if cfg!(target_arch = "wasm32") {
        host::enabled(level)
    } else {
        true
    }
}

/// Sends the message of a panic to the host before the instance traps.
pub(crate) fn report_panics() {
    if cfg!(target_arch = "wasm32") {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
    }
}
