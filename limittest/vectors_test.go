package limittest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/limittest"
)

var vectorsFile = flag.String("vectors", "", "TestVectors: replay this file instead of the kit's own")

// vectorsText is the file to replay. Tests run in their own folder, so a relative path is tried from the folder above, too.
func vectorsText(t *testing.T) []byte {
	if *vectorsFile == "" {
		return limittest.Vectors
	}
	tried := []string{*vectorsFile}
	if !filepath.IsAbs(*vectorsFile) {
		tried = append(tried, filepath.Join("..", *vectorsFile))
	}
	for _, path := range tried {
		if text, err := os.ReadFile(path); err == nil {
			return text
		}
	}
	here, _ := os.Getwd()
	t.Fatalf("-vectors %s: there is no such file: tried %s from %s", *vectorsFile, strings.Join(tried, " and "), here)
	return nil
}

// TestVectors replays traces, those of limits at the level of the strategies and on the memory store.
func TestVectors(t *testing.T) {
	vectors, err := limittest.ReadVectors(bytes.NewReader(vectorsText(t)))
	if err != nil {
		t.Fatal(err)
	}
	if len(vectors) == 0 {
		t.Fatal("the file holds no trace")
	}
	var replayed, differ, later []string
	for i := range vectors {
		v := &vectors[i]
		t.Run(v.ID, func(t *testing.T) {
			if why := limittest.DiffersOnPurpose(v); why != "" {
				differ = append(differ, v.ID+": "+why)
				t.Log("differs on purpose:", why)
				return
			}
			if why := limittest.NotHere(v); why != "" {
				later = append(later, v.ID+": "+why)
				t.Log("not replayed here:", why)
				return
			}
			done, err := replay(t, v)
			switch {
			case err != nil:
				t.Error(err)
			case done:
				replayed = append(replayed, v.ID)
			default:
				later = append(later, v.ID+": there is nothing like "+v.Algo)
				t.Log("not replayed here: there is nothing like", v.Algo)
			}
		})
	}
	t.Logf("%d traces: %d replayed, %d differ on purpose, %d are not replayed here", len(vectors), len(replayed), len(differ), len(later))
	for _, line := range differ {
		t.Log("differs on purpose:", line)
	}
	for _, line := range later {
		t.Log("not replayed here:", line)
	}
}

// replay replays a trace by what it is made of.
func replay(t *testing.T, v *limittest.Vector) (bool, error) {
	if grammar, ok := strings.CutPrefix(v.Algo, "grammar:"); ok {
		return true, eachStep(v, func(s *limittest.VectorStep) error { return readsAs(grammar, s) })
	}
	switch v.Algo {
	case "ip-key":
		return true, eachStep(v, func(s *limittest.VectorStep) error { return addressKey(v, s) })
	case "client-ip":
		return true, eachStep(v, func(s *limittest.VectorStep) error { return clientAddress(v, s) })
	case "key-encode":
		return true, eachStep(v, keysMeet)
	case "http-retry-after":
		return true, eachStep(v, retryHeader)
	case "tb-queue", "fw-queue", "sw-segments-queue":
		return true, replayQueue(t, v)
	}
	pure, err := limittest.ReplayVector(v)
	if err != nil {
		return true, fmt.Errorf("on the strategy: %w", err)
	}
	stored, err := limittest.ReplayVectorOn(t, openMemory, v)
	if err != nil {
		return true, fmt.Errorf("on the memory store: %w", err)
	}
	return pure || stored, nil
}

func eachStep(v *limittest.Vector, check func(*limittest.VectorStep) error) error {
	for i := range v.Steps {
		if err := check(&v.Steps[i]); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// readsAs reads a limit's text, or a span of time as a part of one.
func readsAs(grammar string, s *limittest.VectorStep) error {
	var in string
	if err := json.Unmarshal(s.In, &in); err != nil {
		return err
	}
	if grammar == "upstash-duration" {
		var seconds float64
		if err := json.Unmarshal(s.Out, &seconds); err != nil {
			return err
		}
		l, err := stint.ParseLimit("1/" + in)
		if err != nil || l.Per != time.Duration(seconds*float64(time.Second)) {
			return fmt.Errorf("%q reads as %v (%v), want %v s", in, l.Per, err, seconds)
		}
		return nil
	}
	limits, err := stint.ParseLimits(in)
	var want [][2]int64
	if json.Unmarshal(s.Out, &want) != nil {
		if err == nil {
			return fmt.Errorf("%q reads as %v, want an error", in, limits)
		}
		return nil
	}
	var got [][2]int64
	for _, l := range limits {
		got = append(got, [2]int64{l.Units, int64(l.Per / time.Second)})
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%q reads as %v (%v), want %v", in, got, err, want)
	}
	return nil
}

func addressKey(v *limittest.Vector, s *limittest.VectorStep) error {
	var cfg struct {
		Prefix int `json:"v6_prefix"`
	}
	var in, out string
	if err := firstError(json.Unmarshal(v.Cfg, &cfg), json.Unmarshal(s.In, &in), json.Unmarshal(s.Out, &out)); err != nil {
		return err
	}
	address, ok := httplimit.ParseAddress(in)
	if got := httplimit.AddressKey(address, cfg.Prefix); !ok || got != out {
		return fmt.Errorf("address %s is counted as %q, want %q", in, got, out)
	}
	return nil
}

func clientAddress(v *limittest.Vector, s *limittest.VectorStep) error {
	var cfg struct {
		Trusted []netip.Prefix `json:"trusted"`
	}
	var out string
	if err := firstError(json.Unmarshal(v.Cfg, &cfg), json.Unmarshal(s.Out, &out)); err != nil {
		return err
	}
	r := &http.Request{RemoteAddr: s.Remote + ":4711", Header: http.Header{}}
	if strings.Contains(s.Remote, ":") {
		r.RemoteAddr = "[" + s.Remote + "]:4711"
	}
	if s.XFF != "" {
		r.Header.Set("X-Forwarded-For", s.XFF)
	}
	address, ok := httplimit.Trusted(cfg.Trusted...).Of(r)
	if !ok || address.String() != out {
		return fmt.Errorf("client %v (%v), want %s", address, ok, out)
	}
	return nil
}

func keysMeet(s *limittest.VectorStep) error {
	if a, b := stint.Key(s.A...), stint.Key(s.B...); (a == b) != s.Equal {
		return fmt.Errorf("keys of %q and %q: %q and %q", s.A, s.B, a, b)
	}
	return nil
}

func retryHeader(s *limittest.VectorStep) error {
	var millis int64
	var out string
	if err := firstError(json.Unmarshal(s.In, &millis), json.Unmarshal(s.Out, &out)); err != nil {
		return err
	}
	d := stint.Decision{RetryAfter: time.Duration(millis) * time.Millisecond}
	if seconds, told := d.RetrySeconds(); !told || strconv.FormatInt(seconds, 10) != out {
		return fmt.Errorf("%d ms is %d s (%v), want %s", millis, seconds, told, out)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
