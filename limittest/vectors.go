package limittest

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
)

// Vectors are the kit's own traces, in the format that ReadVectors reads.
//
//go:embed testdata/vectors.jsonl
var Vectors []byte

// Vector is a trace of what a limiter did: operations at given times, and what came of them. Times are in units of U, of
// which nothing else depends: a replay multiplies or divides all times of a trace by one factor.
type Vector struct {
	ID     string          `json:"id"`
	Algo   string          `json:"algo"`
	U      string          `json:"u"`
	T0     int64           `json:"t0"`
	Policy string          `json:"policy"`
	Cfg    json.RawMessage `json:"cfg"`
	Steps  []VectorStep    `json:"s"`
	Note   string          `json:"note"`

	unread error // why its steps could not be read
}

// VectorStep is one operation of a trace. What is absent is not asserted.
type VectorStep struct {
	T       int64           `json:"t"`
	Op      string          `json:"op"`
	N       *int64          `json:"n"`
	Key     string          `json:"key"`
	MaxWait int64           `json:"max_wait"`
	Window  int64           `json:"window_of"`
	For     int64           `json:"for"`
	Prev    int64           `json:"prev"`
	Cur     int64           `json:"cur"`
	Elapsed int64           `json:"elapsed"`
	Counts  []int64         `json:"counts"`
	D       float64         `json:"d"`
	ID      int             `json:"id"`
	In      json.RawMessage `json:"in"`

	OK     *bool             `json:"ok"`
	Rem    json.RawMessage   `json:"rem"`
	RA     *int64            `json:"ra"`
	RS     *int64            `json:"rs"`
	Got    *int64            `json:"got"`
	Used   json.RawMessage   `json:"used"`
	Frac   string            `json:"frac"`
	Failed json.RawMessage   `json:"failed"`
	Sleep  *float64          `json:"sleep"`
	Now    string            `json:"now"`
	Done   map[string]string `json:"done"`
	Out    json.RawMessage   `json:"out"`

	A      []string `json:"a"`
	B      []string `json:"b"`
	Equal  bool     `json:"equal"`
	XFF    string   `json:"xff"`
	Remote string   `json:"remote"`
}

// ReadVectors reads traces, one a line. A trace whose steps have an unknown shape fails when it is replayed.
func ReadVectors(r io.Reader) ([]Vector, error) {
	var vectors []Vector
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<24)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return nil, fmt.Errorf("line %d: no JSON", n)
		}
		var v Vector
		v.unread = json.Unmarshal(line, &v)
		if v.ID == "" || v.Algo == "" {
			return nil, fmt.Errorf("line %d: a trace needs an id and an algo", n)
		}
		vectors = append(vectors, v)
	}
	return vectors, lines.Err()
}

// units is n of a step; 1 where it is absent.
func (s *VectorStep) units() int64 {
	if s.N == nil {
		return 1
	}
	return *s.N
}

// DiffersOnPurpose says why a trace must not be followed; "" if it must.
func DiffersOnPurpose(v *Vector) string {
	if why := differOnPurpose[v.ID]; why != "" {
		return why
	}
	var cfg struct {
		Order  string   `json:"order"`
		WarmUp *float64 `json:"warmup_s"`
	}
	_ = json.Unmarshal(v.Cfg, &cfg) // other shapes have neither field
	switch {
	case v.adapts():
		return "a new key is full: one that was full and forgotten could not be told from it"
	case v.Algo == "fail2ban":
		return "a ban for bad answers is no limit on calls"
	case v.Algo == "vegas" || v.Algo == "aimd":
		return "limits that adapt to latency are not promised"
	case v.Algo == "gcra-keyed-gc":
		return "a key may be forgotten as soon as it is full"
	case cfg.WarmUp != nil:
		return "pacing has no warm-up"
	case cfg.Order == "newest" && v.waits():
		return "waiters are served first come first served"
	}
	return ""
}

// NotHere says why a trace is none that the kit can replay; "" if it can, or tries to. What it is of is a store around a store,
// which neither a strategy nor a store of counts does.
func NotHere(v *Vector) string {
	switch v.Algo {
	case "coalesce":
		return "the takes of many callers are merged in package batch"
	case "write-behind":
		return "units are spent at a node in package lease, where none spends what the store has not given it"
	}
	return ""
}

// adapts says whether the trace has a key that begins with less the nearer the next refill is.
func (v *Vector) adapts() bool {
	var buckets []struct {
		Adaptive      bool
		Period, First int64
	}
	_ = json.Unmarshal(v.Cfg, &buckets) // other shapes are no buckets
	for _, b := range buckets {
		if b.Adaptive && b.Period > 0 && (v.T0-b.First)%b.Period != 0 {
			return true
		}
	}
	return false
}

// waits says whether anybody waits in the trace.
func (v *Vector) waits() bool {
	for _, s := range v.Steps {
		if s.Op == "wait" {
			return true
		}
	}
	return false
}

var differOnPurpose = map[string]string{
	"fw-rlf-noexpire": "a lifetime quota could never be forgotten, so it is refused",
	"gram-limits-7":   "a month is no 30 days",
	"tb-force-5":      "no key ever holds more than its capacity",
	"key-ip-5":        "NAT64 addresses are decoded, else all of their users share one key",
	"key-ip-6":        "the loopback address is itself, whole",
}
