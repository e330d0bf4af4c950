//! The plugins that ship with Exeat, as components.
//!
//! They are embedded as bytes and run in the sandbox like any tenant's.

/// A plugin that ships with Exeat.
#[derive(Clone, Copy)]
pub struct ShippedPlugin {
    /// Name, without a namespace.
    pub name: &'static str,
    /// The component.
    pub component: &'static [u8],
}

impl std::fmt::Debug for ShippedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShippedPlugin({}, {} bytes)", self.name, self.component.len())
    }
}

/// All of them.
pub const PLUGINS: [ShippedPlugin; 3] = [
    ShippedPlugin {
        name: "field-map",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/field_map.wasm")),
    },
    ShippedPlugin {
        name: "pseudonymize",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/pseudonymize.wasm")),
    },
    ShippedPlugin {
        name: "auth0",
        component: include_bytes!(concat!(env!("OUT_DIR"), "/auth0.wasm")),
    },
];

/// The shipped plugin of this name.
pub fn find(name: &str) -> Option<&'static ShippedPlugin> {
    PLUGINS.iter().find(|plugin| plugin.name == name)
}
