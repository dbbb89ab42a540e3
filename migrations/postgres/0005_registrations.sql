-- The number of the registration that is in force: what a server shows is read and changed by a node only if it has
-- this one. Renewals move on from there, and may be shown by a server that was left behind with them.
ALTER TABLE nodes ADD COLUMN registered BIGINT NOT NULL DEFAULT 0;
