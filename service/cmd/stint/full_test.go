package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/usage"
)

// inHere is stint serve within the test's process, without a listener.
type inHere struct {
	*job
	*policyServer
	t   *testing.T
	key string // of the first user
}

func serveInHere(t *testing.T) *inHere {
	t.Helper()
	nobody, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &serveCommand{Data: t.TempDir(), Admin: "127.0.0.1:0", AdminToken: strings.Repeat("t", 32), serving: serving{MaxKeys: 10_000, Snapshot: "none"}}
	p, err := c.policy()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openData(c.Data)
	if err != nil {
		t.Fatal(err)
	}
	s := &inHere{job: &job{log: slog.New(slog.DiscardHandler)}, t: t}
	if s.policyServer, err = c.start(t.Context(), &terminal{out: nobody, err: nobody}, s.job, d, p); err != nil {
		t.Fatal(err)
	}
	if _, s.key, err = s.callers.accounts.CreateKey(t.Context(), accounts.FirstUser, accounts.KeyOptions{Scopes: policy.ScopeDecide}); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	ctx, end := context.WithCancel(context.Background())
	for _, other := range s.background {
		others.Go(func() { other(ctx) })
	}
	t.Cleanup(func() {
		end()
		others.Wait()
		if err := s.job.close(context.Background()); err != nil {
			t.Error(err)
		}
		_, _ = d.close(), nobody.Close()
	})
	return s
}

func (s *inHere) ask(h http.Handler, method, path, key, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("X-API-KEY", key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// pages bounds how large the accounts' file may grow, as a full disk does: on every connection, since each has a bound of its own.
func (s *inHere) pages(most int) {
	s.t.Helper()
	var held []*sql.Rows
	for range 8 { // as many as there are: each that is held is another one
		rows, err := s.callers.db.Query(s.t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", most))
		if err != nil {
			s.t.Fatal(err)
		}
		rows.Next()
		held = append(held, rows)
	}
	for _, rows := range held {
		_ = rows.Close()
	}
}

// While the disk is full decisions go on, keys are known, and the health answer says that usage waits; it is written once there is room.
func TestFullDisk(t *testing.T) {
	s := serveInHere(t)
	s.pages(1) // no more than there are
	calls := 0
	take := func() {
		for range 300 {
			calls++
			code, body := s.ask(s.job.handler, "POST", "/v1/take", s.key, fmt.Sprintf(`{"limit": "per-key", "key": "k%d"}`, calls))
			if code != 200 || !strings.Contains(body, `"allowed":true`) {
				t.Fatalf("call %d: %d %s", calls, code, body)
			}
			// As many users as it takes to fill what room there is.
			s.callers.usage.Count(usage.Of{User: fmt.Sprint("a user with a long name, number ", calls), Route: "GET /limit"}, true, 1)
		}
	}
	ready := func() string {
		code, body := s.ask(s.job.handler, "GET", "/readyz", "", "")
		if code != 200 {
			t.Errorf("ready: %d %s", code, body)
		}
		return body
	}
	take()
	until(t, "the health answer says that usage waits", func() bool {
		take()
		return strings.Contains(ready(), "counts wait in memory")
	})
	take()
	s.pages(1 << 20)
	until(t, "usage is written", func() bool { return strings.Contains(ready(), `"usage":"ok"`) && s.callers.usage.Stats().Pending == 0 })
	if stats := s.callers.usage.Stats(); stats.Lost != 0 {
		t.Errorf("%+v", stats)
	}
	if err := s.callers.usage.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var admitted int
	if err := s.callers.db.QueryRow(t.Context(), "SELECT SUM(admitted) FROM api_key_usage WHERE step = 86400").Scan(&admitted); err != nil || admitted != 2*calls {
		t.Errorf("%d calls are written, want %d: %v", admitted, 2*calls, err)
	}
}

// What could not be decided was not refused, and is not counted as if it were.
func TestUndecidedIsNotCounted(t *testing.T) {
	s := serveInHere(t)
	for _, v := range []httplimit.Verdict{
		{Decision: stint.Decision{Reason: stint.Degraded, RetryAfter: stint.Unknown}}, // on-store-loss: closed
		{Decision: stint.Decision{Reason: stint.Degraded}, Err: errors.New("lost")},
		{Decision: stint.Decision{Reason: stint.Limited}}, // this one is
	} {
		v.Route = s.policyServer.handler.Policy().Routes[0]
		s.callers.count(&v)
	}
	rows, err := s.callers.usage.Rows(t.Context(), usage.Query{Step: usage.Day, From: time.Unix(0, 0), To: time.Now().Add(time.Hour)})
	if err != nil || len(rows) != 1 || rows[0].Refused != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
}
