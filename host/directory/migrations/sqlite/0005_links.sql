-- Signed download links.

-- The newest key signs. One that signs no more is accepted until no link of its can be alive.
CREATE TABLE link_keys (
    key_id     TEXT PRIMARY KEY,
    key        BLOB NOT NULL CHECK (length(key) = 32),
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

-- Links that were good for one download, and had it.
CREATE TABLE used_links (
    link_id    TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
