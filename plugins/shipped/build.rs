//! Builds the shipped plugins.

fn main() {
    exeat_guest_build::build(
        // The no-op is not shipped: `exeat plugin bench` compares others with it.
        &["field-map", "no-op", "pseudonymize", "auth0"],
        &["plugins/transforms", "plugins/adapters"],
    );
}
