-- The directory: who the users of every tenant are. Timestamps are microseconds since
-- 1970-01-01T00:00:00Z. Every column is classified in host/gate/src/fields.toml.

CREATE TABLE tenants (
    tenant_id     INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    pseudonym_key BLOB NOT NULL CHECK (length(pseudonym_key) = 32),
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE connections (
    connection_id INTEGER PRIMARY KEY,
    tenant_id     INTEGER NOT NULL REFERENCES tenants,
    public_id     TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    strategy      TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

-- Keyed by what every export orders by, so that a tenant is read from front to back.
CREATE TABLE users (
    tenant_id         INTEGER NOT NULL REFERENCES tenants,
    user_id           TEXT NOT NULL,
    connection_id     INTEGER REFERENCES connections,
    username          TEXT,
    email             TEXT,
    email_verified    INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1)),
    phone_number      TEXT,
    phone_verified    INTEGER NOT NULL DEFAULT 0 CHECK (phone_verified IN (0, 1)),
    name              TEXT,
    given_name        TEXT,
    family_name       TEXT,
    nickname          TEXT,
    picture           TEXT,
    locale            TEXT,
    state             TEXT NOT NULL CHECK (state IN ('invited', 'active', 'suspended', 'deleted')),
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    last_signed_in_at INTEGER,
    last_ip           TEXT,
    logins_count      INTEGER NOT NULL DEFAULT 0,
    custom_attributes TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(custom_attributes)),
    app_metadata      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(app_metadata)),
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

-- Small enough to count a tenant's users without reading them.
CREATE INDEX users_by_created_at ON users (tenant_id, created_at);

CREATE TABLE groups (
    group_id  INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants,
    name      TEXT NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT;

CREATE TABLE memberships (
    tenant_id INTEGER NOT NULL,
    user_id   TEXT NOT NULL,
    group_id  INTEGER NOT NULL REFERENCES groups,
    PRIMARY KEY (tenant_id, user_id, group_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users
) STRICT, WITHOUT ROWID;

CREATE TABLE linked_identities (
    tenant_id     INTEGER NOT NULL,
    user_id       TEXT NOT NULL,
    position      INTEGER NOT NULL,
    connection    TEXT NOT NULL,
    provider      TEXT NOT NULL,
    subject       TEXT NOT NULL,
    access_token  TEXT,
    refresh_token TEXT,
    id_token      TEXT,
    PRIMARY KEY (tenant_id, user_id, position),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users
) STRICT, WITHOUT ROWID;

CREATE TABLE mfa_factors (
    tenant_id      INTEGER NOT NULL,
    user_id        TEXT NOT NULL,
    position       INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('totp', 'webauthn', 'sms', 'recovery')),
    totp_secret    TEXT,
    webauthn_key   TEXT,
    phone_number   TEXT,
    recovery_codes TEXT,
    confirmed_at   INTEGER,
    PRIMARY KEY (tenant_id, user_id, position),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users
) STRICT, WITHOUT ROWID;

CREATE TABLE password_credentials (
    tenant_id     INTEGER NOT NULL,
    user_id       TEXT NOT NULL,
    algorithm     TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    changed_at    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users
) STRICT, WITHOUT ROWID;

CREATE TABLE refresh_tokens (
    token_id   TEXT PRIMARY KEY,
    tenant_id  INTEGER NOT NULL,
    user_id    TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    token      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    FOREIGN KEY (tenant_id, user_id) REFERENCES users
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_user ON refresh_tokens (tenant_id, user_id);
