-- +goose Up
-- What was admitted and refused in the span of so many seconds (step: 1, 60, 3600, 86400) that begins at at, seconds since 1970 in UTC.
-- A call without a key has '' for it, and one without a user '' for that.
CREATE TABLE api_key_usage (
  step       BIGINT NOT NULL,
  at         BIGINT NOT NULL,
  api_key_id VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_name  VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  route      VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  admitted   BIGINT NOT NULL,
  refused    BIGINT NOT NULL,
  units      BIGINT NOT NULL,
  PRIMARY KEY (step, at, api_key_id, user_name, route)
) ENGINE=InnoDB;
CREATE INDEX api_key_usage_of_user ON api_key_usage (user_name, step, at);
CREATE INDEX api_key_usage_of_key ON api_key_usage (api_key_id, step, at);

-- Which of its writings each instance has made, so that one that is tried again after an answer was lost does not count twice.
CREATE TABLE usage_flush (
  instance   VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  sequence   BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
) ENGINE=InnoDB;

-- +goose Down
DROP TABLE usage_flush;
DROP TABLE api_key_usage;
