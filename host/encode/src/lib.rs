//! Makes bytes of shaped batches: CSV, NDJSON, compression.
