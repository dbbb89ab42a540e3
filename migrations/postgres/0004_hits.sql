-- How often each of several nodes has counted what, for the rate limits of the others.
CREATE TABLE hits (
    node BYTEA NOT NULL,
    -- What is counted, such as requests or wrong passwords.
    counter BIGINT NOT NULL,
    -- Whose: a keyed hash, which tells no address and no name.
    key BYTEA NOT NULL,
    -- The node's publication that wrote it, see below.
    published BIGINT NOT NULL,
    -- From when on it counts no more.
    expires BIGINT NOT NULL,
    counts BYTEA NOT NULL,
    PRIMARY KEY (node, counter, key)
);
-- Nodes read what is new.
CREATE INDEX hits_listed ON hits (published);
CREATE INDEX hits_to_purge ON hits (expires);

-- Each node's last publication: a number that grows, comparable with that node's others alone. Who has seen it need
-- not look for rows.
CREATE TABLE hit_publications (
    node BYTEA NOT NULL PRIMARY KEY,
    published BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
