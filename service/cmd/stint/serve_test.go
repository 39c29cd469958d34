package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestServeBuiltIn(t *testing.T) {
	folder := t.TempDir()
	p := start(t, "serve", "--data", folder)
	key := firstKey(p)
	for _, want := range []string{"10/s: 10 at once, at most 10 in any second", "curl -i -H 'X-API-KEY: " + key + "' " + p.url + "/limit"} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("at its start it does not say %q:\n%s", want, p.text())
		}
	}
	for what, headers := range map[string][]string{"without a key": nil, "with a malformed key": {"X-API-KEY: alice"}, "with an unknown key": {"X-API-KEY: stint_7CtILv3sgLhBunLdcUNkitSDmvisWMVyeVj3hRFXo"}} {
		if res, body := ask(t, p.url+"/limit", headers...); res.StatusCode != 401 {
			t.Errorf("%s: %s %q", what, res.Status, body)
		}
	}
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 200 || !strings.Contains(res.Header.Get("RateLimit"), ";r=9;") {
		t.Errorf("first call: %s, %v", res.Status, res.Header)
	}
	// However long it takes, ten come in and no second has more.
	_, _, made := accountsOf(t, folder, "users", "create", "bob")
	second, _, code := accountsOf(t, folder, "keys", "create", "bob")
	report, loadCode := loadJSON(t, p.url+"/limit", "-H", "X-API-KEY: "+strings.TrimSpace(second), "--rate", "10000/s", "--requests", "300", "--expect", "10/s")
	if made != 0 || code != 0 || report.Admitted < 10 || report.WorstWindow > 10 || report.Errors != 0 || loadCode != 0 {
		t.Errorf("%d admitted, at most %d in a second, %d errors, exit codes %d and %d", report.Admitted, report.WorstWindow, report.Errors, code, loadCode)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.text())
	}
	// The key is known after a restart, and is not shown again.
	p = start(t, "serve", "--data", folder)
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode == 401 {
		t.Errorf("after a restart: %s", res.Status)
	}
	if strings.Contains(p.text(), key) || !strings.Contains(p.text(), "stint keys create NAME") {
		t.Errorf("at its second start it says:\n%s", p.text())
	}
}

// firstKey is the key that a first start prints.
func firstKey(p *process) string {
	p.t.Helper()
	return p.waitFor(`(?m)^  (stint_[0-9A-Za-z]+)$`)[1]
}

// accountsOf runs a command on the accounts in a data folder.
func accountsOf(t *testing.T, folder string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return ended(t, append(args, "--data", folder)...)
}

const hourly = `
limits: {hourly: %d/hour}
routes:
  - {match: {path: /a}, key: header:X-User, limits: [hourly], respond: {status: 200, body: %s}}
  - {match: {path: /up/**}, key: address, limits: [hourly], upstream: "%s"}
`

func TestServeFile(t *testing.T) {
	upstream := service(t, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "upstream ", r.URL.Path) })
	file := write(t, "stint.yaml", fmt.Sprintf(hourly, 10, "first", upstream))
	p := start(t, "serve", "-c", file)
	report, _ := loadJSON(t, p.url+"/a", "-H", "X-User: a", "--rate", "10000/s", "--requests", "30", "--expect", "10/hour")
	if report.Admitted != 10 || report.Refused != 20 || report.WorstWindow != 10 {
		t.Errorf("of 30 at once %d were admitted, %d refused; want exactly 10", report.Admitted, report.Refused)
	}
	if res, body := ask(t, p.url+"/up/b"); res.StatusCode != 200 || body != "upstream /up/b" {
		t.Errorf("%s %q", res.Status, body)
	}
	if res, _ := ask(t, p.url+"/nowhere"); res.StatusCode != 404 {
		t.Errorf("no route: %s", res.Status)
	}

	// A file with a mistake changes nothing; a good one holds at once, and the counts stay.
	replace(t, file, "limits: {hourly: 10/fortnight}\nroutes: []\n")
	_ = p.Process.Signal(syscall.SIGHUP)
	p.waitFor(`the last good one stays in force.*fortnight`)
	if res, body := ask(t, p.url+"/a", "X-User: b"); res.StatusCode != 200 || body != "first" {
		t.Errorf("after a bad file: %s %q", res.Status, body)
	}
	replace(t, file, fmt.Sprintf(hourly, 20, "second", upstream))
	_ = p.Process.Signal(syscall.SIGHUP)
	p.waitFor(`changed and is in force`)
	if res, body := ask(t, p.url+"/a", "X-User: b"); res.StatusCode != 200 || body != "second" {
		t.Errorf("after a good file: %s %q", res.Status, body)
	}
	// X-User a had used the whole of 10, so it has nothing of 20 either.
	if res, _ := ask(t, p.url+"/a", "X-User: a"); res.StatusCode != 429 {
		t.Errorf("a key that was empty under the old limit: %s", res.Status)
	}
	// A change is seen without a signal, too.
	replace(t, file, fmt.Sprintf(hourly, 30, "third without a signal", upstream))
	p.waitFor(`(?s)changed and is in force.*changed and is in force`)
	if _, body := ask(t, p.url+"/a", "X-User: c"); body != "third without a signal" {
		t.Errorf("after a change without a signal: %q", body)
	}
}

func replace(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestServeSnapshot(t *testing.T) {
	file := write(t, "stint.yaml", fmt.Sprintf(hourly, 3, "ok", "http://127.0.0.1:1"))
	counts := filepath.Join(t.TempDir(), "counts")
	for run, want := range [][]int{{200, 200}, {200, 429}} {
		p := start(t, "serve", "-c", file, "--snapshot", counts)
		for i := range want {
			if res, _ := ask(t, p.url+"/a", "X-User: a"); res.StatusCode != want[i] {
				t.Errorf("run %d, call %d: %s, want %d", run+1, i+1, res.Status, want[i])
			}
		}
		if code := p.stop(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.text())
		}
	}
	if err := os.Truncate(counts, 20); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := ended(t, "serve", "-c", file, "--snapshot", counts, "--listen", "127.0.0.1:0"); code != exitFailed || !strings.Contains(stderr, counts) {
		t.Errorf("damaged snapshot: exit code %d, %s", code, stderr)
	}
}

func TestServeTenThousandRoutes(t *testing.T) {
	const routes = 10_000
	var text strings.Builder
	text.WriteString("limits: {hourly: 2/hour}\nroutes:\n")
	for i := range routes {
		fmt.Fprintf(&text, "  - {match: {path: /a/%d, method: GET}, key: address, limits: [hourly], respond: {body: \"route %d\"}}\n", i, i)
	}
	file := write(t, "stint.yaml", text.String())
	if stdout, stderr, code := ended(t, "config", "check", file); code != 0 || !strings.Contains(stdout, "routes: 10000") {
		t.Fatalf("check: exit code %d: %s%s", code, stdout, stderr)
	}
	p := start(t, "serve", "-c", file)
	if !strings.Contains(p.text(), "and 9980 more routes") {
		t.Errorf("at its start it says:\n%s", p.text())
	}
	for _, c := range []struct {
		route  string
		status int
	}{{"0", 200}, {"9999", 200}, {"9999", 429}, {"10000", 404}} {
		res, body := ask(t, p.url+"/a/"+c.route)
		if res.StatusCode != c.status || c.status == 200 && body != "route "+c.route {
			t.Errorf("route %s: %s %q, want %d", c.route, res.Status, body, c.status)
		}
	}
}

// Each message is for somebody who is woken up by it.
func TestMessages(t *testing.T) {
	taken := strings.TrimPrefix(start(t, "serve").url, "http://")
	bad := write(t, "bad.yaml", "limits: {hourly: 10/hour}\nroutes:\n  - {key: address, limits: [hourle]}\n")
	redis := write(t, "redis.yaml", "store: redis://:secret@127.0.0.1\nlimits: {hourly: 10/hour}\nroutes: [{key: address, limits: [hourly]}]\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"serve", "--listen", taken}, 2, "another program listens there"},
		{[]string{"serve", "--listen", "8080"}, 2, "write HOST:PORT"},
		{[]string{"serve", "-c", "nowhere.yaml"}, 2, "stint config default > nowhere.yaml"},
		{[]string{"serve", "-c", bad}, 2, `bad.yaml:3:29: routes[0].limits[0]: unknown limit "hourle" (did you mean "hourly"?)`},
		{[]string{"serve", "-c", redis, "--snapshot", "counts"}, 2, "--snapshot is for counts in memory; these are kept by redis://…@127.0.0.1"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--store", "redsi://:secret@h"}, 2, "did you mean redis?"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--store", "redis://:secret@h?a=b"}, 2, "--store: stint: redis: address: an unknown option"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--store", "redis://h", "--on-store-loss", "local"}, 2, "local needs --instances"},
		{[]string{"config", "check", write(t, "sql.yaml", "store: sqlite:/nowhere/counts\nroutes: [{mode: off}]\n")}, 1, "there is no folder /nowhere"},
		{[]string{"serve", "--admin", "8089"}, 2, "write HOST:PORT, or none"},
		{[]string{"serve", "--admin-token", "short"}, 2, "less than 16 bytes"},
		{[]string{"serve", "--accounts", "postgers://u:secret@h/d"}, 2, "did you mean postgres?"},
		{[]string{"serve", "--accounts", "redis://u:secret@h/d"}, 2, "is no database"},
		{[]string{"serve", "--tls-client-ca", "f"}, 2, "--tls-client-ca needs --tls-cert"},
		{[]string{"serve", "--tls-cert", "nowhere", "--tls-key", "nowhere"}, 2, "no such file"},
		{[]string{"users", "create", "team-*"}, 2, "without spaces and *"},
		{[]string{"keys", "create", "nobody"}, 2, `there is no user "nobody"`},
		{[]string{"keys", "create", "nobody", "--expires", "soon"}, 2, "write a span such as 90d"},
		{[]string{"plans", "set", "pro", "hourly", "10/month"}, 2, `column 4: found "month"`},
		{[]string{"serve", "--max-keys", "0"}, 2, "--max-keys 0: must be 1 or more"},
		{[]string{"serve", "--snapshot", "/nowhere/counts"}, 2, "/nowhere"},
		{[]string{"serve", "--drain", "soon"}, 2, "--drain"},
		{[]string{"proxy"}, 2, "the required flag \"--upstream\" was not specified"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1"}, 2, `--limit is needed, such as "100/hour"`},
		{[]string{"proxy", "--upstream", "localhost:5000", "--limit", "1/s"}, 2, "write http://host:port or https://host"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/fortnight"}, 2, `column 4: found "fortnight", expected a span of time`},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--strategy", "bucket"}, 2, "token-bucket"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--key", "adress"}, 2, "did you mean"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--key", "plan"}, 2, "use stint serve -c FILE"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--headers", "y"}, 2, "--headers"},
		{[]string{"proxy", "--upstream", "http://127.0.0.1:1", "--limit", "10/s", "--trusted-proxy", "10.0.0.0/99"}, 2, "write a network such as 10.0.0.0/8"},
		{[]string{"load", "localhost", "--rate", "1/s"}, 2, "write http://host:port/path"},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "fast"}, 2, `--rate: stint: "fast", column 1`},
		{[]string{"load", "http://127.0.0.1:1"}, 2, "stint load http://127.0.0.1:8080/limit --rate 2000/min"},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "100/s", "-n", "3"}, 2,
			"no request was answered: connection refused; check the address http://127.0.0.1:1, and that the service is running"},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "1/s", "--on-limit", "stop"}, 2, "use go-on, wait:5s (any time) or retry-after"},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "1/s", "-H", "no colon"}, 2, `write "Name: value"`},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "1/s", "--body", "@nowhere"}, 2, "nowhere"},
		{[]string{"load", "http://127.0.0.1:1", "--rate", "1/s", "--expect", "x"}, 2, "--expect"},
		{[]string{"config", "check", "nowhere.yaml"}, 2, "there is no file"},
		{[]string{"config", "check", bad}, 1, "did you mean"},
		{[]string{"config", "explain", bad, "GET", "/"}, 2, "did you mean"},
		{[]string{"sreve"}, 2, "serve"},
	} {
		stdout, stderr, code := ended(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "secret") || (stdout != "") != strings.Contains(c.want, "no request was answered") {
			t.Errorf("stint %q: exit code %d, %s%s; want %d and %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}
