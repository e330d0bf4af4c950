//! The export pipeline, its jobs and their worker.
