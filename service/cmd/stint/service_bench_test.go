package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bareServer has the test binary serve a handler that does nothing, in place of tests: what every Go service costs at least.
const bareServer = "STINT_BENCH_BARE"

func init() {
	address := os.Getenv(bareServer)
	if address == "" {
		return
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"message": "Hello! You are within your limit."}`)
	})))
	os.Exit(1)
}

// BenchmarkService is what a request costs the service's own process, over the loopback interface, beside a handler that does nothing:
//
//	go test ./cmd/stint -run '^$' -bench Service
//
// The command bench/cmd/services measures the decision API beside that of others.
func BenchmarkService(b *testing.B) {
	file := b.TempDir() + "/stint.yaml"
	if err := os.WriteFile(file, []byte("limits: {wide: 1000000/s burst 1000000000}\nroutes: [{match: {path: /limit}, require: api-key, key: user, limits: [wide], respond: {body: '{\"message\": \"Hello! You are within your limit.\"}'}}]\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	bareURL, barePID := benched(b, exec.Command(os.Args[0]), bareServer, "")
	serve := exec.Command(binary, "serve", "-c", file, "--data", b.TempDir(), "--admin", "127.0.0.1:0", "--snapshot", "none")
	url, pid := benched(b, serve, "", "--listen")
	key := ""
	for key == "" {
		if _, after, ok := strings.Cut(serve.Stdout.(*output).String(), "this once:\n  "); ok {
			key, _, _ = strings.Cut(after, "\n")
		}
	}
	take := `{"limit": "wide", "key": "user:alice"}`
	for _, connections := range []int{1, 16, 64} {
		for _, c := range []struct {
			name, method, url, body string
			pid, decisions          int
		}{
			{"bare", "GET", bareURL + "/limit", "", barePID, 1},
			{"limit", "GET", url + "/limit", "", pid, 1},
			{"take", "POST", url + "/v1/take", take, pid, 1},
			{"take64", "POST", url + "/v1/take", `{"calls": [` + strings.Repeat(take+",", 63) + take + `]}`, pid, 64},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, connections), func(b *testing.B) {
				transport := &http.Transport{MaxIdleConnsPerHost: connections}
				defer transport.CloseIdleConnections()
				var left atomic.Int64
				left.Store(int64(b.N))
				before := cpuOf(b, c.pid)
				var wait sync.WaitGroup
				b.ResetTimer()
				for range connections {
					wait.Go(func() {
						for left.Add(-1) >= 0 {
							r, _ := http.NewRequest(c.method, c.url, strings.NewReader(c.body))
							r.Header.Set("X-API-KEY", key)
							res, err := transport.RoundTrip(r)
							if err != nil {
								b.Error(err)
								return
							}
							_, _ = io.Copy(io.Discard, res.Body)
							_ = res.Body.Close()
							if res.StatusCode != http.StatusOK {
								b.Errorf("%s", res.Status)
								return
							}
						}
					})
				}
				wait.Wait()
				b.StopTimer()
				n := float64(b.N * c.decisions)
				b.ReportMetric(n/b.Elapsed().Seconds(), "decisions/s")
				b.ReportMetric(float64((cpuOf(b, c.pid)-before).Microseconds())/n, "own-µs/decision")
			})
		}
	}
}

// output keeps what a program prints.
type output struct {
	mu sync.Mutex
	bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Buffer.String()
}

// freeAddress is one that nobody listens on.
func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// benched starts a server on a free port, which it is told by an environment variable or a flag.
func benched(b *testing.B, cmd *exec.Cmd, variable, flag string) (url string, pid int) {
	b.Helper()
	address := freeAddress(b)
	if variable != "" {
		cmd.Env = append(os.Environ(), variable+"="+address)
	} else {
		cmd.Args = append(cmd.Args, flag, address)
	}
	return started(b, cmd, address)
}

// started starts a server, and waits until it listens.
func started(b *testing.B, cmd *exec.Cmd, address string) (url string, pid int) {
	b.Helper()
	cmd.Stdout = &output{}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 500 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return "http://" + address, cmd.Process.Pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("the server does not listen")
	return "", 0
}

// cpuOf is the processor time that a process has used.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Skip("processor times are read from /proc")
	}
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100
}
