-- Where the change feed stands. A change moves it on in its own transaction, which holds the row until its commit: so
-- entries are numbered in the order of their commits, and without gaps.
CREATE TABLE feed (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    last BIGINT NOT NULL
);
INSERT INTO feed (one, last) SELECT 1, COALESCE(MAX(seq), 0) FROM changes;

-- The services that keep what they have read in memory, on a database that several share. A change is answered when
-- all of them have applied its entry of the feed.
CREATE TABLE nodes (
    id BYTEA NOT NULL PRIMARY KEY,
    -- The last entry of the feed that it has applied.
    seen BIGINT NOT NULL,
    -- Moves on at each renewal of its lease: one that stands still for longer than a lease is dead.
    renewals BIGINT NOT NULL
);
