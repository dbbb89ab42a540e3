-- Times are milliseconds since 1970 in UTC, flags 0 or 1, ids 16 bytes, lists JSON texts.
-- An index serves a query that is named beside it; writes pay for each, so there is no other.

CREATE TABLE tenants (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
    id BLOB NOT NULL PRIMARY KEY,
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    email TEXT NOT NULL,
    levels TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    password_hash TEXT,
    created INTEGER NOT NULL,
    UNIQUE (tenant, name),
    UNIQUE (tenant, id)
) STRICT, WITHOUT ROWID;
-- Lists by login name have the index of the unique constraint.
CREATE INDEX identities_by_display_name ON identities (tenant, display_name, id);

CREATE TABLE pats (
    id BLOB NOT NULL PRIMARY KEY,
    tenant INTEGER NOT NULL REFERENCES tenants (key),
    owner BLOB NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    secret_hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER,
    managed INTEGER NOT NULL,
    validity INTEGER NOT NULL,
    expires INTEGER,
    user_aware INTEGER NOT NULL,
    expiry_recorded INTEGER NOT NULL,
    -- With the tenant, so that the index of one owner's list serves the check when an identity is deleted.
    FOREIGN KEY (tenant, owner) REFERENCES identities (tenant, id),
    -- The platform's names are apart from the owner's own.
    UNIQUE (tenant, owner, managed, name)
) STRICT, WITHOUT ROWID;
-- Lists are oldest first and continue after the last row they gave.
CREATE INDEX pats_listed ON pats (tenant, created, id);
CREATE INDEX pats_listed_by_owner ON pats (tenant, owner, created, id);
CREATE INDEX pats_to_expire ON pats (expires) WHERE expires IS NOT NULL AND expiry_recorded = 0;

-- The PAT that bootstrap made, whatever it is called by now: --reset-admin replaces it.
CREATE TABLE bootstrap_pat (
    tenant INTEGER NOT NULL PRIMARY KEY REFERENCES tenants (key),
    pat BLOB NOT NULL
) STRICT;

-- Kept for 90 days, so that the holder of a deleted PAT is told that it was deleted.
CREATE TABLE deleted_pats (
    id BLOB NOT NULL PRIMARY KEY,
    tenant INTEGER NOT NULL,
    secret_hash BLOB NOT NULL,
    deleted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_pats_to_purge ON deleted_pats (deleted);

CREATE TABLE revoked_tokens (
    jti BLOB NOT NULL PRIMARY KEY,
    tenant INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_to_purge ON revoked_tokens (expires);

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    created INTEGER NOT NULL,
    activates INTEGER,
    retires INTEGER,
    sealed_private BLOB NOT NULL,
    public_jwk TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What other processes must forget from their memory, in the order in which it was committed.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    subject BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL,
    created INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    technical_name TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    target_name TEXT NOT NULL,
    ip_address TEXT,
    tracking_number BLOB NOT NULL,
    operation TEXT NOT NULL,
    status TEXT NOT NULL,
    attributes TEXT NOT NULL
) STRICT;
-- Lists are newest first, by when it happened; `seq`, which every index ends with, settles what happened at once.
CREATE INDEX audit_events_listed ON audit_events (tenant, created);
CREATE INDEX audit_events_by_actor ON audit_events (tenant, actor_id, created);
CREATE INDEX audit_events_by_target ON audit_events (tenant, target_id, created);
CREATE INDEX audit_events_by_name ON audit_events (tenant, technical_name, created);
