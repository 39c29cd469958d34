package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stint-go/stint/storetest/servers"
)

// sharedPolicy has a long deadline, so that a machine that is busy with other tests loses no answers.
const sharedPolicy = `
store: %s
store-deadline: 5s
limits: {hourly: 60/hour, fast: 10/s}
routes:
  - {match: {path: /hourly}, key: header:X-User, limits: [hourly]}
  - {match: {path: /fast}, key: header:X-User, limits: [fast]}
`

// grant is a call that was admitted at some instant between two.
type grant struct{ asked, answered time.Time }

// hammer asks all urls for so long, and returns what was admitted. Answers but 204 and 429 are mistakes, as long as the url's process
// is not said to have been killed.
func hammer(t *testing.T, d time.Duration, urls []string, killed *atomic.Bool) []grant {
	var mu sync.Mutex
	var admitted []grant
	var callers sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	end := time.Now().Add(d)
	for i, url := range urls {
		for range 3 {
			callers.Go(func() {
				for time.Now().Before(end) {
					a := grant{asked: time.Now()}
					r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
					r.Header.Set("X-User", "a")
					res, err := client.Do(r)
					a.answered = time.Now()
					if err != nil {
						if i > 0 || !killed.Load() {
							t.Error(err)
						}
						return
					}
					_ = res.Body.Close()
					switch res.StatusCode {
					case 204:
						mu.Lock()
						admitted = append(admitted, a)
						mu.Unlock()
					case 429:
						time.Sleep(time.Millisecond)
					default:
						t.Errorf("%s: %s", url, res.Status)
					}
				}
			})
		}
	}
	callers.Wait()
	return admitted
}

// mostWithin is the most calls that were surely admitted within one span of that length.
func mostWithin(all []grant, span time.Duration) int {
	most := 0
	for _, first := range all {
		within := 0
		for _, a := range all {
			if !a.asked.Before(first.asked) && a.answered.Before(first.asked.Add(span)) {
				within++
			}
		}
		most = max(most, within)
	}
	return most
}

// Two processes on one store hold one limit, under load and while one of them is killed.
func TestServeSharesALimit(t *testing.T) {
	for name, address := range map[string]func() string{
		"Redis":      func() string { return servers.NewRedis(t, servers.RedisOptions{}).Address() },
		"PostgreSQL": func() string { return servers.Postgres(t).Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, "stint.yaml", fmt.Sprintf(sharedPolicy, address()))
			one, two := start(t, "serve", "-c", file), start(t, "serve", "-c", file)
			var killed atomic.Bool
			if n := len(hammer(t, 500*time.Millisecond, []string{one.url + "/hourly", two.url + "/hourly"}, &killed)); n != 60 {
				t.Errorf("%d of 60 an hour were admitted", n)
			}
			kill := time.AfterFunc(time.Second, func() { killed.Store(true); _ = one.Process.Kill() })
			defer kill.Stop()
			admitted := hammer(t, 2500*time.Millisecond, []string{one.url + "/fast", two.url + "/fast"}, &killed)
			if most := mostWithin(admitted, time.Second); most > 10 || len(admitted) < 20 || len(admitted) > 30 {
				t.Errorf("of 10 a second %d were admitted within one, %d in two and a half", most, len(admitted))
			}
			if code := two.stop(syscall.SIGTERM); code != 0 || strings.Contains(two.text(), "level=ERROR") {
				t.Errorf("exit code %d\n%s", code, two.text())
			}
		})
	}
}

const lossyPolicy = `
store: %s
store-deadline: 1s
instances: 2
limits:
  closed: 1000/hour
  open: {rate: 2/hour, on-store-loss: open}
  local: {rate: 10/hour, on-store-loss: local}
routes:
  - {match: {path: /closed}, key: header:X-User, limits: [closed], charge-on: 2xx}
  - {match: {path: /open}, key: header:X-User, limits: [open]}
  - {match: {path: /local}, key: header:X-User, limits: [local]}
`

// statuses are those of so many calls, in order.
func statuses(t *testing.T, n int, url string) string {
	t.Helper()
	var all []string
	for range n {
		res, body := ask(t, url, "X-User: a")
		status := fmt.Sprint(res.StatusCode)
		if wait := res.Header.Get("Retry-After"); (wait != "") != (res.StatusCode == 429) {
			t.Errorf("%s: %s with Retry-After %q: %s", url, res.Status, wait, body)
		}
		if res.StatusCode == 503 && (body != "The rate limit cannot be checked right now" || res.Header.Get("RateLimit") != "") {
			t.Errorf("%s: %s %v %s", url, res.Status, res.Header, body)
		}
		all = append(all, status)
	}
	return strings.Join(all, " ")
}

// A store that is lost and comes back under load: each limit does what it says, the log says it once each, and nobody learns the
// password.
func TestServeStoreLost(t *testing.T) {
	redis := servers.NewRedis(t, servers.RedisOptions{Password: "hush"})
	p := start(t, "serve", "-c", write(t, "stint.yaml", fmt.Sprintf(lossyPolicy, redis.Address())))
	if got := statuses(t, 3, p.url+"/open") + statuses(t, 1, p.url+"/local") + statuses(t, 1, p.url+"/closed"); got != "204 204 429204204" {
		t.Errorf("before the loss: %s\n%s", got, p.text())
	}
	end := make(chan struct{})
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if res, _ := ask(t, p.url+"/closed", "X-User: b"); res.StatusCode != 204 && res.StatusCode != 503 {
					t.Errorf("under load: %s", res.Status)
				}
			}
		})
	}
	redis.Kill()
	p.waitFor(`level=ERROR msg="the store is lost: .*" store=redis://…@\S+ error=`)
	if got := statuses(t, 3, p.url+"/closed"); got != "503 503 503" {
		t.Errorf("closed: %s", got)
	}
	if got := statuses(t, 4, p.url+"/open"); got != "204 204 204 204" {
		t.Errorf("open: %s", got)
	}
	if got := statuses(t, 6, p.url+"/local"); got != "204 204 204 204 204 429" {
		t.Errorf("local, a share of 5: %s", got)
	}
	redis.Start(t)
	p.waitFor(`level=INFO msg="the store is back"`)
	close(end)
	callers.Wait()
	// The server was empty when it came back, but for the 5 that the share had given.
	if got := statuses(t, 3, p.url+"/open") + statuses(t, 6, p.url+"/local") + statuses(t, 1, p.url+"/closed"); got != "204 204 429204 204 204 204 204 429204" {
		t.Errorf("after the loss: %s", got)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	text := p.text()
	if strings.Count(text, "the store is lost") != 1 || strings.Count(text, "the store is back") != 1 || strings.Contains(text, "hush") ||
		strings.Count(text, "level=ERROR") != 1+strings.Count(text, "msg=request")-strings.Count(text, "level=WARN msg=request") {
		t.Errorf("the log is\n%s", text)
	}
}

// A store that is not there at the start comes when it is; one that another policy names does not come at all.
func TestServeWithoutTheStore(t *testing.T) {
	redis := servers.NewRedis(t, servers.RedisOptions{})
	redis.Kill()
	text := fmt.Sprintf(lossyPolicy, redis.Address())
	file := write(t, "stint.yaml", text)
	p := start(t, "serve", "-c", file)
	p.waitFor(`the store is lost.*connection refused`)
	if got := statuses(t, 2, p.url+"/closed") + statuses(t, 3, p.url+"/open"); got != "503 503204 204 204" {
		t.Errorf("without the store: %s", got)
	}
	// on-store-loss and instances change at once, the store does not.
	replace(t, file, strings.NewReplacer("loss: open", "loss: closed", "instances: 2", "instances: 5").Replace(text))
	p.waitFor(`changed and is in force`)
	if got := statuses(t, 1, p.url+"/open") + statuses(t, 3, p.url+"/local"); got != "503204 204 429" {
		t.Errorf("under another policy: %s", got)
	}
	replace(t, file, strings.Replace(text, redis.Address(), "redis://u:hush@elsewhere", 1))
	p.waitFor(`the last good one stays in force.*redis://…@elsewhere in place of redis://127.0.0.1.* would leave the counts behind`)
	redis.Start(t)
	p.waitFor(`the store is back`)
	if got := statuses(t, 1, p.url+"/closed"); got != "204" {
		t.Errorf("with the store: %s", got)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 || strings.Contains(p.text(), "hush") {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
}

func TestProxySharesAStore(t *testing.T) {
	upstream := service(t, func(http.ResponseWriter, *http.Request) {})
	redis := servers.NewRedis(t, servers.RedisOptions{})
	args := []string{"proxy", "--upstream", upstream, "--limit", "4/hour", "--store", redis.Address(), "--store-deadline", "1s",
		"--on-store-loss", "local", "--instances", "2", "--key", "query:u"}
	one, two := start(t, args...), start(t, args...)
	got := ""
	for _, p := range []*process{one, two, one, two, one, two} {
		got += statuses(t, 1, p.url+"/?u=a") + " "
	}
	if got != "200 200 200 200 429 429 " {
		t.Errorf("4 an hour over two: %s", got)
	}
	redis.Kill()
	for _, p := range []*process{one, two} {
		if got := statuses(t, 3, p.url+"/?u=b"); got != "200 200 429" {
			t.Errorf("a share of 2: %s", got)
		}
	}
}

// Leases of two processes admit a window's units exactly, the last one included, and cost the store a fraction of the calls.
func TestServeLeases(t *testing.T) {
	redis := servers.NewRedis(t, servers.RedisOptions{})
	file := write(t, "stint.yaml", fmt.Sprintf(`
store: %q
limits: {hourly: {rate: 3000/hour, strategy: fixed-window, lease: 100}}
routes: [{match: {path: /hourly}, key: header:X-User, limits: [hourly]}]
`, redis.Address()))
	a, b := start(t, "serve", "-c", file), start(t, "serve", "-c", file)
	if explained, _, code := ended(t, "config", "check", file); code != 0 || !strings.Contains(explained, "leased by up to 100 units: not more than without") {
		t.Errorf("exit code %d, %s", code, explained)
	}
	total := 0
	for range 50 { // the window's end would be a second window
		if time.Now().Truncate(time.Hour).Add(time.Hour).After(time.Now().Add(20 * time.Second)) {
			break
		}
		time.Sleep(time.Second)
	}
	for total < 3000 {
		admitted := len(hammer(t, time.Second, []string{a.url + "/hourly", b.url + "/hourly"}, new(atomic.Bool)))
		if total += admitted; admitted == 0 {
			break
		}
	}
	if total != 3000 {
		t.Errorf("two processes with leases admitted %d of 3000", total)
	}
}
