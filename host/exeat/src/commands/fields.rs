//! `exeat fields`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_gate::catalog;

/// Lists the fields that can leave, and those that never do.
pub(crate) fn run(json: bool) -> Result<ExitCode> {
    if json {
        let fields: Vec<_> = catalog()
            .fields()
            .iter()
            .map(|field| serde_json::json!({"name": field.name, "class": field.class, "type": field.column_type}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&fields)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("policy {}\n", catalog().version());
    for field in catalog().fields() {
        let class = format!("{:?}", field.class).to_lowercase();
        println!("{:<22} {class:<9} {}", field.name, field.summary);
    }
    println!("\nnever exported:");
    for (name, why) in catalog().never_names() {
        println!("{name:<22} {why}");
    }
    Ok(ExitCode::SUCCESS)
}
