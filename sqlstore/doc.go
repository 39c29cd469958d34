// Package sqlstore keeps the counts in PostgreSQL, MySQL, MariaDB or SQLite.
package sqlstore
