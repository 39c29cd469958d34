package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Server is one that runs as a child of the test process.
type Server struct {
	program program
	dir     string
	port    int
	bases   atomic.Int64

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{}
}

// program is what differs between servers.
type program interface {
	name() string

	// make makes a data directory, once in a test process; others are copies of it.
	make(ctx context.Context, dir string) error

	// command starts the server on a directory.
	command(ctx context.Context, dir string, port int, durable bool) (*exec.Cmd, error)

	// address is the URL of a database, and admin how the test process itself reaches the server.
	address(dir string, port int, database string) string
	admin(port int) (driver, source string)
}

var shared struct {
	mu        sync.Mutex
	servers   map[string]*Server
	templates map[string]string
	dirs      []string
}

// Main runs a package's tests, and ends their servers.
func Main(m *testing.M) {
	code := m.Run()
	End()
	os.Exit(code)
}

// MainWithoutLeaks is Main for packages that leave no goroutine behind, which it checks.
func MainWithoutLeaks(m *testing.M) {
	code := m.Run()
	End()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// End ends the servers, for a package that has a TestMain of its own.
func End() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for _, s := range shared.servers {
		s.Kill()
	}
	if commonRedis.server != nil {
		commonRedis.server.Kill()
	}
	for _, dir := range shared.dirs {
		os.RemoveAll(dir)
	}
}

// common is the server that all tests share.
func common(t testing.TB, p program) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if s := shared.servers[p.name()]; s != nil {
		return s
	}
	s, err := started(p, false)
	if err != nil {
		give(t, p, err)
	}
	if shared.servers == nil {
		shared.servers = make(map[string]*Server)
	}
	shared.servers[p.name()] = s
	return s
}

// own is a server for one test.
func own(t testing.TB, p program) *Server {
	t.Helper()
	shared.mu.Lock()
	s, err := started(p, true)
	shared.mu.Unlock()
	if err != nil {
		give(t, p, err)
	}
	t.Cleanup(s.Kill)
	return s
}

// give gives a test up: it is skipped where the program is not there.
func give(t testing.TB, p program, err error) {
	t.Helper()
	var missing errMissing
	if errors.As(err, &missing) {
		t.Skipf("%s is not on this machine; `make servers` installs it", string(missing))
	}
	t.Fatalf("start %s: %v", p.name(), err)
}

// errMissing is a program that is not there.
type errMissing string

func (e errMissing) Error() string { return string(e) + " is not there" }

// find is the first of these programs that is there.
func find(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errMissing(filepath.Base(names[0]))
}

// started starts a server on a new data directory. shared.mu is held.
func started(p program, durable bool) (*Server, error) {
	template, err := templateOf(p)
	if err != nil {
		return nil, err
	}
	dir, err := newDir()
	if err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(context.Background(), "cp", "-a", template+"/.", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy %s: %w: %s", template, err, out)
	}
	s := &Server{program: p, dir: dir}
	// A port that is free now may be taken before the server has it.
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(durable); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func templateOf(p program) (string, error) {
	if dir := shared.templates[p.name()]; dir != "" {
		return dir, nil
	}
	dir, err := newDir()
	if err != nil {
		return "", err
	}
	if err := p.make(context.Background(), dir); err != nil {
		return "", err
	}
	if shared.templates == nil {
		shared.templates = make(map[string]string)
	}
	shared.templates[p.name()] = dir
	return dir, nil
}

// newDir is a new directory that goes with the test process.
func newDir() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "stint-server-") // short: sockets have a bound on their names
	if err == nil {
		shared.dirs = append(shared.dirs, dir)
	}
	return dir, err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Start starts a server that was killed, on what it had.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	var err error
	for range 50 {
		if err = s.start(true); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond) // what is left of the old one is still ending
	}
	t.Fatalf("start %s again: %v", s.program.name(), err)
}

func (s *Server) start(durable bool) error {
	c, err := s.program.command(context.Background(), s.dir, s.port, durable)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	shared.dirs = append(shared.dirs, s.dir+".log")
	c.Stdout, c.Stderr = log, log
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	ended, begun := make(chan struct{}), make(chan error)
	go func() {
		// The server dies with the thread that has started it, so that thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.Start()
		begun <- err
		if err == nil {
			_ = c.Wait() // it is killed, which is an error
		}
		close(ended)
	}()
	if err := <-begun; err != nil {
		return err
	}
	s.mu.Lock()
	s.command, s.ended = c, ended
	s.mu.Unlock()
	if err := s.ready(ended); err != nil {
		s.Kill()
		text, _ := os.ReadFile(s.dir + ".log")
		return fmt.Errorf("%w: %s", err, text[max(0, len(text)-2000):])
	}
	return nil
}

// ready waits until the server answers.
func (s *Server) ready(ended chan struct{}) error {
	db, err := sql.Open(s.program.admin(s.port))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("it ended at once")
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill() // it may have ended by itself
	<-s.ended
	s.command = nil
}

// Exec runs a statement as the server's administrator, in a database or in none.
func (s *Server) Exec(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open(s.program.admin(s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// PID is the number of the server's process.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.command.Process.Pid
}

// Address is the URL of a database of that name.
func (s *Server) Address(database string) string { return s.program.address(s.dir, s.port, database) }

// Database makes an empty database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test" + strconv.FormatInt(s.bases.Add(1), 10)
	s.Exec(t, "CREATE DATABASE "+name)
	return s.Address(name)
}
