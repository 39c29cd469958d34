-- +goose Up
-- All times are seconds since 1970 in UTC.
CREATE TABLE `user` (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name        VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  plan        VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  created_at  BIGINT NOT NULL,
  disabled_at BIGINT NULL,
  UNIQUE KEY user_name (name)
) ENGINE=InnoDB;

CREATE TABLE api_key (
  id           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  user_id      BIGINT NOT NULL,
  hash         BINARY(32) NOT NULL,
  scopes       INT NOT NULL,
  label        VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT NULL,
  expires_at   BIGINT NULL,
  revoked_at   BIGINT NULL,
  UNIQUE KEY api_key_hash (hash),
  KEY api_key_user (user_id, id),
  CONSTRAINT api_key_of_user FOREIGN KEY (user_id) REFERENCES `user` (id)
) ENGINE=InnoDB;

CREATE TABLE plan (
  name       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  created_at BIGINT NOT NULL
) ENGINE=InnoDB;

CREATE TABLE plan_value (
  plan     VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  limit_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  value    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (plan, limit_id),
  CONSTRAINT plan_value_of_plan FOREIGN KEY (plan) REFERENCES plan (name)
) ENGINE=InnoDB;

-- Values of limits that are a caller's own. kind is key, user or wildcard; subject a key's id, a user's name, or a pattern such as team-*.
CREATE TABLE limit_override (
  kind     VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject  VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  limit_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  value    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (kind, subject, limit_id)
) ENGINE=InnoDB;

-- +goose Down
DROP TABLE limit_override;
DROP TABLE plan_value;
DROP TABLE plan;
DROP TABLE api_key;
DROP TABLE `user`;
