-- What is kept for each key of each limit, a row a key. Instants are in microseconds since 1970.
CREATE TABLE stint_keys (
  k          BLOB    NOT NULL PRIMARY KEY,
  variant    INTEGER NOT NULL,
  a          INTEGER NOT NULL,
  b          INTEGER NOT NULL,
  c          INTEGER NOT NULL,
  blocked    INTEGER NOT NULL,
  reset_at   INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  cells      BLOB
) WITHOUT ROWID;
-- The values that limits have had, for records that were written under them.
CREATE TABLE stint_values (
  limit_id BLOB    NOT NULL,
  variant  INTEGER NOT NULL,
  body     TEXT    NOT NULL,
  PRIMARY KEY (limit_id, variant)
) WITHOUT ROWID;
-- Receipts that were used, for as long as they could be worth anything.
CREATE TABLE stint_receipts (
  k          BLOB    NOT NULL,
  nonce      INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  PRIMARY KEY (k, nonce)
) WITHOUT ROWID;
CREATE INDEX stint_receipts_keep_until ON stint_receipts (keep_until);
CREATE TABLE stint_schema (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO stint_schema VALUES (1);
