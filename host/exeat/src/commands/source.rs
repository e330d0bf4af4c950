//! `exeat source show | check`.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use exeat_directory::Directory;
use exeat_directory::postgres::SourceDefinition;

use crate::cli::{Place, SourceCommand};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: SourceCommand) -> Result<ExitCode> {
    match command {
        SourceCommand::Show { name } => {
            let text = SourceDefinition::preset_text(&name)
                .ok_or_else(|| anyhow!("there is no definition {name}; there are keycloak and supabase"))?;
            print!("{text}");
        }
        SourceCommand::Check => {
            let Some(source) = place.source()? else {
                bail!("--source names the definition");
            };
            let fields: Vec<&str> = source
                .definition
                .defined_fields()
                .map(|field| field.name.as_str())
                .collect();
            let directory = Directory::open(&place.database()?).await?;
            let name = source.definition.name().to_owned();
            let fields = fields.join(", ");
            directory.reading_from(&source.url, source.definition).await?;
            eprintln!("{name} fits its database; these fields can be exported: {fields}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
