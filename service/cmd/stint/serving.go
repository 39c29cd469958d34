package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/server"
	"github.com/stint-go/stint/service/stores"
)

// serving are the flags of every command that answers requests.
type serving struct {
	Listen      string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where to listen: this machine alone unless said (:8080 is every address; port 0 takes a free one)."`
	Snapshot    string        `placeholder:"FILE" help:"Keep the counts in this file, so that a restart is not a free refill."`
	MaxKeys     int64         `default:"10000000" help:"How many keys are kept in memory at most."`
	Drain       time.Duration `default:"10s" help:"How long requests may go on after the stop."`
	MaxBody     int64         `placeholder:"BYTES" help:"The largest body that is taken. No bound unless said: bodies are streamed, not kept."`
	MaxHeader   int           `default:"65536" placeholder:"BYTES" help:"The largest request line and headers that are taken."`
	LogRequests bool          `help:"Log every request, not only those answered with 500 and above."`
	LogFormat   string        `default:"text" enum:"text,json" help:"How to log: text or json."`
}

// logger logs to the standard error: the standard output is for what was asked.
func (s *serving) logger(t *terminal) *slog.Logger {
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(t.err, nil))
	}
	return slog.New(slog.NewTextHandler(t.err, nil))
}

// memory is the store that the flags ask for.
func (s *serving) memory() (*stint.Memory, error) {
	if s.MaxKeys < 1 {
		return nil, fmt.Errorf("--max-keys %d: must be 1 or more", s.MaxKeys)
	}
	store, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: s.MaxKeys, SnapshotFile: s.Snapshot})
	if err != nil || s.Snapshot == "" {
		return store, err
	}
	// A file that cannot be written is better found now than at the stop.
	if err := store.Save(); err != nil {
		_ = store.Close() // which would fail for the same reason
		return nil, fmt.Errorf("--snapshot: %w", err)
	}
	return store, nil
}

// job is what a command serves.
type job struct {
	handler    http.Handler
	store      stint.Store   // is closed at the end
	shared     *stores.Stack // the same, if it is not this process's memory
	log        *slog.Logger
	hello      func(url string) string     // what is printed at the start
	background []func(ctx context.Context) // what else goes on until the end
}

// serve answers requests until ctx ends.
func (s *serving) serve(ctx context.Context, t *terminal, j *job) error {
	var others sync.WaitGroup
	until, end := context.WithCancel(ctx)
	for _, other := range j.background {
		others.Go(func() { other(until) })
	}
	err := s.answer(ctx, t, j)
	end()
	others.Wait()
	return errors.Join(err, j.store.Close())
}

// snapshotCheck is how often a snapshot that could not be written is told of.
const snapshotCheck = 10 * time.Second

// watchSnapshots logs that snapshots fail, until ctx ends.
func watchSnapshots(ctx context.Context, store *stint.Memory, log *slog.Logger) {
	tick := time.NewTicker(snapshotCheck)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := store.SnapshotErr(); err != nil {
				log.Error("the counts cannot be saved: a restart would forget them", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// answer listens, says so, and answers until ctx ends.
func (s *serving) answer(ctx context.Context, t *terminal, j *job) error {
	if s.MaxBody < 0 || s.MaxHeader < 0 || s.Drain < 0 {
		return fmt.Errorf("--max-body, --max-header and --drain cannot be negative")
	}
	if _, _, found := strings.Cut(s.Listen, ":"); !found {
		return fmt.Errorf("--listen %q: write HOST:PORT, or :PORT for every address of this machine", s.Listen)
	}
	bound, err := server.Listen(server.Options{
		Address: s.Listen, Handler: j.handler, Log: j.log, LogRequests: s.LogRequests,
		Drain: s.Drain, MaxHeaderBytes: s.MaxHeader, MaxBodyBytes: s.MaxBody,
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(t.out, j.hello(bound.URL())); err != nil {
		_ = bound.Close()
		return err
	}
	return bound.Serve(ctx)
}

// parseNetworks reads networks such as 10.0.0.0/8, and single addresses.
func parseNetworks(flag string, texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s %q: write a network such as 10.0.0.0/8, or an address", flag, text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}
