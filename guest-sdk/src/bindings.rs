//! What wit-bindgen makes of the contract in `wit/v0_1`. Authors never see it.

/// The world of transforms, and the types that both worlds share.
pub mod transform {
    wit_bindgen::generate!({
        path: "../wit/v0_1",
        world: "transform-plugin",
        pub_export_macro: true,
        runtime_path: "exeat_sdk::wit_bindgen::rt",
        default_bindings_module: "exeat_sdk::bindings::transform",
        generate_all,
    });
}

/// The world of adapters.
pub mod adapter {
    wit_bindgen::generate!({
        path: "../wit/v0_1",
        world: "adapter-plugin",
        pub_export_macro: true,
        runtime_path: "exeat_sdk::wit_bindgen::rt",
        default_bindings_module: "exeat_sdk::bindings::adapter",
        with: {
            "exeat:plugin/types@0.1.0": crate::bindings::transform::exeat::plugin::types,
            "exeat:plugin/log@0.1.0": crate::bindings::transform::exeat::plugin::log,
        },
    });
}

pub use transform::exeat::plugin::{log, types};
