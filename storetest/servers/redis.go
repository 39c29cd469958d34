package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisOptions are what a Redis server can be started with. The zero value is a server on a port, without a password.
type RedisOptions struct {
	Program  string   // default: redis-server
	Socket   bool     // listen on a socket only
	TLS      bool     // listen with TLS only; see RedisServer.CA
	Password string   // of the default user
	Lines    []string // more lines of its configuration
}

// RedisServer is a Redis server, or one that speaks like it, that runs as a child of the test process.
type RedisServer struct {
	Port int
	Dir  string
	CA   string // the file of the certificate to trust, if it has TLS

	options RedisOptions
	mu      sync.Mutex
	process *process
}

var commonRedis struct {
	once   sync.Once
	server *RedisServer
	err    error
}

// Redis is the Redis server of all tests of a package.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	commonRedis.once.Do(func() { commonRedis.server, commonRedis.err = startRedis(RedisOptions{}) })
	return redisOrGive(t, commonRedis.server, commonRedis.err)
}

// NewRedis is a Redis server for one test.
func NewRedis(t testing.TB, o RedisOptions) *RedisServer {
	t.Helper()
	s, err := startRedis(o)
	s = redisOrGive(t, s, err)
	t.Cleanup(s.Kill)
	return s
}

func redisOrGive(t testing.TB, s *RedisServer, err error) *RedisServer {
	t.Helper()
	var missing errMissing
	if errors.As(err, &missing) {
		t.Skipf("%s is not on this machine; `make servers` installs it", string(missing))
	}
	if err != nil {
		t.Fatalf("start Redis: %v", err)
	}
	return s
}

func startRedis(o RedisOptions) (*RedisServer, error) {
	if o.Program == "" {
		o.Program = "redis-server"
	}
	s := &RedisServer{options: o}
	var err error
	// A port that is free now may be taken before the server has it.
	for range 5 {
		shared.mu.Lock()
		s.Dir, err = newDir()
		shared.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if s.Port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// start starts the server and waits until it answers.
func (s *RedisServer) start() error {
	path, err := find(s.options.Program)
	if err != nil {
		return err
	}
	lines, err := s.configuration()
	if err != nil {
		return err
	}
	file := filepath.Join(s.Dir, "server.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	log := filepath.Join(s.Dir, "log")
	p, err := spawn(exec.CommandContext(context.Background(), path, file), log)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s.answers() {
			return nil
		}
		select {
		case <-p.ended:
		default:
			if time.Now().Before(deadline) {
				continue
			}
		}
		s.Kill()
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%s does not answer: %s", s.options.Program, text[max(0, len(text)-2000):])
	}
}

func (s *RedisServer) configuration() ([]string, error) {
	lines := []string{"bind 127.0.0.1", "dir " + s.Dir, `save ""`, "daemonize no", "repl-diskless-sync-delay 0"}
	switch {
	case s.options.Socket:
		lines = append(lines, "port 0", "unixsocket "+s.socket())
	case s.options.TLS:
		if err := s.certify(); err != nil {
			return nil, err
		}
		lines = append(lines, "port 0", fmt.Sprintf("tls-port %d", s.Port), "tls-cert-file "+s.CA, "tls-key-file "+s.CA+".key", "tls-ca-cert-file "+s.CA,
			"tls-auth-clients no")
	default:
		lines = append(lines, fmt.Sprintf("port %d", s.Port))
	}
	if s.options.Password != "" {
		lines = append(lines, "requirepass "+s.options.Password)
	}
	return append(lines, s.options.Lines...), nil
}

func (s *RedisServer) socket() string { return filepath.Join(s.Dir, "socket") }

// Client is a client of the server as its administrator. The test closes it.
func (s *RedisServer) Client() *redis.Client {
	o := &redis.Options{Addr: s.Addr(), Password: s.options.Password, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true}
	if s.options.Socket {
		o.Network, o.Addr = "unix", s.socket()
	}
	if s.options.TLS {
		o.TLSConfig = trusting(s.CA)
	}
	return redis.NewClient(o)
}

// answers says whether the server answers, be it that it is still busy.
func (s *RedisServer) answers() bool {
	c := s.Client()
	defer c.Close()
	err := c.Ping(context.Background()).Err()
	return err == nil || redis.IsAuthError(err) || redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "NOPERM") || redis.IsLoadingError(err)
}

// Addr is host:port.
func (s *RedisServer) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// Address is the server's URL.
func (s *RedisServer) Address() string {
	user := ""
	if s.options.Password != "" {
		user = ":" + s.options.Password + "@"
	}
	switch {
	case s.options.Socket:
		return "unix://" + user + s.socket()
	case s.options.TLS:
		return "rediss://" + user + s.Addr() + "?ca=" + s.CA
	}
	return "redis://" + user + s.Addr()
}

// Kill ends the server at once, as a crash does.
func (s *RedisServer) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Hang stops the server where it is, until the function that it returns is called.
func (s *RedisServer) Hang() (goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	p.signal(syscall.SIGSTOP)
	return func() { p.signal(syscall.SIGCONT) }
}

// With adds lines to the configuration, for the next start.
func (s *RedisServer) With(lines ...string) { s.options.Lines = append(s.options.Lines, lines...) }

// Start starts a server that was killed, on what it had on disk.
func (s *RedisServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}
