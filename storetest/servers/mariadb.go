package servers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/go-sql-driver/mysql" // to reach the server, here and in tests
)

// MariaDB is the MariaDB server of all tests of a package.
func MariaDB(t testing.TB) *Server { t.Helper(); return common(t, mariadb{}) }

// NewMariaDB is a MariaDB server for one test.
func NewMariaDB(t testing.TB) *Server { t.Helper(); return own(t, mariadb{}) }

type mariadb struct{}

func (mariadb) name() string { return "MariaDB" }

func (mariadb) make(ctx context.Context, dir string) error {
	path, err := find("mariadb-install-db")
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, path, "--no-defaults", "--user=root", "--datadir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, out)
	}
	return nil
}

func (mariadb) command(ctx context.Context, dir string, port int, durable bool) (*exec.Cmd, error) {
	path, err := find("mariadbd", "/usr/sbin/mariadbd")
	if err != nil {
		return nil, err
	}
	args := []string{
		"--no-defaults", "--user=root", "--datadir=" + dir, "--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port),
		"--socket=" + filepath.Join(dir, "s"), "--pid-file=" + filepath.Join(dir, "pid"), "--skip-name-resolve",
		"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--max-connections=200",
	}
	if !durable {
		args = append(args, "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync", "--innodb-doublewrite=0")
	}
	return exec.CommandContext(ctx, path, args...), nil
}

func (mariadb) address(_ string, port int, database string) string {
	return fmt.Sprintf("mysql://root@127.0.0.1:%d/%s", port, database)
}

func (mariadb) admin(port int) (driver, source string) {
	return "mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port)
}
