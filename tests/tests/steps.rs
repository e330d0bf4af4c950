//! A failure after each step of an export: the job runs again and ends right, or fails with its
//! reason. Never is a file visible that is not whole and recorded. On SQLite with a folder, and on
//! PostgreSQL with S3.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use exeat_directory::Tenant;
use exeat_directory::generate;
use exeat_directory::jobs::{Job, JobState};
use exeat_engine::worker::{self, Stop};
use exeat_engine::{
    Engine, EngineSettings, ExportFailure, ExportRequest, FieldRights, JobSettings, Requester, Step,
    StepObserver,
};
use exeat_test_servers::postgres::PostgresCluster;
use exeat_test_servers::s3::S3Server;
use exeat_vault::{RowCounts, StoreUrl};
use futures::TryStreamExt as _;
use serde_json::Value;
use tempfile::TempDir;

const DYING_WORKER: &str = env!("CARGO_BIN_EXE_dying-worker");
const USERS: u64 = 3_000;
const ACTOR: &str = "token:test";

/// How the first attempt fails after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// In a way that passes.
    Passing,
    /// In a way that stays.
    Staying,
}

#[derive(Debug)]
struct FailOnce {
    step: Step,
    fault: Fault,
}

impl StepObserver for FailOnce {
    fn after(&self, step: Step, _: &str, attempt: i64) -> Result<(), ExportFailure> {
        if step != self.step || attempt > 1 {
            return Ok(());
        }
        Err(match self.fault {
            Fault::Passing => ExportFailure::Stage,
            Fault::Staying => ExportFailure::Incomplete {
                counted: USERS,
                rows: RowCounts::default(),
            },
        })
    }
}

/// A database, a store, and a tenant with users.
struct Place {
    settings: EngineSettings,
    env: Vec<(String, String)>,
    folder: TempDir,
    _s3: Option<S3Server>,
}

impl Place {
    async fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EngineSettings::local(&folder.path().join("data"));
        Self::filled(settings, Vec::new(), folder, None).await
    }

    async fn remote() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database, s3) = (PostgresCluster::shared().create_database(), S3Server::start());
        let mut settings = EngineSettings::local(&folder.path().join("data"));
        settings.database = database.parse().unwrap();
        let store: StoreUrl = s3.url("exeat").parse().unwrap();
        settings.store = Some(store.with_options(s3.env()));
        let mut env = s3.env();
        env.push(("EXEAT_DATABASE".to_owned(), database));
        env.push(("EXEAT_STORE".to_owned(), s3.url("exeat")));
        Self::filled(settings, env, folder, Some(s3)).await
    }

    async fn filled(
        mut settings: EngineSettings,
        env: Vec<(String, String)>,
        folder: TempDir,
        s3: Option<S3Server>,
    ) -> Self {
        settings.jobs = JobSettings {
            lease: Duration::from_secs(2),
            ..JobSettings::default()
        };
        let place = Self {
            settings,
            env,
            folder,
            _s3: s3,
        };
        let engine = place.engine().await;
        let (tenant, _) = engine.directory().ensure_tenant("acme").await.unwrap();
        let filled = engine.directory().write_users(&tenant, |writer| {
            for user in generate::users(USERS, 7) {
                writer.write(&user)?;
            }
            Ok::<_, exeat_directory::DirectoryError>(())
        });
        filled.await.unwrap();
        place
    }

    async fn engine(&self) -> Engine {
        Engine::open(self.settings.clone()).await.unwrap()
    }

    /// Runs this binary's dying twin until it is dead.
    fn die_after(&self, mode: &str, step: Step, output: &[&str]) {
        let mut command = Command::new(DYING_WORKER);
        command
            .arg(mode)
            .arg(&self.settings.data)
            .arg(step.name())
            .args(output);
        let died = command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .status()
            .unwrap();
        assert_eq!(died.code(), None, "{step:?}: it was not killed");
    }
}

async fn tenant(engine: &Engine) -> Tenant {
    engine.directory().tenant("acme").await.unwrap()
}

async fn queue(engine: &Engine) -> Job {
    let request = ExportRequest::default();
    let requester = Requester {
        tenant: tenant(engine).await,
        actor: ACTOR.to_owned(),
        rights: FieldRights::Ordinary,
    };
    let queuing = engine.request(&requester, &request, None).await;
    queuing.unwrap().job
}

/// Works until the job has ended.
async fn work_off(engine: &Engine, job: &Job) -> Job {
    let stop = Stop::default();
    let working = tokio::spawn(worker::work(engine.clone(), 1, stop.clone()));
    let ended = async {
        loop {
            let now = engine
                .directory()
                .job(&job.tenant, &job.job_id)
                .await
                .unwrap()
                .unwrap();
            if !matches!(now.state, JobState::Queued | JobState::Running) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("the job ends");
    stop.soon.cancel();
    working.await.unwrap();
    ended
}

/// The bytes of the one file of a completed export.
async fn bytes_of(engine: &Engine, job: &Job) -> Vec<u8> {
    let vault = engine.vault();
    let manifest = vault
        .manifest("acme", &job.job_id, job.attempt)
        .await
        .unwrap()
        .expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["rows"]["written"], USERS);
    let file = vault
        .read("acme", &job.job_id, job.attempt, "users.ndjson", None)
        .await
        .unwrap()
        .expect("a file");
    let chunks: Vec<_> = file.stream.try_collect().await.unwrap();
    chunks.concat()
}

/// Whatever is in the vault of this job, once it was swept.
async fn left_after_sweep(engine: &Engine, job: &Job) -> Vec<i64> {
    engine.sweep().await.unwrap();
    let attempts: Vec<_> = engine.vault().attempts().try_collect().await.unwrap();
    let of_job = attempts.iter().filter(|attempt| attempt.job_id == job.job_id);
    of_job.map(|attempt| attempt.attempt).collect()
}

async fn recorded(engine: &Engine, job: &Job, action: &str) -> usize {
    let records = engine.directory().audit(&job.tenant, 1_000).await.unwrap();
    let of_job = records
        .iter()
        .filter(|record| record.job_id.as_ref() == Some(&job.job_id));
    of_job.filter(|record| record.action == action).count()
}

/// Everything that is promised of a job that completed.
async fn check_completed(engine: &Engine, job: &Job, attempt: i64, expected: &[u8], case: &str) {
    assert_eq!(job.state, JobState::Completed, "{case}: {:?}", job.error);
    assert_eq!(job.attempt, attempt, "{case}");
    assert!(bytes_of(engine, job).await == expected, "{case}: other bytes");
    assert_eq!(left_after_sweep(engine, job).await, [attempt], "{case}");
    assert_eq!(recorded(engine, job, "user.bulk_export").await, 1, "{case}");
    assert_eq!(
        recorded(engine, job, "user.bulk_export_failed").await,
        0,
        "{case}"
    );
}

async fn a_failure_after_any_step_ends_right_or_with_its_reason(place: Place) {
    let undisturbed = place.engine().await;
    let job = queue(&undisturbed).await;
    let job = work_off(&undisturbed, &job).await;
    let expected = bytes_of(&undisturbed, &job).await;
    for step in Step::ALL {
        for fault in [Fault::Passing, Fault::Staying] {
            let case = format!("{fault:?} after {}", step.name());
            let engine = place.engine().await.observed(Arc::new(FailOnce { step, fault }));
            let job = queue(&engine).await;
            let job = work_off(&engine, &job).await;
            if step == Step::Recorded {
                // Too late to fail.
                check_completed(&engine, &job, 1, &expected, &case).await;
            } else if fault == Fault::Passing {
                check_completed(&engine, &job, 2, &expected, &case).await;
            } else {
                assert_eq!(job.state, JobState::Failed, "{case}");
                assert_eq!(job.error_code.as_deref(), Some("incomplete"), "{case}");
                assert!(
                    job.error.as_ref().unwrap().contains("3000 are missing"),
                    "{:?}",
                    job.error
                );
                assert!(left_after_sweep(&engine, &job).await.is_empty(), "{case}");
                assert_eq!(recorded(&engine, &job, "user.bulk_export").await, 0, "{case}");
                assert_eq!(
                    recorded(&engine, &job, "user.bulk_export_failed").await,
                    1,
                    "{case}"
                );
            }
        }
    }
}

async fn a_worker_killed_after_any_step_loses_nothing(place: Place) {
    let engine = place.engine().await;
    let job = queue(&engine).await;
    let job = work_off(&engine, &job).await;
    let expected = bytes_of(&engine, &job).await;
    for step in Step::ALL {
        let case = format!("killed after {}", step.name());
        let job = queue(&engine).await;
        place.die_after("work", step, &[]);
        let dead = engine
            .directory()
            .job(&job.tenant, &job.job_id)
            .await
            .unwrap()
            .unwrap();
        let recorded_before = step == Step::Recorded;
        assert_eq!(dead.state == JobState::Completed, recorded_before, "{case}");
        let job = work_off(&engine, &job).await;
        let attempt = if recorded_before { 1 } else { 2 };
        check_completed(&engine, &job, attempt, &expected, &case).await;
    }
}

async fn a_command_killed_after_any_step_leaves_all_or_nothing(place: Place) {
    let engine = place.engine().await;
    for step in Step::ALL
        .into_iter()
        .skip_while(|step| *step != Step::SnapshotOpened)
    {
        let case = format!("killed after {}", step.name());
        let output = place.folder.path().join(format!("{}.ndjson", step.name()));
        place.die_after("export", step, &[output.to_str().unwrap()]);
        engine.recover().await.unwrap();
        let job = engine
            .directory()
            .jobs(&tenant(&engine).await, 1)
            .await
            .unwrap()
            .remove(0);
        let delivered = matches!(step, Step::ManifestWritten | Step::Recorded);
        assert_eq!(output.exists(), delivered, "{case}");
        assert_eq!(
            output.with_extension("ndjson.manifest.json").exists(),
            delivered,
            "{case}"
        );
        let (state, action) = match delivered {
            true => (JobState::Completed, "user.bulk_export"),
            false => (JobState::Failed, "user.bulk_export_failed"),
        };
        assert_eq!(job.state, state, "{case}");
        assert_eq!(recorded(&engine, &job, action).await, 1, "{case}");
        let staged = std::fs::read_dir(place.folder.path()).unwrap();
        let staged = staged.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(".exeat-")
        });
        assert_eq!(staged.count(), 0, "{case}: what it staged is swept");
    }
}

/// Each promise with a folder and SQLite, and with S3 and PostgreSQL.
macro_rules! everywhere {
    ($($promise:ident),+) => {
        mod sqlite_and_a_folder {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(super::Place::local().await).await;
            })+
        }
        mod postgres_and_s3 {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::$promise(super::Place::remote().await).await;
            })+
        }
    };
}
everywhere!(
    a_failure_after_any_step_ends_right_or_with_its_reason,
    a_worker_killed_after_any_step_loses_nothing,
    a_command_killed_after_any_step_leaves_all_or_nothing
);
