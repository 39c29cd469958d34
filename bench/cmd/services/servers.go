package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// batch is how many decisions the doors ask for that ask for many in one call.
const batch = 64

// The names of the doors, in the order of the tables.
const (
	takeOne  = "Stint, `POST /v1/take`"
	takeMany = "Stint, 64 calls in one"
	jsonOne  = "envoyproxy, `POST /json`"
	rpcOne   = "envoyproxy, gRPC"
	jsonMany = "envoyproxy, `POST /json`, 64 descriptors in one"
	rpcMany  = "envoyproxy, gRPC, 64 descriptors in one"
)

var doorNames = []string{takeOne, takeMany, jsonOne, rpcOne, jsonMany, rpcMany}

// users is how many keys the calls go around.
const users = 1024

// door is a way to ask a server.
type door struct {
	name      string
	decisions int // of a call
	server    *server
	redis     *server // nil if there is none
	open      func(ctx context.Context, inFlight int) (asker, error)
}

// asker asks without a pause for a time, and tells how long each call took.
type asker interface {
	run(span time.Duration) ([]time.Duration, error)
	close()
}

// server is a program that runs.
type server struct {
	cmd     *exec.Cmd
	address string
}

// used is the processor time that a server has used so far.
func (s *server) used() time.Duration {
	if s == nil {
		return 0
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100
}

// started are the servers, and the doors to them.
type started struct {
	dir     string
	servers []*server
	doors   []door
}

func (s *started) stop() {
	for _, one := range s.servers {
		_ = one.cmd.Process.Kill()
		_ = one.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// start starts all servers.
func start(ctx context.Context, stint, envoy string) (s *started, err error) {
	s = &started{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "services"); err != nil {
		return nil, err
	}
	addresses, err := free(6)
	if err != nil {
		return nil, err
	}
	if err := s.startStint(ctx, stint, addresses[0], addresses[1]); err != nil {
		return nil, err
	}
	if envoy == "" {
		return s, nil
	}
	return s, s.startEnvoy(ctx, envoy, addresses[2], addresses[3], addresses[4], addresses[5])
}

func (s *started) startStint(ctx context.Context, program, address, admin string) error {
	policy := "limits: {wide: 1000000/s burst 1000000000}\nroutes: [{match: {path: /**}, key: address, limits: [wide]}]\n"
	file, err := s.file("stint.yaml", policy)
	if err != nil {
		return err
	}
	ours, err := s.server(ctx, address, nil, program, "serve", "-c", file, "--data", filepath.Join(s.dir, "data"), "--listen", address, "--admin", admin, "--snapshot", "none")
	if err != nil {
		return err
	}
	key, err := s.key(ours)
	if err != nil {
		return err
	}
	call := func(user int) string { return fmt.Sprintf(`{"limit":"wide","key":"user:%d"}`, user) }
	many := func(user int) string { return `{"calls":[` + joined(user, call) + `]}` }
	header := "Authorization: Bearer " + key
	s.doors = append(s.doors,
		door{takeOne, 1, ours, nil, httpDoor(address, "/v1/take", header, call, `"allowed":true`)},
		door{takeMany, batch, ours, nil, httpDoor(address, "/v1/take", header, many, `"allowed":true`)},
	)
	return nil
}

// key is the API key that Stint prints when it is first started.
func (s *started) key(of *server) (string, error) {
	for range 500 {
		text, err := os.ReadFile(of.cmd.Stdout.(*os.File).Name())
		if err != nil {
			return "", err
		}
		if _, after, ok := strings.Cut(string(text), "this once:\n  "); ok {
			if key, _, ok := strings.Cut(after, "\n"); ok {
				return key, nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", errors.New("stint prints no API key")
}

func (s *started) startEnvoy(ctx context.Context, program, redis, address, rpc, debug string) error {
	behind, err := s.server(ctx, redis, nil, "redis-server", "--bind", "127.0.0.1", "--port", port(redis), "--save", "", "--dir", s.dir)
	if err != nil {
		return err
	}
	if _, err := s.file("runtime/config/bench.yaml", "domain: bench\ndescriptors:\n- key: user\n  rate_limit: {unit: hour, requests_per_unit: 4000000000}\n"); err != nil {
		return err
	}
	theirs, err := s.server(ctx, address, []string{
		"RUNTIME_ROOT=" + s.dir, "RUNTIME_SUBDIRECTORY=runtime", "RUNTIME_WATCH_ROOT=false", "USE_STATSD=false", "DISABLE_STATS=true", "LOG_LEVEL=error",
		"REDIS_SOCKET_TYPE=tcp", "REDIS_URL=" + redis, "HOST=127.0.0.1", "PORT=" + port(address), "GRPC_HOST=127.0.0.1", "GRPC_PORT=" + port(rpc),
		"DEBUG_HOST=127.0.0.1", "DEBUG_PORT=" + port(debug),
	}, program)
	if err != nil {
		return err
	}
	if err := listens(ctx, rpc); err != nil {
		return err
	}
	descriptor := func(user int) string { return fmt.Sprintf(`{"entries":[{"key":"user","value":"%d"}]}`, user) }
	call := func(user int) string { return `{"domain":"bench","descriptors":[` + descriptor(user) + `]}` }
	many := func(user int) string { return `{"domain":"bench","descriptors":[` + joined(user, descriptor) + `]}` }
	s.doors = append(s.doors,
		door{jsonOne, 1, theirs, behind, httpDoor(address, "/json", "", call, "overallCode")},
		door{jsonMany, batch, theirs, behind, httpDoor(address, "/json", "", many, "overallCode")},
		door{rpcOne, 1, theirs, behind, rpcDoor(rpc, 1)},
		door{rpcMany, batch, theirs, behind, rpcDoor(rpc, batch)},
	)
	return nil
}

// joined are the texts of as many users as a batch has.
func joined(first int, text func(user int) string) string {
	all := make([]string, batch)
	for i := range all {
		all[i] = text((first + i) % users)
	}
	return strings.Join(all, ",")
}

func (s *started) file(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// server starts a program, and waits until it listens. What it prints goes to a file.
func (s *started) server(ctx context.Context, address string, environment []string, program string, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), environment...)
	printed, err := os.Create(filepath.Join(s.dir, fmt.Sprintf("printed%d", len(s.servers))))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = printed, printed
	defer printed.Close()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	one := &server{cmd, address}
	s.servers = append(s.servers, one)
	if err := listens(ctx, address); err != nil {
		text, _ := os.ReadFile(printed.Name()) // the error says enough without
		return nil, fmt.Errorf("%s: %w\n%s", program, err, text)
	}
	return one, nil
}

func listens(ctx context.Context, address string) error {
	for range 500 {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("it does not listen on " + address)
}

// free are addresses that nobody listens on.
func free(n int) (addresses []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, nil
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address) // it was made by free
	return port
}
