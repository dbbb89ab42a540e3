-- While indexes are made, others read. They come first: what is dropped after them locks readers out for a moment.
-- What lists are filtered by is in the index that they are read by: rows that do not match are not looked at.
CREATE INDEX pats_listed_with_use ON pats (tenant, created, id, managed, last_used);
-- Few PATs of a certain last use are found among many others, and lists are in its order.
CREATE INDEX pats_used ON pats (tenant, last_used NULLS FIRST, created, id, managed);
-- The dashboard's numbers are counted in this index and the one above.
CREATE INDEX pats_listed_with_expiry ON pats (tenant, owner, created, id, managed, expires);
DROP INDEX pats_listed;
DROP INDEX pats_listed_by_owner;
ALTER INDEX pats_listed_with_use RENAME TO pats_listed;
ALTER INDEX pats_listed_with_expiry RENAME TO pats_listed_by_owner;
