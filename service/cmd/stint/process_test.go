package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stint-go/stint/storetest/servers"
	"go.uber.org/goleak"
)

// binary is the program, built once as a user builds it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "stint")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "stint")
	code := 1
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building stint: %v\n%s", err, out)
	} else {
		code = m.Run()
		servers.End()
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// ended runs the program to its end.
func ended(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return fed(t, "", args...)
}

// fed runs the program to its end, with a standard input.
func fed(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "STINT_DATA="+t.TempDir(), "STINT_ADMIN=127.0.0.1:0")
	cmd.Stdin = strings.NewReader(input)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if failed := cmd.Run(); failed != nil {
		if _, exited := errors.AsType[*exec.ExitError](failed); !exited {
			t.Fatal(failed)
		}
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// process is a program that goes on until it is stopped.
type process struct {
	*exec.Cmd
	t     *testing.T
	url   string
	ended chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	said   chan struct{} // gets a value when there is more output
}

// Write takes what the program prints.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.said <- struct{}{}:
	default:
	}
	return p.output.Write(text)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// waitFor waits until the program has printed what fits, and returns it.
func (p *process) waitFor(pattern string) []string {
	p.t.Helper()
	looked := regexp.MustCompile(pattern)
	late := time.After(time.Minute)
	for {
		if found := looked.FindStringSubmatch(p.text()); found != nil {
			return found
		}
		select {
		case <-p.said:
		case <-p.ended:
			if looked.MatchString(p.text()) {
				continue
			}
			p.t.Fatalf("it ended and did not print %q:\n%s", pattern, p.text())
		case <-late:
			p.t.Fatalf("it did not print %q:\n%s", pattern, p.text())
		}
	}
}

// stop sends the signal and returns the exit code, -1 if the signal killed it.
func (p *process) stop(signal os.Signal) int {
	_ = p.Process.Signal(signal) // it may have ended by itself
	<-p.ended
	return p.ProcessState.ExitCode()
}

// startProcess starts a program that is stopped at the end of the test.
func startProcess(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := newProcess(t, name, args...)
	p.begin(func() {})
	return p
}

// newProcess is a program that is yet to begin.
func newProcess(t *testing.T, name string, args ...string) *process {
	p := &process{Cmd: exec.Command(name, args...), t: t, ended: make(chan struct{}), said: make(chan struct{}, 1)}
	p.Stdout, p.Stderr = p, p
	return p
}

// begin starts the program and sees to it that it ends with the test. collect returns when all that it printed has been read.
func (p *process) begin(collect func()) {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { collect(); _ = p.Wait(); close(p.ended) }()
	p.t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
	})
}

// start starts stint serve or proxy on a free port.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	if args[0] == "serve" {
		for _, flag := range [][]string{{"--data", t.TempDir()}, {"--admin", "127.0.0.1:0"}} {
			if !slices.Contains(args, flag[0]) {
				args = append(args, flag...)
			}
		}
	}
	p := startProcess(t, binary, append(args, "--listen", "127.0.0.1:0")...)
	p.url = p.waitFor(`listens on (http://\S+[0-9])`)[1]
	return p
}

// ask sends a request with headers "Name: value" and returns the answer and its body.
func ask(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Header, err = parseHeaders(headers); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res, body.String()
}

// loaded is what stint load --json prints.
type loaded struct {
	Sent, Admitted, Refused, Errors int64
	WorstWindow                     int64            `json:"worst_window"`
	ErrorsByKind                    map[string]int64 `json:"errors_by_kind"`
	Latencies                       map[string]any
	Held                            bool
}

// loadJSON runs stint load and reads its report.
func loadJSON(t *testing.T, args ...string) (report loaded, code int) {
	t.Helper()
	stdout, stderr, code := ended(t, append([]string{"load", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s\n%s", err, stdout, stderr)
	}
	if report.Sent != report.Admitted+report.Refused+report.Errors {
		t.Errorf("sent %d is not admitted %d + refused %d + errors %d", report.Sent, report.Admitted, report.Refused, report.Errors)
	}
	return report, code
}

// freePort is a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	return port
}

// write writes a file for the test and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStopSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, "serve")
		if code := p.stop(signal); code != 0 || !strings.Contains(p.text(), "msg=stopped") {
			t.Errorf("%v: exit code %d\n%s", signal, code, p.text())
		}
	}
}

// contents are those of a file.
func contents(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
