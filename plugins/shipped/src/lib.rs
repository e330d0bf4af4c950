//! The plugins that ship with Exeat, as components.
