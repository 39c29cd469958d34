package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/storetest/servers"
)

// adminOf is where a process serves operators, and its token.
func adminOf(p *process) (url, token string) {
	p.t.Helper()
	found := p.waitFor(`Admin: (http://\S+[0-9]), with the token in (\S+)`)
	return found[1], strings.TrimSpace(contents(p.t, found[2]))
}

// asAdmin asks the admin listener, and reads the answer's object.
func asAdmin(p *process, method, path, body string) (status int, answer map[string]any) {
	p.t.Helper()
	url, token := adminOf(p)
	r, err := http.NewRequestWithContext(p.t.Context(), method, url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// newKey makes a user, if need be, and a key over the admin listener.
func newKey(p *process, user string) (secret, id string) {
	p.t.Helper()
	_, _ = asAdmin(p, "POST", "/v1/users", fmt.Sprintf(`{"name": %q}`, user))
	status, made := asAdmin(p, "POST", "/v1/keys", fmt.Sprintf(`{"user": %q, "scopes": ["routes", "decide"]}`, user))
	if status != 201 {
		p.t.Fatalf("a key for %s: %d %v", user, status, made)
	}
	return made["secret"].(string), made["id"].(string)
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// Two instances share accounts and counts; two keys of one user share its limit, to the request.
func TestTwoInstancesTwoKeys(t *testing.T) {
	for name, stores := range map[string][2]string{
		"MariaDB and Redis": {servers.MariaDB(t).Database(t), servers.NewRedis(t, servers.RedisOptions{}).Address()},
		"PostgreSQL":        {servers.Postgres(t).Database(t), servers.Postgres(t).Database(t)},
		"MariaDB":           {servers.MariaDB(t).Database(t), servers.MariaDB(t).Database(t)},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, "stint.yaml", fmt.Sprintf("store: %q\naccounts: %q\nlimits: {per-user: 60/hour}\nroutes: [{match: {path: /limit}, require: api-key, key: user, limits: [per-user], respond: {body: in}}]\n", stores[1], stores[0]))
			a, b := start(t, "serve", "-c", file), start(t, "serve", "-c", file)
			one, id := newKey(a, "alice")
			two, _ := newKey(b, "alice")
			admitted := make(chan int64, 4)
			for i, p := range []*process{a, b, a, b} {
				key := []string{one, one, two, two}[i]
				go func() {
					stdout, _, _ := ended(t, "load", "--json", p.url+"/limit", "-H", "X-API-KEY: "+key, "--rate", "2000/s", "--requests", "100", "--connections", "16")
					var report loaded
					_ = json.Unmarshal([]byte(stdout), &report)
					admitted <- report.Admitted
				}()
			}
			total := int64(0)
			for range 4 {
				total += <-admitted
			}
			if total != 60 {
				t.Errorf("two instances admitted %d of 60 over two keys", total)
			}
			if res, _ := ask(t, a.url+"/limit", "X-API-KEY: "+one); res.StatusCode != 429 {
				t.Errorf("afterwards: %s", res.Status)
			}
			// Revoked on one instance, a key is dead on the other.
			if status, _ := asAdmin(a, "DELETE", "/v1/keys/"+id, ""); status != 200 {
				t.Errorf("revoking: %d", status)
			}
			until(t, "the revoked key is dead", func() bool {
				res, _ := ask(t, b.url+"/limit", "X-API-KEY: "+one)
				return res.StatusCode == 401
			})
			// Usage of both instances is in one place, after each has written.
			for _, p := range []*process{a, b} {
				if code := p.stop(syscall.SIGTERM); code != 0 {
					t.Errorf("exit code %d\n%s", code, p.text())
				}
			}
			c := start(t, "serve", "-c", file)
			_, answer := asAdmin(c, "GET", "/v1/usage?step=day&user=alice&from=0", "")
			in, out := 0.0, 0.0
			for _, row := range answer["rows"].([]any) {
				in, out = in+row.(map[string]any)["admitted"].(float64), out+row.(map[string]any)["refused"].(float64)
			}
			if in != 60 || out < 341 {
				t.Errorf("usage says %v admitted and %v refused; 60 and 341 or more were", in, out)
			}
		})
	}
}

// What plans, users and keys have for themselves holds within two seconds, without a restart.
func TestPlansInForce(t *testing.T) {
	file := write(t, "stint.yaml", "limits: {hourly: {rate: 3/hour, strategy: fixed-window}}\nplans: {pro: {hourly: 5/hour}}\nroutes: [{match: {path: /limit}, require: api-key, key: user, limits: [hourly]}]\n")
	p := start(t, "serve", "-c", file)
	key, _ := newKey(p, "alice")
	limit := func() string {
		res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key)
		return res.Header.Get("RateLimit-Policy")
	}
	has := func(q string) func() bool { return func() bool { return strings.Contains(limit(), ";q="+q+";") } }
	until(t, "the limit's own value", has("3"))
	asAdmin(p, "PATCH", "/v1/users/alice", `{"plan": "pro"}`)
	until(t, "the plan's in the file", has("5"))
	asAdmin(p, "PUT", "/v1/plans/pro/values/hourly", `{"value": "7/hour"}`)
	until(t, "the plan's in the accounts", has("7"))
	asAdmin(p, "PUT", "/v1/overrides/wildcard/al*/hourly", `{"value": "9/hour"}`)
	until(t, "that of the wildcard", has("9"))
	asAdmin(p, "PUT", "/v1/overrides/user/alice/hourly", `{"value": "11/hour"}`)
	until(t, "the user's own", has("11"))
	if status, _ := asAdmin(p, "PATCH", "/v1/users/alice", `{"disabled": true}`); status != 200 {
		t.Errorf("disabling: %d", status)
	}
	until(t, "disabled", func() bool { res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); return res.StatusCode == 401 })
}

// The database may be away at the start, come, be killed under load and come back: known keys go on, nobody is let in for nothing.
func TestAccountsComeAndGo(t *testing.T) {
	db := servers.NewMariaDB(t)
	address := db.Database(t)
	db.Kill()
	p := start(t, "serve", "--accounts", address)
	if res, body := ask(t, p.url+"/limit", "X-API-KEY: stint_7CtILv3sgLhBunLdcUNkitSDmvisWMVyeVj3hRFXo"); res.StatusCode != 401 && res.StatusCode != 503 {
		t.Errorf("while the database is away: %s %s", res.Status, body)
	}
	if res, body := ask(t, p.url+"/readyz"); res.StatusCode != 503 || !strings.Contains(body, "accounts") {
		t.Errorf("ready while the database is away: %s %s", res.Status, body)
	}
	if res, _ := ask(t, p.url+"/healthz"); res.StatusCode != 200 {
		t.Errorf("alive while the database is away: %s", res.Status)
	}
	if _, stderr, code := ended(t, "health", "http://127.0.0.1:1/readyz"); code != exitNo || !strings.Contains(stderr, "does not answer") {
		t.Errorf("health of nobody: exit code %d, %s", code, stderr)
	}
	if stdout, _, code := ended(t, "health", p.url+"/readyz"); code != exitNo || !strings.Contains(stdout, "503") {
		t.Errorf("health: exit code %d, %s", code, stdout)
	}
	db.Start(t)
	p.waitFor("the accounts' database is there")
	firstKey(p)
	key, _ := newKey(p, "alice")
	until(t, "ready", func() bool { res, _ := ask(t, p.url+"/readyz"); return res.StatusCode == 200 })
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 200 {
		t.Errorf("a new key: %s", res.Status)
	}
	if stdout, _, code := ended(t, "health", p.url+"/readyz"); code != 0 || !strings.Contains(stdout, "200") {
		t.Errorf("health: exit code %d, %s", code, stdout)
	}
	db.Kill()
	for range 20 { // beyond the two seconds that an answer is good for
		if res, body := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 200 && res.StatusCode != 429 {
			t.Fatalf("a known key while the database is lost: %s %s", res.Status, body)
		}
		time.Sleep(150 * time.Millisecond)
	}
	if res, body := ask(t, p.url+"/readyz"); res.StatusCode != 200 || !strings.Contains(body, "keys that are known go on") {
		t.Errorf("ready for known keys while the database is lost: %s %s", res.Status, body)
	}
	db.Start(t)
	until(t, "ready again", func() bool {
		_, _ = ask(t, p.url+"/limit", "X-API-KEY: "+key)
		res, _ := ask(t, p.url+"/readyz")
		return res.StatusCode == 200
	})
	second, _ := newKey(p, "bob")
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+second); res.StatusCode != 200 {
		t.Errorf("a key made after the loss: %s", res.Status)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
}

// Killed, a service keeps its counts but for the last seconds, and its usage but for the last second.
func TestKilled(t *testing.T) {
	folder := t.TempDir()
	p := start(t, "serve", "--data", folder)
	key := firstKey(p)
	for range 5 {
		ask(t, p.url+"/limit", "X-API-KEY: "+key)
	}
	until(t, "usage is written", func() bool {
		_, answer := asAdmin(p, "GET", "/v1/usage?step=day&from=0", "")
		return fmt.Sprint(answer["rows"]) != "[]"
	})
	time.Sleep(1100 * time.Millisecond) // the interval of a writing
	_ = p.stop(syscall.SIGKILL)
	p = start(t, "serve", "--data", folder)
	_, answer := asAdmin(p, "GET", "/v1/usage?step=day&from=0", "")
	rows := answer["rows"].([]any)
	if len(rows) != 1 || rows[0].(map[string]any)["admitted"].(float64) != 5 {
		t.Errorf("after a kill the usage is %v", rows)
	}
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode == 401 {
		t.Errorf("after a kill: %s", res.Status)
	}
}

// The decision API and the routes count in one place, and its usage is counted.
func TestServeDecides(t *testing.T) {
	file := write(t, "stint.yaml", "limits: {hourly: 5/hour}\nroutes: [{match: {path: /limit}, require: api-key, key: user, limits: [hourly]}, {match: {path: /v1/mine}, respond: {body: mine}}]\n")
	p := start(t, "serve", "-c", file)
	key, _ := newKey(p, "alice")
	take := func(body string, headers ...string) (int, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/v1/take", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer map[string]any
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, answer
	}
	if code, answer := take(`{"limit": "hourly", "key": "user:alice"}`); code != 401 {
		t.Errorf("without a key: %d %v", code, answer)
	}
	for i := range 3 {
		if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 204 {
			t.Errorf("call %d: %s", i, res.Status)
		}
	}
	for i := range 3 {
		if code, answer := take(`{"limit": "hourly", "key": "user:alice"}`, "Authorization", "Bearer "+key); code != 200 || answer["allowed"] != (i < 2) {
			t.Errorf("take %d: %d %v", i, code, answer)
		}
	}
	if _, answer := take(fmt.Sprintf(`{"request": {"path": "/limit", "api_key": %q}}`, key), "X-API-KEY", key); answer["allowed"] != false || answer["route"] != "/limit" {
		t.Errorf("by the policy: %v", answer)
	}
	if res, body := ask(t, p.url+"/v1/mine"); res.StatusCode != 200 || body != "mine" {
		t.Errorf("a route of the policy under /v1/: %s", res.Status)
	}
	if res, body := ask(t, p.url+"/v1/openapi.yaml"); res.StatusCode != 200 || !strings.Contains(body, "openapi: 3") {
		t.Errorf("the document: %s", res.Status)
	}
	_, answer := asAdmin(p, "GET", "/v1/usage?user=alice&route=limit%20hourly&step=day&from=0", "")
	if rows := answer["rows"].([]any); len(rows) != 1 || rows[0].(map[string]any)["admitted"] != 2.0 || rows[0].(map[string]any)["refused"] != 1.0 {
		t.Errorf("usage: %v", answer)
	}
	admin, token := adminOf(p)
	if _, metrics := ask(t, admin+"/metrics", "Authorization: Bearer "+token); !strings.Contains(metrics, `stint_decisions_total{limit="hourly",reason="limited"} 2`) {
		t.Error("decisions over the API are no metric")
	}
	if _, answer := asAdmin(p, "GET", "/v1/top", ""); !strings.Contains(fmt.Sprint(answer), "alice") {
		t.Errorf("top: %v", answer)
	}
	none := start(t, "serve", "-c", file, "--accounts", "none")
	_, token = adminOf(none)
	p = none
	if code, answer := take(`{"limit": "hourly", "key": "x"}`, "Authorization", "Bearer "+token); code != 200 || answer["allowed"] != true {
		t.Errorf("without accounts, with the admin token: %d %v", code, answer)
	}
	if code, _ := take(`{"limit": "hourly", "key": "x"}`, "Authorization", "Bearer "+key); code != 401 {
		t.Errorf("without accounts, with another key: %d", code)
	}
}

// While a newer version changes the tables beside it, a service goes on: it names the columns that it wants. One of the same version that
// is started after that refuses, and says what to do.
func TestTwoVersions(t *testing.T) {
	address := servers.MariaDB(t).Database(t)
	p := start(t, "serve", "--accounts", address)
	key, _ := newKey(p, "alice")
	newer, err := database.Open(t.Context(), address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close()
	stop := make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if res, body := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 200 && res.StatusCode != 429 {
				t.Errorf("while the tables change: %s %s", res.Status, body)
			}
		}
	})
	for _, change := range []string{
		"ALTER TABLE api_key ADD COLUMN colour VARCHAR(10) NULL", "ALTER TABLE api_key_usage ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0",
		"ALTER TABLE `user` ADD COLUMN email VARCHAR(200) NULL", "INSERT INTO stint_migration (version_id, is_applied) VALUES (999, true)",
	} {
		if _, err := newer.Exec(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
	second, _ := newKey(p, "bob")
	if res, body := ask(t, p.url+"/limit", "X-API-KEY: "+second); res.StatusCode != 200 {
		t.Errorf("a key made after the change: %s %s", res.Status, body)
	}
	close(stop)
	calls.Wait()
	until(t, "usage is written", func() bool {
		var n int64
		err := newer.QueryRow(t.Context(), "SELECT COALESCE(SUM(admitted), 0) FROM api_key_usage WHERE step = ? AND user_name = ?", 86400, "bob").Scan(&n)
		return err == nil && n == 1
	})
	if _, stderr, code := ended(t, "serve", "--accounts", address, "--listen", "127.0.0.1:0", "--admin", "none"); code != exitFailed || !strings.Contains(stderr, "update this one") {
		t.Errorf("a start on newer tables: exit code %d, %s", code, stderr)
	}
}
