-- +goose Up
-- What was admitted and refused in the span of so many seconds (step: 1, 60, 3600, 86400) that begins at at, seconds since 1970 in UTC.
-- A call without a key has '' for it, and one without a user '' for that.
CREATE TABLE api_key_usage (
  step       INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  api_key_id TEXT NOT NULL,
  user_name  TEXT NOT NULL,
  route      TEXT NOT NULL,
  admitted   INTEGER NOT NULL,
  refused    INTEGER NOT NULL,
  units      INTEGER NOT NULL,
  PRIMARY KEY (step, at, api_key_id, user_name, route)
) WITHOUT ROWID;
CREATE INDEX api_key_usage_of_user ON api_key_usage (user_name, step, at);
CREATE INDEX api_key_usage_of_key ON api_key_usage (api_key_id, step, at);

-- Which of its writings each instance has made, so that one that is tried again after an answer was lost does not count twice.
CREATE TABLE usage_flush (
  instance   TEXT NOT NULL PRIMARY KEY,
  sequence   INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE usage_flush;
DROP TABLE api_key_usage;
