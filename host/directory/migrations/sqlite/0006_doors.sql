-- What the API's callers keep here: presets, keys of repeated requests, webhooks.

-- Whether whoever asked for the export might have sensitive fields. Those from before might.
ALTER TABLE jobs ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 1 CHECK (sensitive IN (0, 1));
-- Since when nobody is shown the export any more.
ALTER TABLE jobs ADD COLUMN deleted_at INTEGER;

CREATE TABLE presets (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (tenant_id),
    name       TEXT NOT NULL,
    request    TEXT NOT NULL CHECK (json_valid(request)),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (tenant_id),
    key         TEXT NOT NULL,
    -- SHA-256 of what was asked for.
    fingerprint BLOB NOT NULL,
    job_id      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    tenant_id       INTEGER NOT NULL REFERENCES tenants (tenant_id),
    name            TEXT NOT NULL,
    url             TEXT NOT NULL,
    -- Names of events with spaces around each.
    events          TEXT NOT NULL,
    secret          BLOB NOT NULL,
    -- The one before, with which it is still signed until then.
    previous_secret BLOB,
    previous_until  INTEGER,
    changed_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_deliveries (
    delivery_id TEXT PRIMARY KEY,
    tenant_id   INTEGER NOT NULL REFERENCES tenants (tenant_id),
    webhook     TEXT NOT NULL,
    event       TEXT NOT NULL,
    job_id      TEXT,
    payload     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given-up')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL,
    last_status INTEGER,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (tenant_id, webhook, delivery_id);
