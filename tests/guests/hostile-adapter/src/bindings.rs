//! What wit-bindgen makes of the contract: raw, because the SDK would not let these misdeeds pass.

wit_bindgen::generate!({
    path: "../../../wit/v0_1",
    world: "adapter-plugin",
});
