//! The exports of both hostile guests: the one place that needs unsafe code.

/// Exports a type that implements the world's trait.
macro_rules! export_component {
    ($component:ident) => {
        #[cfg(target_arch = "wasm32")]
        #[expect(unsafe_code, reason = "the ABI of a component's exports")]
        const _: () = {
    crate::bindings::export!($component with_types_in crate::bindings);
        };
    };
}

pub(crate) use export_component;
