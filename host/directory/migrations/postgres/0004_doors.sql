-- What the API's callers keep here: presets, keys of repeated requests, webhooks.

-- Whether whoever asked for the export might have sensitive fields. Those from before might.
ALTER TABLE jobs ADD COLUMN sensitive BIGINT NOT NULL DEFAULT 1 CHECK (sensitive IN (0, 1));
-- Since when nobody is shown the export any more.
ALTER TABLE jobs ADD COLUMN deleted_at BIGINT;

CREATE TABLE presets (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (tenant_id),
    name       TEXT COLLATE "C" NOT NULL,
    request    TEXT NOT NULL CHECK (request::json IS NOT NULL),
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE idempotency_keys (
    tenant_id   BIGINT NOT NULL REFERENCES tenants (tenant_id),
    key         TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of what was asked for.
    fingerprint BYTEA NOT NULL,
    job_id      TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key)
);

CREATE TABLE webhooks (
    tenant_id       BIGINT NOT NULL REFERENCES tenants (tenant_id),
    name            TEXT COLLATE "C" NOT NULL,
    url             TEXT NOT NULL,
    -- Names of events with spaces around each.
    events          TEXT NOT NULL,
    secret          BYTEA NOT NULL,
    -- The one before, with which it is still signed until then.
    previous_secret BYTEA,
    previous_until  BIGINT,
    changed_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE webhook_deliveries (
    delivery_id TEXT COLLATE "C" PRIMARY KEY,
    tenant_id   BIGINT NOT NULL REFERENCES tenants (tenant_id),
    webhook     TEXT COLLATE "C" NOT NULL,
    event       TEXT NOT NULL,
    job_id      TEXT,
    payload     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given-up')),
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_at     BIGINT NOT NULL,
    last_status BIGINT,
    last_error  TEXT,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (tenant_id, next_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_log ON webhook_deliveries (tenant_id, webhook, delivery_id);
