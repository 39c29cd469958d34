-- +goose Up
-- All times are seconds since 1970 in UTC.
CREATE TABLE "user" (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  name        TEXT NOT NULL UNIQUE,
  plan        TEXT NOT NULL DEFAULT '',
  created_at  INTEGER NOT NULL,
  disabled_at INTEGER
);

CREATE TABLE api_key (
  id           TEXT PRIMARY KEY,
  user_id      INTEGER NOT NULL REFERENCES "user" (id),
  hash         BLOB NOT NULL UNIQUE,
  scopes       INTEGER NOT NULL,
  label        TEXT NOT NULL DEFAULT '',
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER,
  expires_at   INTEGER,
  revoked_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX api_key_user ON api_key (user_id, id);

CREATE TABLE plan (
  name       TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE plan_value (
  plan     TEXT NOT NULL REFERENCES plan (name),
  limit_id TEXT NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (plan, limit_id)
) WITHOUT ROWID;

-- Values of limits that are a caller's own. kind is key, user or wildcard; subject a key's id, a user's name, or a pattern such as team-*.
CREATE TABLE limit_override (
  kind     TEXT NOT NULL,
  subject  TEXT NOT NULL,
  limit_id TEXT NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (kind, subject, limit_id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE limit_override;
DROP TABLE plan_value;
DROP TABLE plan;
DROP TABLE api_key;
DROP TABLE "user";
