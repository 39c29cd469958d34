-- +goose Up
-- All times are seconds since 1970 in UTC.
CREATE TABLE "user" (
  id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        TEXT COLLATE "C" NOT NULL UNIQUE,
  plan        TEXT COLLATE "C" NOT NULL DEFAULT '',
  created_at  BIGINT NOT NULL,
  disabled_at BIGINT
);

CREATE TABLE api_key (
  id           TEXT COLLATE "C" PRIMARY KEY,
  user_id      BIGINT NOT NULL REFERENCES "user" (id),
  hash         BYTEA NOT NULL UNIQUE,
  scopes       INTEGER NOT NULL,
  label        TEXT NOT NULL DEFAULT '',
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT,
  expires_at   BIGINT,
  revoked_at   BIGINT
);
CREATE INDEX api_key_user ON api_key (user_id, id);

CREATE TABLE plan (
  name       TEXT COLLATE "C" PRIMARY KEY,
  created_at BIGINT NOT NULL
);

CREATE TABLE plan_value (
  plan     TEXT COLLATE "C" NOT NULL REFERENCES plan (name),
  limit_id TEXT COLLATE "C" NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (plan, limit_id)
);

-- Values of limits that are a caller's own. kind is key, user or wildcard; subject a key's id, a user's name, or a pattern such as team-*.
CREATE TABLE limit_override (
  kind     TEXT COLLATE "C" NOT NULL,
  subject  TEXT COLLATE "C" NOT NULL,
  limit_id TEXT COLLATE "C" NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (kind, subject, limit_id)
);

-- +goose Down
DROP TABLE limit_override;
DROP TABLE plan_value;
DROP TABLE plan;
DROP TABLE api_key;
DROP TABLE "user";
