package main

import (
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/storetest/servers"
)

// silent is a listener that takes connections and says nothing, until the test ends.
func silent(t *testing.T) *relay { return relayTo(t, "", 1<<30) }

// relay is a listener before a server, whose first connections it keeps without a word.
type relay struct {
	net.Listener
	kept  chan net.Conn // those that it keeps, as they come
	count atomic.Int64
}

func relayTo(t *testing.T, server string, keep int64) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, kept: make(chan net.Conn, 64)}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	opened := func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		open = append(open, c)
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			opened(c)
			if r.count.Add(1) <= keep {
				r.kept <- c
				continue
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				_ = c.Close()
				continue
			}
			opened(to)
			all.Go(func() { _, _ = io.Copy(to, c); _ = to.Close() })
			all.Go(func() { _, _ = io.Copy(c, to); _ = c.Close() })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return r
}

// A collector of traces that does not answer costs traces at the stop, not the last usage.
func TestStopWritesUsage(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+silent(t).Addr().String())
	folder := t.TempDir()
	p := start(t, "serve", "--data", folder)
	key := firstKey(p)
	for range 5 {
		ask(t, p.url+"/limit", "X-API-KEY: "+key)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	p = start(t, "serve", "--data", folder)
	_, answer := asAdmin(p, "GET", "/v1/usage?step=day&from=0", "")
	if rows := answer["rows"].([]any); len(rows) != 1 || rows[0].(map[string]any)["admitted"].(float64) != 5 {
		t.Errorf("after a stop the usage is %v", rows)
	}
}

// A policy that changes while the service starts is in force, too; and a connection to the accounts' database that never says a word is given
// up for another one.
func TestSilentDatabase(t *testing.T) {
	address := servers.Postgres(t).Database(t)
	before, after, _ := strings.Cut(address, "@")
	host, rest, _ := strings.Cut(after, "/")
	r := relayTo(t, host, 2)
	address = before + "@" + r.Addr().String() + "/" + rest
	policy := "accounts: " + address + "\nlimits: {l: %s}\nroutes: [{match: {path: /x}, key: address, limits: [l], respond: {body: in}}]\n"
	file := write(t, "stint.yaml", strings.ReplaceAll(policy, "%s", "5/hour"))
	p := startProcess(t, binary, "serve", "-c", file, "--data", t.TempDir(), "--admin", "none", "--listen", "127.0.0.1:0")
	first := <-r.kept // the policy is read, and the service waits for the database
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(policy, "%s", "1000/hour")), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	p.url = p.waitFor(`listens on (http://\S+[0-9])`)[1]
	until(t, "the new policy is in force", func() bool {
		res, _ := ask(t, p.url+"/x")
		return strings.Contains(res.Header.Get("RateLimit-Policy"), "q=1000")
	})
	<-r.kept // and is kept
	begun := time.Now()
	p.waitFor("the accounts' database is there")
	t.Log("after", time.Since(begun))
}

// A database that comes after the start, and that a newer version has used, is told of: nothing would ever come of waiting.
func TestNewerDatabaseComes(t *testing.T) {
	server := servers.NewMariaDB(t)
	address := server.Database(t)
	db, err := database.Open(t.Context(), address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), "INSERT INTO stint_migration (version_id, is_applied) VALUES (999, true)"); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	p := start(t, "serve", "--accounts", address, "--admin", "none")
	server.Start(t)
	p.waitFor("update this one")
}
