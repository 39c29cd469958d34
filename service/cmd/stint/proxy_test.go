package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// The main job: a real service behind stint proxy, under stint load with 64 connections, gets exactly what the limit allows.
func TestProxyAdmitsExactlyWhatTheLimitAllows(t *testing.T) {
	for _, backend := range []struct {
		name  string
		start func(*testing.T) (url string, served func() int)
	}{{"http.server", startPython}, {"nginx", startNginx}} {
		t.Run(backend.name, func(t *testing.T) {
			upstream, served := backend.start(t)
			before := 0
			for _, c := range []struct {
				limit string
				want  int64
			}{
				{"100/hour", 100},
				{"40/day burst 60", 60}, // one more after 36 minutes
				{"50/day interval-bucket", 50},
				{"100/hour; 70/day", 70},
			} {
				p := start(t, "proxy", "--upstream", upstream, "--limit", c.limit)
				report, code := loadJSON(t, p.url+"/", "--rate", "1000/s", "--requests", "1000", "--connections", "64", "--expect", c.limit)
				if report.Admitted != c.want || report.Refused != 1000-c.want || report.WorstWindow != c.want || code != 0 || !report.Held {
					t.Errorf("%s: %d admitted, %d refused, worst window %d, exit code %d, held %v; want exactly %d admitted: %v",
						c.limit, report.Admitted, report.Refused, report.WorstWindow, code, report.Held, c.want, report.ErrorsByKind)
				}
				if code := p.stop(syscall.SIGTERM); code != 0 {
					t.Errorf("exit code %d\n%s", code, p.text())
				}
				if now := served(); now-before != int(c.want) {
					t.Errorf("%s: the service saw %d requests, want %d", c.limit, now-before, c.want)
				}
				before = served()
			}
		})
	}
}

// startPython is Python's http.server, which counts what it serves in its log.
func startPython(t *testing.T) (url string, served func() int) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip("no /usr/bin/python3 on this machine")
	}
	// As python3 -m http.server, with room for 64 connections at once: by itself it leaves five waiting and drops the rest.
	p := startProcess(t, python, "-u", "-c", `
import http.server
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
server = Server(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print("listens on http://127.0.0.1:%d" % server.server_address[1])
server.serve_forever()
`)
	return p.waitFor(`listens on (\S+[0-9])\n`)[1], func() int { return strings.Count(p.text(), `"GET / HTTP/1.1" 200`) }
}

func startNginx(t *testing.T) (url string, served func() int) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's worker may run as another user
		t.Fatal(err)
	}
	port := freePort(t)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { worker_connections 512; }
http {
  access_log %[1]s/access.log;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen 127.0.0.1:%[2]s; location / { return 200 "hello\n"; } location = /ready { access_log off; return 204; } }
}`, dir, port)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, nginx, "-p", dir, "-c", file)
	url = "http://127.0.0.1:" + port
	for {
		if res, err := http.Get(url + "/ready"); err == nil {
			_ = res.Body.Close()
			break
		}
		select {
		case <-p.ended:
			t.Fatalf("nginx ended:\n%s", p.text())
		default:
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return url, func() int {
		log, err := os.ReadFile(filepath.Join(dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(log), "\n")
	}
}

// service is an upstream in this process.
func service(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestProxyHeaders(t *testing.T) {
	upstream := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("RateLimit", `"upstream";r=3;t=60`)
		w.Header().Set("RateLimit-Policy", `"upstream";q=5;w=60`)
		w.Header().Set("X-RateLimit-Limit", "5")
		w.Header().Set("X-RateLimit-Remaining", "3")
		w.Header().Set("X-RateLimit-Reset", "60")
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints) // after which a reverse proxy has lost its headers, if it is not careful
	})
	p := start(t, "proxy", "--upstream", upstream, "--limit", "10/hour")
	res, _ := ask(t, p.url)
	if all := strings.Join(res.Header.Values("RateLimit"), ", "); !strings.Contains(all, `"upstream";r=3;t=60`) || !strings.Contains(all, `"10/hour";r=9`) {
		t.Errorf("RateLimit: %s", all)
	}
	if all := strings.Join(res.Header.Values("RateLimit-Policy"), ", "); !strings.Contains(all, `"upstream";q=5;w=60`) || !strings.Contains(all, `"10/hour";q=10;w=3600`) {
		t.Errorf("RateLimit-Policy: %s", all)
	}
	p = start(t, "proxy", "--upstream", upstream, "--limit", "10/hour", "--headers", "x-seconds")
	if res, _ = ask(t, p.url); res.Header.Get("X-RateLimit-Remaining") != "3" {
		t.Errorf("the upstream's stricter X-RateLimit-Remaining was loosened: %v", res.Header)
	}
	p = start(t, "proxy", "--upstream", upstream, "--limit", "2/hour", "--headers", "none")
	_, _ = ask(t, p.url)
	_, _ = ask(t, p.url)
	res, body := ask(t, p.url)
	if res.StatusCode != 429 || res.Header.Get("RateLimit") != "" || res.Header.Get("Retry-After") == "" ||
		!strings.HasPrefix(body, "Rate limit exceeded. Try again in ") {
		t.Errorf("%s %v %q", res.Status, res.Header, body)
	}
}

func TestProxyKeys(t *testing.T) {
	upstream := service(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})
	for _, c := range []struct {
		name  string
		flags []string
		calls [][]string // headers
		want  []int
	}{
		{"by address, whatever the client says of it", nil,
			[][]string{{"X-Forwarded-For: 1.1.1.1"}, {"X-Forwarded-For: 2.2.2.2"}}, []int{200, 429}},
		{"by the address that a trusted proxy reports", []string{"--trusted-proxy", "127.0.0.1"},
			[][]string{{"X-Forwarded-For: 9.9.9.9, 1.1.1.1"}, {"X-Forwarded-For: 8.8.8.8, 1.1.1.1"}, {"X-Forwarded-For: 2.2.2.2"}}, []int{200, 429, 200}},
		{"by a header", []string{"--key", "header:X-User"}, [][]string{{"X-User: a"}, {"X-User: a"}, {"X-User: b"}, nil}, []int{200, 429, 200, 401}},
		{"by two", []string{"--key", "address+header:X-User"}, [][]string{{"X-User: a"}, {"X-User: a"}, {"X-User: b"}}, []int{200, 429, 200}},
		{"all together", []string{"--key", "fixed:all"}, [][]string{nil, nil}, []int{200, 429}},
		{"in shadow", []string{"--shadow"}, [][]string{nil, nil}, []int{200, 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, append([]string{"proxy", "--upstream", upstream, "--limit", "1/hour"}, c.flags...)...)
			for i, headers := range c.calls {
				res, _ := ask(t, p.url, headers...)
				if res.StatusCode != c.want[i] {
					t.Errorf("call %d with %q: %s, want %d", i+1, headers, res.Status, c.want[i])
				}
				if shadowed := res.Header.Get("Stint-Shadow"); (shadowed != "") != (c.name == "in shadow" && i == 1) {
					t.Errorf("call %d: Stint-Shadow %q", i+1, shadowed)
				}
			}
		})
	}
}

// Streams and upgrades pass the limiter, too, and a stop lets them end.
func TestProxyStreams(t *testing.T) {
	release := make(chan struct{})
	upstream := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			kind, text, err := conn.Read(r.Context())
			if err == nil {
				err = conn.Write(r.Context(), kind, text)
			}
			if err != nil {
				t.Error(err)
			}
			_, _, _ = conn.Read(r.Context()) // the client's close
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "data: 2\n\n")
	})
	p := start(t, "proxy", "--upstream", upstream, "--limit", "2/hour")
	socket, _, err := websocket.Dial(t.Context(), p.url+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", p.url+"/events", nil)
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	if line, err := events.ReadString('\n'); line != "data: 1\n" || err != nil {
		t.Fatalf("event %q, %v", line, err)
	}
	if over, _ := ask(t, p.url+"/events"); over.StatusCode != 429 {
		t.Errorf("third call: %s", over.Status)
	}
	stopped := make(chan int)
	go func() { stopped <- p.stop(syscall.SIGTERM) }()
	p.waitFor(`msg=stopping in_flight=2`)
	if err := socket.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Error(err)
	}
	if _, text, err := socket.Read(t.Context()); string(text) != "still here" || err != nil {
		t.Errorf("websocket while draining: %q, %v", text, err)
	}
	_ = socket.Close(websocket.StatusNormalClosure, "")
	close(release)
	if rest, err := io.ReadAll(events); string(rest) != "\ndata: 2\n\n" || err != nil {
		t.Errorf("events while draining: %q, %v", rest, err)
	}
	if code := <-stopped; code != 0 {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
}

func TestProxyStopIsBounded(t *testing.T) {
	arrived := make(chan struct{}, 2)
	upstream := service(t, func(_ http.ResponseWriter, r *http.Request) { arrived <- struct{}{}; <-r.Context().Done() })
	hang := func(url string) chan error {
		ended := make(chan error, 1)
		go func() {
			transport := &http.Transport{DisableKeepAlives: true}
			r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			res, err := transport.RoundTrip(r)
			if err == nil {
				_ = res.Body.Close()
				err = fmt.Errorf("answered %s", res.Status)
			}
			ended <- err
		}()
		return ended
	}
	p := start(t, "proxy", "--upstream", upstream, "--limit", "unlimited", "--drain", "50ms")
	answer := hang(p.url)
	<-arrived
	if code := p.stop(syscall.SIGTERM); code != exitFailed || !strings.Contains(p.text(), "cut=1") {
		t.Errorf("after the drain: exit code %d\n%s", code, p.text())
	}
	<-answer
	p = start(t, "proxy", "--upstream", upstream, "--limit", "unlimited", "--drain", "1h")
	answer = hang(p.url)
	<-arrived
	_ = p.Process.Signal(syscall.SIGINT)
	p.waitFor("msg=stopping")
	if code := p.stop(syscall.SIGINT); code != exitSignal+int(syscall.SIGINT) {
		t.Errorf("second signal: exit code %d", code)
	}
	<-answer
}

func TestProxyUpstreamDown(t *testing.T) {
	down := "http://127.0.0.1:" + freePort(t)
	p := start(t, "proxy", "--upstream", down, "--limit", "1/hour")
	res, body := ask(t, p.url)
	if res.StatusCode != 502 || !strings.Contains(body, down) || !strings.Contains(body, "connection refused") || !strings.Contains(body, "Check that") {
		t.Errorf("%s: %s", res.Status, body)
	}
	p.waitFor(`level=ERROR msg="upstream failed" upstream=` + down)
}
