-- Whether the password is one that Patron made (bootstrap, a reset): whoever signs in with it is asked for a new one.
ALTER TABLE identities ADD COLUMN password_temporary BIGINT NOT NULL DEFAULT 0;

-- Web sessions. The hash is that of the token in the browser's cookie, which is kept nowhere.
CREATE TABLE sessions (
    hash BYTEA NOT NULL PRIMARY KEY,
    tenant BIGINT NOT NULL,
    identity BYTEA NOT NULL,
    -- The identity's when it signed in; one of an earlier generation is dead.
    generation BIGINT NOT NULL,
    created BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    FOREIGN KEY (tenant, identity) REFERENCES identities (tenant, id)
);
-- All of one identity are ended at once; the check when an identity is deleted uses it, too.
CREATE INDEX sessions_by_identity ON sessions (tenant, identity);
-- Those that nobody uses any more are dropped, and a session that is too old is one that nobody can use.
CREATE INDEX sessions_to_purge ON sessions (last_seen);
