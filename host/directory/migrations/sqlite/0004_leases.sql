-- Jobs that any of many workers may run: leases, attempts, time limits, retention.

-- Within a tenant, higher first.
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- A queued job is not taken before this instant.
ALTER TABLE jobs ADD COLUMN run_after INTEGER NOT NULL DEFAULT 0;
-- Attempts that ended badly, of those that are counted in `attempt`.
ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
-- Who runs it, and until when nobody else may. The fencing token is `attempt`.
ALTER TABLE jobs ADD COLUMN worker TEXT;
ALTER TABLE jobs ADD COLUMN lease_until INTEGER;
-- Microseconds that it may take from its first start, over all attempts.
ALTER TABLE jobs ADD COLUMN timeout_us INTEGER NOT NULL DEFAULT 28800000000;
ALTER TABLE jobs ADD COLUMN deadline_at INTEGER;
ALTER TABLE jobs ADD COLUMN cancel_requested_by TEXT;
-- Microseconds for which the files of a completed export are kept.
ALTER TABLE jobs ADD COLUMN retention_us INTEGER NOT NULL DEFAULT 604800000000;
ALTER TABLE jobs ADD COLUMN expires_at INTEGER;
ALTER TABLE jobs ADD COLUMN purged_at INTEGER;
-- Who ordered that the files are kept, whatever their age.
ALTER TABLE jobs ADD COLUMN held_by TEXT;

CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE purged_at IS NULL;

-- When a job of a tenant was last started: tenants take turns.
CREATE TABLE turns (
    tenant_id INTEGER PRIMARY KEY REFERENCES tenants,
    served_at INTEGER NOT NULL
) STRICT;
