package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestLoad(t *testing.T) {
	var calls atomic.Int64
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-KEY") != "alice" || r.Method != http.MethodPut {
			t.Errorf("%s, key %q", r.Method, r.Header.Get("X-API-KEY"))
		}
		if calls.Add(1)%10 != 1 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	call := []string{"load", url, "-H", "X-API-KEY: alice", "-X", "PUT", "--rate", "10000/s", "-n", "200"}
	stdout, stderr, code := ended(t, append(call, "--expect", "20/hour")...)
	for _, want := range []string{"Sent      200 in ", "Admitted  20\n", "Refused   180\n", "Errors    0\n", "Latency   p50 ", "20/hour (sliding-window-log): HELD"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report does not say %q:\n%s", want, stdout)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if stdout, _, code = ended(t, append(call, "--expect", "19/hour")...); code != exitNo || !strings.Contains(stdout, "DID NOT HOLD. In any hour at most 19 are allowed; 20 were admitted") {
		t.Errorf("a limit that did not hold: exit code %d:\n%s", code, stdout)
	}
	stdout, _, code = ended(t, append(call, "--json", "--expect", "20/hour burst 20")...)
	var report map[string]any
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || strings.Count(stdout, "\n") != 1 || code != 0 {
		t.Fatalf("exit code %d, %v: %s", code, err, stdout)
	}
	for name, want := range map[string]float64{"sent": 200, "admitted": 20, "refused": 180, "errors": 0, "worst_window": 20} {
		if report[name] != want {
			t.Errorf("%s is %v, want %v", name, report[name], want)
		}
	}
	if latencies, ok := report["latencies"].(map[string]any); !ok || latencies["p99"] == nil {
		t.Errorf("latencies are %v", report["latencies"])
	}
}

// A run that is stopped early reports what it has done.
func TestLoadStoppedEarly(t *testing.T) {
	arrived := make(chan struct{}, 1000)
	url := service(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{} })
	p := startProcess(t, binary, "load", url, "--rate", "100/s", "--duration", "1h")
	for range 5 {
		<-arrived
	}
	if code := p.stop(syscall.SIGINT); code != 0 || !strings.Contains(p.text(), "Sent ") {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
}

func TestLoadBody(t *testing.T) {
	var body bytes.Buffer
	url := service(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			t.Errorf("method %s", r.Method)
		}
		_, _ = body.ReadFrom(r.Body)
	})
	file := write(t, "body", "from a file")
	if _, stderr, code := ended(t, "load", url, "--rate", "1/s", "-n", "1", "--body", "@"+file); code != 0 || body.String() != "from a file" {
		t.Errorf("exit code %d, body %q: %s", code, body.String(), stderr)
	}
}
