-- Exeat's own tables: no export source reads them.

CREATE TABLE jobs (
    job_id      TEXT PRIMARY KEY,
    tenant_id   INTEGER NOT NULL REFERENCES tenants,
    state       TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    -- 'server': any worker may run it, again if need be. 'command': one process runs it, once.
    origin      TEXT NOT NULL CHECK (origin IN ('server', 'command')),
    actor       TEXT NOT NULL,
    request     TEXT NOT NULL CHECK (json_valid(request)),
    attempt     INTEGER NOT NULL DEFAULT 0,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    rows_total  INTEGER,
    rows_done   INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,
    error_code  TEXT,
    error       TEXT,
    manifest    TEXT CHECK (manifest IS NULL OR json_valid(manifest))
) STRICT;

CREATE INDEX jobs_by_state ON jobs (state, created_at);
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, job_id);

CREATE TABLE api_tokens (
    token_id     TEXT PRIMARY KEY,
    tenant_id    INTEGER NOT NULL REFERENCES tenants,
    name         TEXT NOT NULL,
    -- SHA-256 of the token, which has 200 random bits: nothing to guess, nothing to salt.
    token_hash   BLOB NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE audit (
    audit_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    tenant_id INTEGER REFERENCES tenants,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    job_id    TEXT,
    detail    TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;

CREATE INDEX audit_by_tenant ON audit (tenant_id, audit_id);
