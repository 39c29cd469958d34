package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Run sends requests until the run is over or ctx ends, and reports. When ctx ends, what is in flight is cut off; it counts as
// an error of that kind. The error is about the options alone: whatever a server does is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	if o.Transport == nil {
		transport := newTransport(&o)
		defer transport.CloseIdleConnections()
		o.Transport = transport
	}
	start := time.Now()
	r := &run{options: &o, schedule: newSchedule(&o, start), record: newRecord(start)}
	stop := r.reportProgress()
	var workers sync.WaitGroup
	for range min(int64(o.Connections), o.Requests) {
		workers.Go(func() { r.work(ctx) })
	}
	workers.Wait()
	stop()
	return r.report(time.Since(start)), nil
}

// run is one run's parts.
type run struct {
	options  *Options
	schedule *schedule
	record   *record
}

func newTransport(o *Options) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // so that a request in flight has a connection of its own
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: o.Timeout}).DialContext,
		MaxIdleConns:        o.Connections,
		MaxIdleConnsPerHost: o.Connections,
		MaxConnsPerHost:     o.Connections,
		DisableCompression:  true,
		Protocols:           protocols,
	}
}

// work sends one request after the other.
func (r *run) work(ctx context.Context) {
	for {
		intended, ok := r.schedule.wait(ctx)
		if !ok {
			return
		}
		r.send(ctx, intended)
	}
}

// send sends a request and records what became of it.
func (r *run) send(ctx context.Context, intended time.Time) {
	timed, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	sent := time.Now()
	res, err := r.options.Transport.RoundTrip(r.request(timed))
	answered := time.Now()
	if err != nil {
		r.record.failed(kind(ctx, err))
		return
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close() // says nothing that the copy did not
	latency := time.Since(intended)
	switch outcome := classify(res.StatusCode); {
	case outcome == refused:
		r.record.answered(outcome, res.StatusCode, latency)
		r.backOff(res.Header)
	case err != nil:
		r.record.failed(kind(ctx, err))
	default:
		r.record.answered(outcome, res.StatusCode, latency)
		if outcome == admitted {
			r.record.admitted(sent, answered)
		}
	}
}

func (r *run) request(ctx context.Context) *http.Request {
	// validate has made the same request, so it cannot fail.
	req, _ := http.NewRequestWithContext(ctx, r.options.Method, r.options.URL, nil)
	if len(r.options.Body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(r.options.Body))
		req.ContentLength = int64(len(r.options.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.options.Body)), nil }
	}
	for name, values := range r.options.Header {
		if http.CanonicalHeaderKey(name) == "Host" && len(values) > 0 {
			req.Host = values[0]
			continue
		}
		req.Header[name] = values
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "stint-load")
	}
	return req
}

// backOff does what a refusal is to do.
func (r *run) backOff(header http.Header) {
	wait := r.options.OnLimit.Wait
	if r.options.OnLimit.RetryAfter {
		if said, ok := retryAfter(header.Get("Retry-After")); ok {
			wait = said
		}
	}
	if wait > 0 {
		r.schedule.pause(wait)
	}
}

// retryAfter reads a Retry-After header: seconds or a date. It believes at most an hour.
func retryAfter(text string) (time.Duration, bool) {
	const longest = time.Hour
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(longest/time.Second))) * time.Second, true
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(time.Until(date), 0), longest), true
	}
	return 0, false
}

// reportProgress tells Options.Progress until the returned function is called, which returns when it is told no more.
func (r *run) reportProgress() (stop func()) {
	if r.options.Progress == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(r.options.ProgressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.options.Progress(r.record.progress())
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}
