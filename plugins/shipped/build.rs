//! Builds the shipped plugins.

fn main() {
    exeat_guest_build::build(
        &["field-map", "pseudonymize", "auth0"],
        &["plugins/transforms", "plugins/adapters"],
    );
}
