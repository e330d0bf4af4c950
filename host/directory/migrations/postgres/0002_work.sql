-- Exeat's own tables: no export source reads them. They are those of SQLite, column by column;
-- JSON is text, because it is stored and handed out and never looked into; that it is JSON is checked
-- by the cast, which fails.

CREATE TABLE jobs (
    job_id              TEXT COLLATE "C" PRIMARY KEY,
    tenant_id           BIGINT NOT NULL REFERENCES tenants,
    state               TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    -- 'server': any worker may run it, again if need be. 'command': one process runs it, once.
    origin              TEXT NOT NULL CHECK (origin IN ('server', 'command')),
    actor               TEXT NOT NULL,
    request             TEXT NOT NULL CHECK (request::json IS NOT NULL),
    attempt             BIGINT NOT NULL DEFAULT 0,
    created_at          BIGINT NOT NULL,
    started_at          BIGINT,
    finished_at         BIGINT,
    rows_total          BIGINT,
    rows_done           BIGINT NOT NULL DEFAULT 0,
    bytes               BIGINT NOT NULL DEFAULT 0,
    error_code          TEXT,
    error               TEXT,
    manifest            TEXT CHECK (manifest IS NULL OR manifest::json IS NOT NULL),
    -- Within a tenant, higher first.
    priority            BIGINT NOT NULL DEFAULT 0,
    -- A queued job is not taken before this instant.
    run_after           BIGINT NOT NULL DEFAULT 0,
    -- Attempts that ended badly, of those that are counted in `attempt`.
    failures            BIGINT NOT NULL DEFAULT 0,
    -- Who runs it, and until when nobody else may. The fencing token is `attempt`.
    worker              TEXT,
    lease_until         BIGINT,
    -- Microseconds that it may take from its first start, over all attempts.
    timeout_us          BIGINT NOT NULL DEFAULT 28800000000,
    deadline_at         BIGINT,
    cancel_requested_by TEXT,
    -- Microseconds for which the files of a completed export are kept.
    retention_us        BIGINT NOT NULL DEFAULT 604800000000,
    expires_at          BIGINT,
    purged_at           BIGINT,
    -- Who ordered that the files are kept, whatever their age.
    held_by             TEXT
);

-- Waiting and running jobs are few among those that have ended.
CREATE INDEX jobs_by_state ON jobs (state, created_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, job_id);
CREATE INDEX jobs_by_expiry ON jobs (expires_at) WHERE purged_at IS NULL;

-- When a job of a tenant was last started: tenants take turns.
CREATE TABLE turns (
    tenant_id BIGINT PRIMARY KEY REFERENCES tenants,
    served_at BIGINT NOT NULL
);

CREATE TABLE api_tokens (
    token_id     TEXT COLLATE "C" PRIMARY KEY,
    tenant_id    BIGINT NOT NULL REFERENCES tenants,
    name         TEXT NOT NULL,
    -- SHA-256 of the token, which has 200 random bits: nothing to guess, nothing to salt.
    token_hash   BYTEA NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

CREATE TABLE audit (
    audit_id  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        BIGINT NOT NULL,
    tenant_id BIGINT REFERENCES tenants,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    job_id    TEXT,
    detail    TEXT NOT NULL CHECK (detail::json IS NOT NULL)
);

CREATE INDEX audit_by_tenant ON audit (tenant_id, audit_id);

-- Plugins that tenants uploaded. Their bytes lie in the store, under their digest.
CREATE TABLE plugins (
    plugin_id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     BIGINT NOT NULL REFERENCES tenants,
    -- A plugin without a name would share the tenant's own row of plugin_limits.
    name          TEXT NOT NULL CHECK (name <> ''),
    version       TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('transform', 'adapter')),
    -- Looked for in the text of requests: it must never be a part of anything else.
    digest        TEXT NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    bytes         BIGINT NOT NULL,
    -- What the plugin says of itself; known once it is admitted.
    summary       TEXT,
    config_schema TEXT CHECK (config_schema IS NULL OR config_schema::json IS NOT NULL),
    reads         TEXT CHECK (reads IS NULL OR reads::json IS NOT NULL),
    -- Notes and figures of the admission.
    admission     TEXT CHECK (admission IS NULL OR admission::json IS NOT NULL),
    state         TEXT NOT NULL CHECK (state IN ('admitting', 'refused', 'admitted', 'disabled', 'quarantined')),
    reason_code   TEXT,
    reason        TEXT,
    -- Since it was last enabled.
    traps         BIGINT NOT NULL DEFAULT 0,
    uploader      TEXT NOT NULL,
    uploaded_at   BIGINT NOT NULL,
    changed_at    BIGINT NOT NULL,
    UNIQUE (tenant_id, name, version)
);

CREATE INDEX plugins_by_digest ON plugins (digest, tenant_id);

-- What plugins wrote, the newest lines of each.
CREATE TABLE plugin_log (
    log_id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants,
    digest    TEXT NOT NULL,
    job_id    TEXT NOT NULL,
    at        BIGINT NOT NULL,
    level     TEXT NOT NULL,
    text      TEXT NOT NULL
);

CREATE INDEX plugin_log_by_digest ON plugin_log (tenant_id, digest, log_id);

-- One row a plugin, merged after each run.
CREATE TABLE plugin_metrics (
    tenant_id  BIGINT NOT NULL REFERENCES tenants,
    digest     TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    metrics    TEXT NOT NULL CHECK (metrics::json IS NOT NULL),
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, digest)
);

CREATE TABLE plugin_limits (
    tenant_id  BIGINT NOT NULL REFERENCES tenants,
    -- '' means every plugin of the tenant.
    name       TEXT NOT NULL,
    limits     TEXT NOT NULL CHECK (limits::json IS NOT NULL),
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
