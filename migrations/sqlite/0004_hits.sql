-- How often each of several nodes has counted what, for the rate limits of the others. Nothing is in here with SQLite,
-- whose file one node has to itself.
CREATE TABLE hits (
    node BLOB NOT NULL,
    -- What is counted, such as requests or wrong passwords.
    counter INTEGER NOT NULL,
    -- Whose: a keyed hash, which tells no address and no name.
    key BLOB NOT NULL,
    -- The node's publication that wrote it, see below.
    published INTEGER NOT NULL,
    -- From when on it counts no more.
    expires INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (node, counter, key)
) STRICT, WITHOUT ROWID;
-- Nodes read what is new.
CREATE INDEX hits_listed ON hits (published);
CREATE INDEX hits_to_purge ON hits (expires);

-- Each node's last publication: a number that grows, comparable with that node's others alone. Who has seen it need
-- not look for rows.
CREATE TABLE hit_publications (
    node BLOB NOT NULL PRIMARY KEY,
    published INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
