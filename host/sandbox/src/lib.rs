//! Runs plugins: sessions in a WebAssembly sandbox with finite limits.
