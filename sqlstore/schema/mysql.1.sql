-- What is kept for each key of each limit, a row a key. Instants are in microseconds since 1970.
CREATE TABLE IF NOT EXISTS stint_keys (
  k          VARBINARY(255) NOT NULL PRIMARY KEY,
  variant    BIGINT NOT NULL,
  a          BIGINT NOT NULL,
  b          BIGINT NOT NULL,
  c          BIGINT NOT NULL,
  blocked    BIGINT NOT NULL,
  reset_at   BIGINT NOT NULL,
  keep_until BIGINT NOT NULL,
  cells      MEDIUMBLOB,
  tag        BIGINT NOT NULL DEFAULT 0
) ENGINE = InnoDB;
-- The values that limits have had, for records that were written under them.
CREATE TABLE IF NOT EXISTS stint_values (
  limit_id VARBINARY(1024) NOT NULL,
  variant  BIGINT NOT NULL,
  body     VARCHAR(1024) CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (limit_id, variant)
) ENGINE = InnoDB;
-- Receipts that were used, for as long as they could be worth anything.
CREATE TABLE IF NOT EXISTS stint_receipts (
  k          VARBINARY(255) NOT NULL,
  nonce      BIGINT NOT NULL,
  keep_until BIGINT NOT NULL,
  PRIMARY KEY (k, nonce),
  INDEX (keep_until)
) ENGINE = InnoDB;
-- Tables are not made in a transaction here. This one comes last and with its row, so that it is there when the others are.
CREATE TABLE IF NOT EXISTS stint_schema (version INTEGER NOT NULL PRIMARY KEY) ENGINE = InnoDB AS SELECT 1 AS version;
