//! `dying-worker work|export DATA STEP [OUTPUT]`: runs an export, and is killed, as by `kill -9`, as
//! soon as it has taken the step of that name. `EXEAT_DATABASE` and `EXEAT_STORE` are as for `exeat`.

use std::process::ExitCode;
use std::sync::Arc;

use exeat_engine::worker::{self, Stop};
use exeat_engine::{
    Engine, EngineSettings, ExportFailure, ExportRequest, FieldRights, ProgressWatch, Requester, Step,
    StepObserver,
};
use exeat_vault::Target;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
struct DieAfter(String);

impl StepObserver for DieAfter {
    fn after(&self, step: Step, _: &str, _: i64) -> Result<(), ExportFailure> {
        if step.name() == self.0 {
            let killed = std::process::Command::new("kill")
                .args(["-9", &std::process::id().to_string()])
                .status();
            unreachable!("it is dead: {killed:?}");
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, data, step, output @ ..] = args.as_slice() else {
        eprintln!("dying-worker work|export DATA STEP [OUTPUT]");
        return ExitCode::from(2);
    };
    let mut settings = EngineSettings::local(data.as_ref());
    if let Ok(database) = std::env::var("EXEAT_DATABASE") {
        settings.database = database.parse().expect("a database");
    }
    if let Ok(store) = std::env::var("EXEAT_STORE") {
        settings.store = Some(store.parse().expect("a store"));
    }
    let engine = Engine::open(settings).await.expect("an engine");
    let engine = engine.observed(Arc::new(DieAfter(step.clone())));
    if mode == "work" {
        worker::work(engine, 1, Stop::default()).await;
        return ExitCode::SUCCESS;
    }
    let requester = Requester {
        tenant: engine.directory().tenant("acme").await.expect("a tenant"),
        actor: "command:test".to_owned(),
        rights: FieldRights::Sensitive,
    };
    let target = Target::File(output.first().expect("an output").into());
    let (progress, stop) = (ProgressWatch::default(), CancellationToken::new());
    let exported = engine
        .export_to_path(&requester, &ExportRequest::default(), &target, &progress, &stop)
        .await;
    exported.map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}
