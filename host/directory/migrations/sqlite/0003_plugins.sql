-- Exeat's own tables for plugins that tenants uploaded: no export source reads them. The bytes of
-- a plugin lie in the vault, under its digest.

CREATE TABLE plugins (
    plugin_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id     INTEGER NOT NULL REFERENCES tenants,
    -- A plugin without a name would share the tenant's own row of plugin_limits.
    name          TEXT NOT NULL CHECK (name <> ''),
    version       TEXT NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('transform', 'adapter')),
    -- Looked for in the text of requests: it must never be a part of anything else.
    digest        TEXT NOT NULL CHECK (digest GLOB 'sha256:*' AND length(digest) = 71),
    bytes         INTEGER NOT NULL,
    -- What the plugin says of itself; known once it is admitted.
    summary       TEXT,
    config_schema TEXT CHECK (config_schema IS NULL OR json_valid(config_schema)),
    reads         TEXT CHECK (reads IS NULL OR json_valid(reads)),
    -- Notes and figures of the admission.
    admission     TEXT CHECK (admission IS NULL OR json_valid(admission)),
    state         TEXT NOT NULL CHECK (state IN ('admitting', 'refused', 'admitted', 'disabled', 'quarantined')),
    reason_code   TEXT,
    reason        TEXT,
    -- Since it was last enabled.
    traps         INTEGER NOT NULL DEFAULT 0,
    uploader      TEXT NOT NULL,
    uploaded_at   INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    UNIQUE (tenant_id, name, version)
) STRICT;

CREATE INDEX plugins_by_digest ON plugins (digest, tenant_id);

-- What plugins wrote, the newest lines of each.
CREATE TABLE plugin_log (
    log_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER NOT NULL REFERENCES tenants,
    digest    TEXT NOT NULL,
    job_id    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    level     TEXT NOT NULL,
    text      TEXT NOT NULL
) STRICT;

CREATE INDEX plugin_log_by_digest ON plugin_log (tenant_id, digest, log_id);

-- One row a plugin, merged after each run.
CREATE TABLE plugin_metrics (
    tenant_id  INTEGER NOT NULL REFERENCES tenants,
    digest     TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    metrics    TEXT NOT NULL CHECK (json_valid(metrics)),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_limits (
    tenant_id  INTEGER NOT NULL REFERENCES tenants,
    -- '' means every plugin of the tenant.
    name       TEXT NOT NULL,
    limits     TEXT NOT NULL CHECK (json_valid(limits)),
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
