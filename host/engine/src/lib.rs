//! The export pipeline, its jobs and their worker.
//!
//! ```text
//! ExportRequest ──Engine::check──► ExportSpec ──► pipeline: read ► release ► transform ► encode ► write
//!   (anyone's)       (422 or)        (sound)                    └── each stage on its own, bounded channels
//! ```
//!
//! [`Engine`] is built once and passed down. A job runs the same way, whoever
//! runs it: the server's [`worker`], or the command line.

mod engine;
mod error;
mod finish;
mod json_object;
mod keep;
mod lease;
pub mod links;
mod pipeline;
mod plugin_work;
mod preview;
mod progress;
mod recover;
mod registry;
mod request;
mod requester;
mod run;
mod settings;
mod spec;
mod steps;
mod stream;
mod uploads;
pub mod webhooks;
pub mod worker;
mod worker_id;

pub use engine::{Engine, Queuing};
pub use error::{EngineError, ExportFailure, RequestError};
pub use json_object::JsonObject;
pub use keep::Swept;
pub use preview::{MAX_PREVIEW_ROWS, Preview, PreviewFile};
pub use progress::{ProgressReport, ProgressWatch};
pub use registry::{OwnPlugin, PluginMetrics, PluginSummary, Reason};
pub use request::{ExportRequest, OnReject, PluginRequest, RequestPriority};
pub use requester::{FieldRights, Requester};
pub use run::Completed;
pub use settings::{EngineSettings, JobSettings, SourceSettings};
pub use spec::ExportSpec;
pub use steps::{Step, StepObserver};
pub use stream::{StreamPiece, UserStream};
pub use uploads::{DryRun, DryRunOutcome, MAX_DRY_RUN_ROWS, Upload, UploadPlace, Uploaded};
