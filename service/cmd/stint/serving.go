package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/server"
	"github.com/stint-go/stint/service/stores"
)

// serving are the flags of every command that answers requests.
type serving struct {
	Listen      string        `long:"listen" value-name:"HOST:PORT" default:"127.0.0.1:8080" description:"Where to listen: this machine alone unless said (:8080 is every address; port 0 takes a free one)."`
	Snapshot    string        `long:"snapshot" value-name:"FILE" description:"Keep the counts in this file, so that a restart is not a free refill."`
	MaxKeys     int64         `long:"max-keys" default:"10000000" description:"How many keys are kept in memory at most."`
	TLSCert     string        `long:"tls-cert" value-name:"FILE" description:"Encrypt connections: the certificate, in PEM. It and the others are read again when they change."`
	TLSKey      string        `long:"tls-key" value-name:"FILE" description:"The certificate's private key."`
	TLSClientCA string        `long:"tls-client-ca" value-name:"FILE" description:"Take only clients that show a certificate of one of these authorities (mutual TLS)."`
	StopDelay   time.Duration `long:"stop-delay" value-name:"TIME" description:"How long to go on taking requests after the stop signal, while /readyz says no already: for a load balancer that needs time to notice."`
	Drain       time.Duration `long:"drain" default:"10s" description:"How long requests may go on after the stop."`
	MaxBody     int64         `long:"max-body" value-name:"BYTES" description:"The largest body that is taken. No bound unless said: bodies are streamed, not kept."`
	MaxHeader   int           `long:"max-header" value-name:"BYTES" default:"65536" description:"The largest request line and headers that are taken."`
	LogRequests bool          `long:"log-requests" description:"Log every request, not only those answered with 500 and above."`
	LogFormat   string        `long:"log-format" default:"text" choice:"text" choice:"json" description:"How to log: text or json."`
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
	admin      *adminJob     // nil: there is no second listener
	store      stint.Store   // is closed at the end
	shared     *stores.Stack // the same, if it is not this process's memory
	log        *slog.Logger
	hello      func(url, admin string) string    // what is printed at the start
	background []func(ctx context.Context)       // what else goes on until the end
	stopping   atomic.Bool                       // the stop signal has come
	closing    []func(ctx context.Context) error // what ends after the last request and before the store, the last first
}

// adminJob is what the second listener serves.
type adminJob struct {
	address string
	handler http.Handler
	secure  bool // by the same certificates
}

// closeWithin bounds how long each of what is open may take to be closed at the end: what was counted is written then.
const closeWithin = 10 * time.Second

// garbageFloor is memory that is held and never touched, so that it is the machine's still. But the garbage collector reckons with it:
// it begins when about so much garbage has come together, not with every 4 MB, which many small requests make a hundred times a second.
const garbageFloor = 32 << 20

// serve answers requests until ctx ends.
func (s *serving) serve(ctx context.Context, t *terminal, j *job) error {
	var others sync.WaitGroup
	until, end := context.WithCancel(context.WithoutCancel(ctx))
	for _, other := range j.background {
		others.Go(func() { other(until) })
	}
	floor := make([]byte, garbageFloor)
	err := s.answer(ctx, t, j)
	runtime.KeepAlive(floor)
	end()
	others.Wait()
	return errors.Join(err, j.close(ctx))
}

// close ends what the job has opened. Each has a time of its own, so that one that is stuck takes none of another's.
func (j *job) close(ctx context.Context) error {
	var failed []error
	for _, end := range slices.Backward(j.closing) {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
		failed = append(failed, end(within))
		cancel()
	}
	if j.store != nil {
		failed = append(failed, j.store.Close())
	}
	return errors.Join(failed...)
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
	options, err := s.options(j)
	if err != nil {
		return err
	}
	public, err := server.Listen(options)
	if err != nil {
		return err
	}
	var admin *server.Server
	adminURL := ""
	if j.admin != nil {
		o := server.Options{
			Address: j.admin.address, Handler: j.admin.handler, Log: j.log, Drain: time.Second, MaxBodyBytes: 1 << 20, MaxConnections: 256,
		}
		if j.admin.secure {
			o.TLS = options.TLS
		}
		admin, err = server.Listen(o)
		if err != nil {
			return errors.Join(fmt.Errorf("--admin: %w", err), public.Close())
		}
		adminURL = admin.URL()
	}
	if _, err := fmt.Fprint(t.out, j.hello(public.URL(), adminURL)); err != nil {
		if admin != nil {
			err = errors.Join(err, admin.Close())
		}
		return errors.Join(err, public.Close())
	}
	return s.both(ctx, j, public, admin)
}

// both answers on both listeners until ctx ends; the second goes on until the first has drained, so that it can be watched.
func (s *serving) both(ctx context.Context, j *job, public, admin *server.Server) error {
	after, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	if admin != nil {
		ended := make(chan error, 1)
		go func() { ended <- admin.Serve(after) }()
		defer func() {
			end()
			if err := <-ended; err != nil {
				j.log.Warn("the admin listener ended", "error", err)
			}
		}()
	}
	taking, stop := context.WithCancel(after)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-after.Done():
			return
		case <-ctx.Done():
		}
		j.stopping.Store(true)
		if s.StopDelay > 0 {
			j.log.Info("told to stop: requests are still taken for the stop delay", "delay", s.StopDelay)
			delay := time.NewTimer(s.StopDelay)
			defer delay.Stop()
			select {
			case <-delay.C:
			case <-after.Done():
			}
		}
	}()
	return public.Serve(taking)
}

// options are those of the public listener.
func (s *serving) options(j *job) (o server.Options, err error) {
	switch {
	case s.MaxBody < 0 || s.MaxHeader < 0 || s.Drain < 0 || s.StopDelay < 0:
		return o, fmt.Errorf("--max-body, --max-header, --drain and --stop-delay cannot be negative")
	case s.TLSCert == "" && s.TLSKey == "" && s.TLSClientCA != "":
		return o, fmt.Errorf("--tls-client-ca needs --tls-cert and --tls-key: clients show a certificate over TLS only")
	}
	if _, _, found := strings.Cut(s.Listen, ":"); !found {
		return o, fmt.Errorf("--listen %q: write HOST:PORT, or :PORT for every address of this machine", s.Listen)
	}
	o = server.Options{
		Address: s.Listen, Handler: j.handler, Log: j.log, LogRequests: s.LogRequests,
		Drain: s.Drain, MaxHeaderBytes: s.MaxHeader, MaxBodyBytes: s.MaxBody,
	}
	if s.TLSCert != "" || s.TLSKey != "" {
		o.TLS, err = server.LoadCertificates(server.CertificateFiles{Certificate: s.TLSCert, Key: s.TLSKey, ClientAuthorities: s.TLSClientCA}, j.log)
	}
	return o, err
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
