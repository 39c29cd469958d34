package redisstore

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The tests of this package need what is not for others to see, and a server of their own. All others are in module storetest.
var server struct {
	once    sync.Once
	command *exec.Cmd
	address string
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.command != nil {
		_ = server.command.Process.Kill() // it may have ended by itself
		_ = server.command.Wait()
	}
	os.Exit(code)
}

// emptied sees to it that the server of all tests runs and holds nothing, so that a test can be repeated.
func emptied(t *testing.T) {
	t.Helper()
	server.once.Do(func() { server.err = startServer() })
	if server.err != nil {
		if _, err := exec.LookPath("redis-server"); err != nil {
			t.Skip("redis-server is not on this machine; `make servers` installs it")
		}
		t.Fatal(server.err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.address})
	defer client.Close()
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// opened is a store on the server of all tests, which a test has emptied before.
func opened(t *testing.T, o Options) *Store {
	t.Helper()
	o.Timeout = 30 * time.Second // the machine may be busy
	s, err := Open(t.Context(), "redis://"+server.address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func startServer() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server.address = l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir, err := os.MkdirTemp("", "stint-redis-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--save", "", "--dir", dir)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	server.command = c
	client := redis.NewClient(&redis.Options{Addr: server.address})
	defer client.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err = client.Ping(context.Background()).Err(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
