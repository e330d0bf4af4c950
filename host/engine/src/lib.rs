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
mod lock;
mod pipeline;
mod plugin_work;
mod progress;
mod recover;
mod registry;
mod request;
mod run;
mod spec;
mod stream;
mod uploads;
pub mod worker;

pub use engine::Engine;
pub use error::{EngineError, ExportFailure, RequestError};
pub use progress::{ProgressReport, ProgressWatch};
pub use registry::{OwnPlugin, PluginMetrics, PluginSummary, Reason};
pub use request::{ExportRequest, OnReject, PluginRequest};
pub use run::{Completed, Destination};
pub use spec::ExportSpec;
pub use stream::UserStream;
pub use uploads::{DryRun, DryRunOutcome, MAX_DRY_RUN_ROWS, Upload, UploadPlace, Uploaded};
