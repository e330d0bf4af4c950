//! The features of WebAssembly that guests may use: those that every toolchain of ours needs, and
//! that give the same result everywhere. The validator and the engine are told the same.

use wasmparser::WasmFeatures;

/// WebAssembly 2.0 with SIMD, constant expressions of `extended-const`, and components without async.
pub(crate) const ALLOWED: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Switches off in the engine what the validator refuses, as far as the engine itself can do without.
pub(crate) fn apply(config: &mut wasmtime::Config) {
    config
        .wasm_simd(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_extended_const(true)
        .wasm_component_model(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        // wasmtime's own modules between a component's parts have several memories; a guest's are
        // refused by the validator.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false);
}
