package load

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
)

// transport answers in place of a server, so that runs are in virtual time.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func answerOf(status int, header ...string) *http.Response {
	res := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i < len(header); i += 2 {
		res.Header.Set(header[i], header[i+1])
	}
	return res
}

func mustRun(t *testing.T, o Options) Report {
	t.Helper()
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestRequestsAreSentOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var sent []time.Duration
		report := mustRun(t, Options{
			URL: "http://service.test/", Rate: stint.PerMinute(2000), Duration: time.Minute,
			Transport: transport(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, time.Since(start))
				return answerOf(200), nil
			}),
		})
		if report.Sent != 2000 || report.Admitted != 2000 {
			t.Errorf("sent %d, admitted %d, want 2000 of each in a minute", report.Sent, report.Admitted)
		}
		for i, at := range sent {
			if want := time.Duration(i) * time.Minute / 2000; at != want {
				t.Fatalf("request %d was sent at %v, want %v", i, at, want)
			}
		}
		if report.WorstWindow != 2000-1 || report.WorstWindowBySent != 2000 {
			t.Errorf("worst window %d for sure and %d by sent, want 1999 (a window a little short) and 2000",
				report.WorstWindow, report.WorstWindowBySent)
		}
	})
}

// A server that stalls for a second makes all requests behind it late, and each of them says by how much.
func TestLatencyCountsFromTheIntendedInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		report := mustRun(t, Options{
			URL: "http://service.test/", Rate: stint.PerSecond(10), Requests: 10, Connections: 1,
			Transport: transport(func(*http.Request) (*http.Response, error) {
				if calls.Add(1) == 1 {
					time.Sleep(time.Second)
				}
				return answerOf(200), nil
			}),
		})
		// The latencies are 1 s, 0.9 s, … 0.1 s.
		for _, c := range []struct{ got, want time.Duration }{
			{report.Latencies.P50, 500 * time.Millisecond}, {report.Latencies.P90, 900 * time.Millisecond}, {report.Latencies.Max, time.Second},
		} {
			if off := (c.got - c.want).Abs(); off > c.want/500 {
				t.Errorf("latency %v, want %v within 0.2 %%", c.got, c.want)
			}
		}
	})
}

func TestOnLimit(t *testing.T) {
	for _, c := range []struct {
		name    string
		onLimit string
		header  []string
		want    []time.Duration // when each of four requests was sent; the second is refused
	}{
		{"go on", "go-on", []string{"Retry-After", "9"}, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}},
		{"wait", "wait:5s", []string{"Retry-After", "9"}, []time.Duration{0, time.Second, 6 * time.Second, 7 * time.Second}},
		{"retry after", "retry-after", []string{"Retry-After", "9"}, []time.Duration{0, time.Second, 10 * time.Second, 11 * time.Second}},
		{"retry after a date", "retry-after", []string{"Retry-After", "Sat, 01 Jan 2000 00:00:08 GMT"},
			[]time.Duration{0, time.Second, 8 * time.Second, 9 * time.Second}},
		{"retry after not said", "retry-after", nil, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}},
		{"retry after not readable", "retry-after", []string{"Retry-After", "soon"}, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				onLimit, err := ParseOnLimit(c.onLimit)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				var sent []time.Duration
				mustRun(t, Options{
					URL: "http://service.test/", Rate: stint.PerSecond(1), Requests: 4, OnLimit: onLimit,
					Transport: transport(func(*http.Request) (*http.Response, error) {
						sent = append(sent, time.Since(start))
						if len(sent) == 2 {
							return answerOf(429, c.header...), nil
						}
						return answerOf(200), nil
					}),
				})
				for i, at := range sent {
					if at != c.want[i] {
						t.Errorf("requests were sent at %v, want %v", sent, c.want)
						break
					}
				}
			})
		})
	}
}

// The report says what the server knows to have done.
func TestAccounting(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "a" || r.Host != "service.test" {
			t.Errorf("key %q, host %q", r.Header.Get("X-Api-Key"), r.Host)
		}
		switch n := calls.Add(1); {
		case n <= 100:
			w.WriteHeader(http.StatusNotFound) // the service's own answer: admitted
		case n <= 150:
			w.WriteHeader(http.StatusBadGateway)
		case n <= 160:
			w.WriteHeader(http.StatusUnauthorized)
		case n == 161:
			panic(http.ErrAbortHandler) // closes the connection
		case n == 162:
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("short"))
		default:
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	report := mustRun(t, Options{
		URL: server.URL, Rate: stint.PerSecond(100_000), Requests: 500, Connections: 64, Method: "PUT", Body: []byte("body"),
		Header: http.Header{"X-Api-Key": {"a"}, "Host": {"service.test"}},
		Expect: []stint.Limit{stint.PerHour(100), stint.PerHour(99)},
	})
	if report.Sent != 500 || report.Admitted != 100 || report.Refused != 338 || report.Errors != 62 {
		t.Errorf("sent %d = %d admitted + %d refused + %d errors; want 500 = 100 + 338 + 62: %v",
			report.Sent, report.Admitted, report.Refused, report.Errors, report.ErrorsByKind)
	}
	if n := report.ErrorsByKind["502 Bad Gateway"]; n != 50 {
		t.Errorf("502 counted %d times, want 50", n)
	}
	if n := report.ErrorsByKind["connection closed before the end of the answer"]; n != 2 {
		t.Errorf("broken connections counted %d times, want 2: %v", n, report.ErrorsByKind)
	}
	if report.WorstWindow != 100 || report.Window != time.Hour {
		t.Errorf("%d in any %v, want 100 in any hour", report.WorstWindow, report.Window)
	}
	if !report.Verdicts[0].Held || report.Verdicts[1].Held || report.Held {
		t.Errorf("100 admitted: 100/hour held %v (want true), 99/hour held %v (want false), all held %v (want false)",
			report.Verdicts[0].Held, report.Verdicts[1].Held, report.Held)
	}
}

func TestErrorKinds(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	refused := mustRun(t, Options{URL: "http://" + free.Addr().String(), Rate: stint.PerSecond(1000), Requests: 3})
	if refused.ErrorsByKind["connection refused"] != 3 {
		t.Errorf("nobody listens: %v", refused.ErrorsByKind)
	}
	synctest.Test(t, func(t *testing.T) {
		hangs := transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		slow := mustRun(t, Options{URL: "http://a.test", Rate: stint.PerSecond(1), Requests: 2, Timeout: 5 * time.Second, Transport: hangs})
		if slow.ErrorsByKind["time-out"] != 2 || slow.Elapsed != 6*time.Second {
			t.Errorf("server hangs: %v after %v", slow.ErrorsByKind, slow.Elapsed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		cut, err := Run(ctx, Options{URL: "http://a.test", Rate: stint.PerSecond(1), Duration: time.Hour, Transport: hangs})
		if err != nil || cut.Sent != 2 || cut.Elapsed != 1500*time.Millisecond || cut.ErrorsByKind["cut off by the end of the run"] != 2 {
			t.Errorf("run ended early: %v, %v", cut, err)
		}
	})
}

func TestKindsOfErrorAreBounded(t *testing.T) {
	r := newRecord(time.Now())
	for i := range 1000 {
		r.failed(strings.Repeat("x", i))
	}
	if len(r.errors) != maxKinds+1 || r.errors["other"] != 1000-maxKinds {
		t.Errorf("%d kinds, %d others", len(r.errors), r.errors["other"])
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Progress
		mustRun(t, Options{
			URL: "http://service.test/", Rate: stint.PerSecond(10), Duration: 3500 * time.Millisecond,
			Progress: func(p Progress) { seen = append(seen, p) },
			Transport: transport(func(*http.Request) (*http.Response, error) {
				time.Sleep(50 * time.Millisecond)
				return answerOf(429), nil
			}),
		})
		if len(seen) != 3 || seen[0].Refused != 10 || seen[0].Sent != 10 || seen[2].Elapsed != 3*time.Second {
			t.Errorf("progress %+v", seen)
		}
	})
}

func TestReportAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report := mustRun(t, Options{
			URL: "http://service.test/", Rate: stint.PerSecond(10), Requests: 5, Expect: []stint.Limit{stint.PerSecond(10)},
			Transport: transport(func(*http.Request) (*http.Response, error) {
				time.Sleep(20 * time.Millisecond)
				return answerOf(200), nil
			}),
		})
		text, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"url":"http://service.test/","method":"GET","rate":"10/s","sent":5,"admitted":5,"refused":0,"errors":0,` +
			`"statuses":{"200":5},"errors_by_kind":{},` +
			`"latencies":{"max":20.015,"p50":20.015,"p90":20.015,"p99":20.015,"p99.9":20.015,"unit":"ms"},` +
			`"worst_window":5,"worst_window_by_sent":5,"worst_window_by_answer":5,` +
			`"expect":[{"limit":"10/s","strategy":"sliding-window-log","held":true,"admitted":5,"allowed":10,"window_seconds":1}],` +
			`"held":true,"elapsed_seconds":0.42,"window_seconds":1}`
		if string(text) != want {
			t.Errorf("got  %s\nwant %s", text, want)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{URL: "http://a.test", Rate: stint.PerSecond(1)}
	for _, c := range []struct {
		name string
		bad  func(*Options)
		want string
	}{
		{"no address", func(o *Options) { o.URL = "" }, "write http://"},
		{"no scheme", func(o *Options) { o.URL = "localhost:8080" }, "write http://"},
		{"no host", func(o *Options) { o.URL = "http://:80" }, "write http://"},
		{"no rate", func(o *Options) { o.Rate = stint.Limit{} }, "rate"},
		{"zero rate", func(o *Options) { o.Rate = stint.PerHour(0) }, "rate"},
		{"rate with a burst", func(o *Options) { o.Rate.Burst = 5 }, "only a number per time"},
		{"negative duration", func(o *Options) { o.Duration = -1 }, "negative"},
		{"negative requests", func(o *Options) { o.Requests = -1 }, "requests"},
		{"endless", func(o *Options) { o.Duration = 300 * 24 * time.Hour }, "shorten"},
		{"too many connections", func(o *Options) { o.Connections = 1 << 20 }, "connections"},
		{"bad method", func(o *Options) { o.Method = "GE T" }, "method"},
		{"bad limit", func(o *Options) { o.Expect = []stint.Limit{{Units: -1, Per: 1}} }, "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.bad(&o)
			if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "wait", "wait:", "wait:-1s", "wait:0s", "stop"} {
		if _, err := ParseOnLimit(text); err == nil {
			t.Errorf("ParseOnLimit(%q) has no error", text)
		}
	}
}
