package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// python starts a web application of examples under gunicorn with four workers, on a service of its policy.
func python(t *testing.T, folder, module string) (service *process, url string) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/gunicorn"); err != nil {
		t.Skip("there is no gunicorn: make servers")
	}
	dir, err := filepath.Abs("../../../examples/" + folder)
	if err != nil {
		t.Fatal(err)
	}
	service = start(t, "serve", "-c", filepath.Join(dir, "policy.yaml"))
	url = "http://127.0.0.1:" + freePort(t)
	app := newProcess(t, "/usr/bin/gunicorn", "-w", "4", "--threads", "2", "-b", strings.TrimPrefix(url, "http://"), "--chdir", dir, "--log-level", "warning", module)
	app.Env = append(os.Environ(), "STINT_URL="+service.url, "STINT_API_KEY="+firstKey(service), "PYTHONDONTWRITEBYTECODE=1")
	app.begin(func() {})
	until(t, "gunicorn answers", func() bool {
		res, err := http.Get(url + "/nowhere")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return true
	})
	return service, url
}

// get is the status, body and headers of an answer; 0 if there is none.
func get(url string) (int, string, http.Header) {
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(url)
	if err != nil {
		return 0, "", nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, "", nil
	}
	return res.StatusCode, string(body), res.Header
}

// hammerPage sends 200 requests from eight clients to a page with a limit of 100, and kills one of the workers halfway. It returns how many
// were admitted, and how many had no answer.
func hammerPage(t *testing.T, url string) (admitted, failed int64) {
	t.Helper()
	var ok, refused, lost atomic.Int64
	var kill sync.Once
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 25 {
				code, body, header := get(url)
				switch code {
				case 200:
					if found := regexp.MustCompile(`hello from (\d+)`).FindStringSubmatch(body); ok.Add(1) == 50 && found != nil {
						kill.Do(func() {
							pid, _ := strconv.Atoi(found[1])
							_ = syscall.Kill(pid, syscall.SIGKILL)
						})
					}
				case 429:
					refused.Add(1)
					if wait, err := strconv.Atoi(header.Get("Retry-After")); err != nil || wait < 1 || wait > 3600 || body != fmt.Sprintf("Rate limit exceeded. Try again in %d seconds\n", wait) {
						t.Errorf("refused with %q after %q", body, header.Get("Retry-After"))
					}
				default:
					lost.Add(1)
				}
			}
		})
	}
	wait.Wait()
	if ok.Load()+refused.Load()+lost.Load() != 200 {
		t.Errorf("%d + %d + %d of 200", ok.Load(), refused.Load(), lost.Load())
	}
	return ok.Load(), lost.Load()
}

// admittedBy is what the service's usage says of a route.
func admittedBy(service *process, route string) (sum float64) {
	_, answer := asAdmin(service, "GET", "/v1/usage?step=day&from=0", "")
	for _, row := range answer["rows"].([]any) {
		if row := row.(map[string]any); strings.HasPrefix(row["route"].(string), route) {
			sum += row["admitted"].(float64)
		}
	}
	return sum
}

func TestFlask(t *testing.T) {
	service, url := python(t, "flask", "app:app")
	admitted, failed := hammerPage(t, url+"/")
	if counted := admittedBy(service, "limit index"); counted != 100 || admitted > 100 || admitted+failed < 100 {
		t.Errorf("admitted %d, without an answer %d, counted %v; the limit is 100", admitted, failed, counted)
	}
	for i := range 6 {
		code, body, header := get(url + "/search?user=a")
		if want := map[bool]int{true: 200, false: 429}[i < 5]; code != want || header.Get("X-RateLimit-Limit") != "" || code == 429 && (!strings.Contains(body, `"error":"slow down"`) || header.Get("Retry-After") == "") {
			t.Errorf("search %d: %d %q %v", i, code, body, header)
		}
	}
	if code, _, header := get(url + "/"); code != 429 || header.Get("X-RateLimit-Limit") != "100" || header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("%d %v", code, header)
	}
	// Without the service the view fails, and does not let everybody in.
	_ = service.stop(syscall.SIGKILL)
	if code, _, _ := get(url + "/search?user=b"); code != 500 {
		t.Errorf("without the service: %d", code)
	}
}

func TestDjango(t *testing.T) {
	service, url := python(t, "django", "site_with_limits:application")
	admitted, failed := hammerPage(t, url+"/")
	if counted := admittedBy(service, "/"); counted != 100 || admitted > 100 || admitted+failed < 100 {
		t.Errorf("admitted %d, without an answer %d, counted %v; the limit is 100", admitted, failed, counted)
	}
	for i := range 6 {
		code, _, header := get(url + "/report?user=a")
		if want := map[bool]int{true: 200, false: 429}[i < 5]; code != want || header.Get("X-RateLimit-Limit") != "5" {
			t.Errorf("report %d: %d %v", i, code, header)
		}
	}
}

// The settings file of examples: a bucket of 100 for each API key, refilled whole.
func TestSettingsFile(t *testing.T) {
	p := start(t, "serve", "-c", "../../../examples/settings.json")
	one := firstKey(p)
	two, _ := newKey(p, "first")
	for i := range 101 {
		res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+one)
		if want := map[bool]int{true: 200, false: 429}[i < 100]; res.StatusCode != want {
			t.Fatalf("call %d: %s", i, res.Status)
		}
	}
	if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+two); res.StatusCode != 200 {
		t.Errorf("another key of the user has a bucket of its own: %s", res.Status)
	}
}
