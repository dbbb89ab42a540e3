-- An index of many rows is sorted in files of the system's temporary folder: in memory it would take gigabytes.
PRAGMA temp_store = FILE;
-- What lists are filtered by is in the index that they are read by: rows that do not match are not looked at.
DROP INDEX pats_listed;
CREATE INDEX pats_listed ON pats (tenant, created, id, managed, last_used);
-- Few PATs of a certain last use are found among many others, and lists are in its order.
CREATE INDEX pats_used ON pats (tenant, last_used, created, id, managed);
-- The dashboard's numbers are counted in this index and the one above.
DROP INDEX pats_listed_by_owner;
CREATE INDEX pats_listed_by_owner ON pats (tenant, owner, created, id, managed, expires);
PRAGMA temp_store = MEMORY;
