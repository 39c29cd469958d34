package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // to reach the server, here and in tests
)

// Postgres is the PostgreSQL server of all tests of a package.
func Postgres(t testing.TB) *Server { t.Helper(); return common(t, postgres{}) }

// NewPostgres is a PostgreSQL server for one test.
func NewPostgres(t testing.TB) *Server { t.Helper(); return own(t, postgres{}) }

type postgres struct{}

func (postgres) name() string { return "PostgreSQL" }

// bin is where PostgreSQL's programs are: Debian keeps each version apart.
func (postgres) bin() (string, error) {
	if dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(dirs) > 0 {
		return dirs[len(dirs)-1], nil
	}
	path, err := find("postgres")
	return filepath.Dir(path), err
}

func (p postgres) make(ctx context.Context, dir string) error {
	bin, err := p.bin()
	if err != nil {
		return err
	}
	attributes, err := p.user(dir)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dir, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")
	c.SysProcAttr, c.Dir = attributes, dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	// Whoever is not the administrator needs a password.
	rules := "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	return os.WriteFile(filepath.Join(dir, "pg_hba.conf"), []byte(rules), 0o600)
}

// user makes the directory that of the user that the server runs as: not root, which PostgreSQL refuses to be.
func (postgres) user(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

func (p postgres) command(ctx context.Context, dir string, port int, durable bool) (*exec.Cmd, error) {
	bin, err := p.bin()
	if err != nil {
		return nil, err
	}
	args := []string{"-D", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", dir, "-c", "shared_buffers=32MB", "-c", "max_connections=200"}
	if !durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	os.Remove(filepath.Join(dir, "postmaster.pid")) // of one that was killed
	c := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), args...)
	c.Dir = dir
	c.SysProcAttr, err = p.user(dir)
	return c, err
}

func (postgres) address(_ string, port int, database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", port, database)
}

func (p postgres) admin(port int) (driver, source string) {
	return "pgx", p.address("", port, "postgres")
}
