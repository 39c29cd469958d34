-- What is kept for each key of each limit, a row a key. Instants are in microseconds since 1970. No index but the key's, so that
-- an update stays on its page.
CREATE TABLE stint_keys (
  k          bytea    PRIMARY KEY,
  variant    bigint   NOT NULL,
  a          bigint   NOT NULL,
  b          bigint   NOT NULL,
  c          bigint   NOT NULL,
  blocked    bigint   NOT NULL,
  reset_at   bigint   NOT NULL,
  keep_until bigint   NOT NULL,
  cells      bytea
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- The values that limits have had, for records that were written under them.
CREATE TABLE stint_values (
  limit_id bytea  NOT NULL,
  variant  bigint NOT NULL,
  body     text   NOT NULL,
  PRIMARY KEY (limit_id, variant)
);
-- Receipts that were used, for as long as they could be worth anything.
CREATE TABLE stint_receipts (
  k          bytea  NOT NULL,
  nonce      bigint NOT NULL,
  keep_until bigint NOT NULL,
  PRIMARY KEY (k, nonce)
);
CREATE INDEX stint_receipts_keep_until ON stint_receipts (keep_until);
CREATE TABLE stint_schema (version integer NOT NULL PRIMARY KEY);
INSERT INTO stint_schema VALUES (1);
