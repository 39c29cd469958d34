package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// asked is what came of asking a door for a moment.
func asked(t *testing.T, open func(context.Context, int) (asker, error), inFlight int) (calls int, err error) {
	t.Helper()
	a, err := open(t.Context(), inFlight)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	took, err := a.run(20 * time.Millisecond)
	return len(took), err
}

func TestHTTPAnswersAreChecked(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"user":`) || r.Header.Get("Authorization") != "Bearer k" {
			w.WriteHeader(http.StatusBadRequest)
		}
		answer := `{"allowed":true}`
		switch r.URL.Path {
		case "/refused":
			answer += `{"allowed":false}`
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/else":
			answer = "{}"
		case "/long":
			answer += strings.Repeat("x", 10_000)
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	body := func(user int) string { return fmt.Sprintf(`{"user":%d}`, user) }
	for path, good := range map[string]bool{"/short": true, "/long": true, "/refused": false, "/busy": false, "/else": false} {
		open := httpDoor(server.Listener.Addr().String(), path, "Authorization: Bearer k", body, `"allowed":true`)
		if calls, err := asked(t, open, 3); (err == nil) != good || good && calls < 3 {
			t.Errorf("%s: %d calls, %v", path, calls, err)
		}
	}
}

func TestRPCAnswersAreChecked(t *testing.T) {
	for _, c := range []struct {
		code   byte
		status string
		good   bool
	}{{1, "0", true}, {2, "0", false}, {1, "14", false}} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			message, err := io.ReadAll(r.Body)
			if err != nil {
				return // a client that has read a wrong answer leaves in the middle of its other calls
			}
			if len(message) < 5 || int(message[4]) != len(message)-5 || !strings.HasPrefix(string(message[5:]), "\x0a\x05bench\x12") {
				t.Errorf("asked %q", message)
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write([]byte{0, 0, 0, 0, 2, 1 << 3, c.code})
			w.Header().Set("Grpc-Status", c.status)
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		if calls, err := asked(t, rpcDoor(server.Listener.Addr().String(), 1), 3); (err == nil) != c.good || c.good && calls < 3 {
			t.Errorf("%+v: %d calls, %v", c, calls, err)
		}
		server.Close()
	}
}

func TestReport(t *testing.T) {
	var figures []figure
	for round, n := range []int{100, 300, 200} {
		figures = append(figures,
			figure{Round: round, Door: jsonOne, InFlight: 16, Decisions: n, Elapsed: time.Second, Own: time.Duration(n) * 40 * time.Microsecond},
			figure{Round: round, Door: takeOne, InFlight: 16, Decisions: 4 * n, Elapsed: time.Second, Own: time.Duration(n) * 40 * time.Microsecond})
	}
	text := report(figures)
	for _, want := range []string{
		"| " + takeOne + " | 0 | 800 | 0 |\n| " + jsonOne + " | 0 | 200 | 0 |\n",
		"| " + takeOne + " | 0.0 | 10.0 | 0.0 |\n| " + jsonOne + " | 0.0 | 40.0 | 0.0 |\n",
		"| " + takeOne + " to " + jsonOne + " | 0.0, 0.000 | 4.0, 0.250 | 0.0, 0.000 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}
