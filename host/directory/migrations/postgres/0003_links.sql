-- Signed download links.

-- The newest key signs. One that signs no more is accepted until no link of its can be alive.
CREATE TABLE link_keys (
    key_id     TEXT COLLATE "C" PRIMARY KEY,
    key        BYTEA NOT NULL CHECK (length(key) = 32),
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

-- Links that were good for one download, and had it.
CREATE TABLE used_links (
    link_id    TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
