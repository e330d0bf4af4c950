//! `exeat export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ArgMatches;
use exeat_directory::Directory;
use exeat_directory::filter::Filter;
use exeat_encode::{Compression, Format};
use exeat_engine::{
    Completed, Engine, EngineError, ExportRequest, FieldRights, OnReject, PluginRequest, ProgressWatch,
    Requester,
};
use exeat_vault::Target;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::house::server;
use super::{actor, interrupted, read_json, remote_export};
use crate::cli::{ExportArgs, OnRejectArg, Place};

const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Places of `--transform`, `--adapter` and `--config` on the command line, by which each
/// configuration finds its plugin.
#[derive(Debug, Default)]
pub(crate) struct PluginOrder {
    transforms: Vec<usize>,
    adapter: Option<usize>,
    configs: Vec<usize>,
}

impl PluginOrder {
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let places = |name: &str| {
            matches
                .indices_of(name)
                .map(Iterator::collect)
                .unwrap_or_default()
        };
        Self {
            transforms: places("transform"),
            adapter: places("adapter").first().copied(),
            configs: places("config"),
        }
    }

    /// The configuration file between this place and the next plugin's.
    fn config_after(&self, place: usize, files: &[PathBuf]) -> Result<Option<PathBuf>> {
        let plugins = self.transforms.iter().copied().chain(self.adapter);
        let next = plugins.filter(|other| *other > place).min().unwrap_or(usize::MAX);
        let mut mine = self
            .configs
            .iter()
            .zip(files)
            .filter(|(at, _)| (place..next).contains(at));
        let first = mine.next().map(|(_, file)| file.clone());
        if mine.next().is_some() {
            bail!("a plugin has one --config, and it stands after the plugin's name");
        }
        Ok(first)
    }

    fn check(&self) -> Result<()> {
        let first = self
            .transforms
            .iter()
            .copied()
            .chain(self.adapter)
            .min()
            .unwrap_or(usize::MAX);
        if self.configs.iter().any(|config| *config < first) {
            bail!("--config stands after the --transform or --adapter that it configures");
        }
        Ok(())
    }
}

/// Exports to a path, with progress on the terminal.
pub(crate) async fn run(place: &Place, args: ExportArgs, order: PluginOrder) -> Result<ExitCode> {
    let request = request(&args, &order)?;
    let target = if request.adapter.is_some() {
        Target::Folder(args.output.clone())
    } else {
        Target::File(args.output.clone())
    };
    let (progress, cancel) = (ProgressWatch::default(), CancellationToken::new());
    let bar = if args.quiet {
        ProgressBar::hidden()
    } else {
        progress_bar()
    };
    let on_interrupt = cancel.clone();
    tokio::spawn(async move {
        interrupted().await;
        on_interrupt.cancel();
    });
    if let Some(client) = server(&args.house)? {
        remote_export::run(&client, &request, &target, &bar, &cancel).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if !Directory::exists(&place.database()?) {
        bail!(
            "there are no users in {}: --data names the folder, exeat users import fills it",
            place.data.display()
        );
    }
    let engine = Engine::open(place.settings()?).await?;
    engine.recover().await?;
    // Whoever runs the command has the database, and so all that is in it.
    let tenant = args.house.tenant.as_deref().unwrap_or_default();
    let requester = Requester {
        tenant: engine.directory().tenant(tenant).await?,
        actor: actor(),
        rights: FieldRights::Sensitive,
    };
    let drawing = tokio::spawn(draw(progress.clone(), bar.clone()));
    let exported = engine
        .export_to_path(&requester, &request, &target, &progress, &cancel)
        .await;
    drawing.abort();
    bar.finish_and_clear();
    let completed = exported.inspect_err(|error| point_at_filter(error, &args.filter))?;
    if !args.quiet {
        tell(&completed, &target);
    }
    engine.directory().close().await;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &ExportArgs, order: &PluginOrder) -> Result<ExportRequest> {
    order.check()?;
    let (named_format, named_compression) = told_by_name(&args.output);
    let plugin = |name: &String, place: usize| -> Result<PluginRequest> {
        let config = match order.config_after(place, &args.config)? {
            None => Value::Object(serde_json::Map::new()),
            Some(file) => read_json(&file)?,
        };
        Ok(PluginRequest {
            plugin: name.clone(),
            digest: None,
            config,
        })
    };
    let transforms = args
        .transform
        .iter()
        .zip(&order.transforms)
        .map(|(name, place)| plugin(name, *place));
    let adapter = args
        .adapter
        .as_ref()
        .zip(order.adapter)
        .map(|(name, place)| plugin(name, place))
        .transpose()?;
    let format = match adapter {
        Some(_) => args.format,
        None => Some(args.format.or(named_format).unwrap_or(Format::Ndjson)),
    };
    let mut request = ExportRequest {
        format,
        fields: args.fields.clone(),
        anonymize: args.anonymize,
        transforms: transforms.collect::<Result<_>>()?,
        adapter,
        compression: args.compress.or(named_compression).unwrap_or(Compression::None),
        csv_formulas: args.csv_formulas,
        on_reject: match args.on_reject {
            OnRejectArg::Fail => OnReject::Fail,
            OnRejectArg::Skip => OnReject::Skip,
        },
        max_rejects: args.max_rejects,
        ..ExportRequest::default()
    };
    for condition in &args.filter {
        if let Err(key) = request.add_condition(condition) {
            bail!("the filter \"{key}\" is given twice; join expressions with \"and\"");
        }
    }
    Ok(request)
}

/// Shows the condition that is wrong, and the place in it.
fn point_at_filter(error: &EngineError, conditions: &[String]) {
    let EngineError::Request(error) = error else {
        return;
    };
    let key = match error.pointer.strip_prefix("/filter") {
        Some("") => Filter::EXPRESSION,
        Some(key) => key.trim_start_matches('/'),
        None => return,
    };
    let wrong = conditions
        .iter()
        .find(|condition| Filter::split(condition).0 == key);
    if let Some(condition) = wrong {
        let value_at = match key {
            Filter::EXPRESSION => 0,
            key => key.chars().count() + 1,
        };
        let offset = error.offset.map_or(0, |offset| value_at + offset);
        eprintln!("  --filter {condition}\n           {}^", " ".repeat(offset));
    }
}

/// What the name of the output says about its form: `users.csv.gz`.
fn told_by_name(output: &Path) -> (Option<Format>, Option<Compression>) {
    let extension = |path: &Path| {
        path.extension()
            .map(|extension| extension.to_string_lossy().to_lowercase())
    };
    let compression = match extension(output).as_deref() {
        Some("gz") => Some(Compression::Gzip),
        Some("zst") => Some(Compression::Zstd),
        _ => None,
    };
    let inner = if compression.is_some() {
        output.with_extension("")
    } else {
        output.to_owned()
    };
    let format = match extension(&inner).as_deref() {
        Some("csv") => Some(Format::Csv),
        Some("ndjson" | "jsonl") => Some(Format::Ndjson),
        _ => None,
    };
    (format, compression)
}

fn progress_bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3} %  {human_pos} of {human_len} rows  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

async fn draw(progress: ProgressWatch, bar: ProgressBar) {
    loop {
        let report = progress.report();
        bar.set_length(report.rows_total);
        bar.set_position(report.rows_done);
        let left = report
            .time_left
            .map(|left| format!("{} s left", left.as_secs()))
            .unwrap_or_default();
        bar.set_message(format!("{}  {left}", HumanBytes(report.bytes)));
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

fn tell(completed: &Completed, target: &Target) {
    let rows = completed.manifest.rows;
    let bytes: u64 = completed.manifest.files.iter().map(|file| file.bytes).sum();
    let files = match completed.manifest.files.len() {
        1 => String::new(),
        count => format!(" in {count} files"),
    };
    eprintln!(
        "{} rows, {}{files} -> {}",
        HumanCount(rows.written),
        HumanBytes(bytes),
        target.path().display()
    );
    if rows.dropped + rows.rejected > 0 {
        eprintln!(
            "{} of {} rows dropped, {} rejected",
            HumanCount(rows.dropped),
            HumanCount(rows.read),
            HumanCount(rows.rejected)
        );
    }
    for loss in &completed.manifest.losses {
        eprintln!("{} rows lost their {}: {}", loss.rows, loss.field, loss.reason);
    }
    eprintln!(
        "manifest: {}  job: {}",
        target.manifest().display(),
        completed.job_id
    );
}
