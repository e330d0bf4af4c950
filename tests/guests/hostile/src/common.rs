//! What both hostile guests share.

/// The configuration schema: which misdeed, of these.
pub(crate) fn config_schema(misdeeds: &[&str]) -> String {
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "misdeed": {"description": "What to do wrong.", "enum": misdeeds, "default": "none"},
        },
        "additionalProperties": false,
    })
    .to_string()
}

/// The misdeed that a configuration names; none if it names none.
pub(crate) fn misdeed(config: &str) -> Option<String> {
    let config: serde_json::Value = serde_json::from_str(config).ok()?;
    match config.get("misdeed") {
        None => Some("none".to_owned()),
        Some(misdeed) => misdeed.as_str().map(str::to_owned),
    }
}

/// Calculates for ever.
pub(crate) fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// What the host's guard takes for a credential.
pub(crate) const CREDENTIAL: &str = "otpauth://totp/Acme?secret=JBSWY3DPEHPK3PXP";
