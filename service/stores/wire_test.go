package stores_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/stores"
	"github.com/stint-go/stint/storetest/servers"
)

// faults are what a wire does to the bytes that a store answers, or to the connection.
var faults = map[string]string{
	"slow":              `{"name": "f", "type": "latency", "stream": "downstream", "attributes": {"latency": 3000}}`,
	"cut off":           `{"name": "f", "type": "limit_data", "stream": "downstream", "attributes": {"bytes": 3}}`,
	"half open":         `{"name": "f", "type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`,
	"asked and unheard": `{"name": "f", "type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`,
	"reset":             `{"name": "f", "type": "reset_peer", "stream": "downstream", "attributes": {"timeout": 0}}`,
	"a byte a second":   `{"name": "f", "type": "slicer", "stream": "downstream", "attributes": {"average_size": 1, "size_variation": 0, "delay": 1000000}}`,
}

// A wire that fails is a lost store: calls are answered within their deadline, by on-store-loss and marked so, never as a denial of the
// limit's; nothing is admitted twice; and when the wire is well again calls go to the store without a restart.
func TestFaultsOnTheWire(t *testing.T) {
	for name, address := range map[string]string{
		"Redis":      servers.Redis(t).Address(),
		"PostgreSQL": servers.Postgres(t).Database(t),
		"MariaDB":    servers.MariaDB(t).Database(t),
	} {
		for fault, toxic := range faults {
			t.Run(name+"/"+fault, func(t *testing.T) {
				t.Parallel()
				wire := newWire(t, address)
				onWire(t, wire, toxic)
			})
		}
	}
}

func onWire(t *testing.T, w *wire, toxic string) {
	s, err := stores.NewStack(t.Context(), w.address, stores.StackOptions{Deadline: 250 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	l, err := stint.NewWith(stint.Options{Store: s}, stint.PerHour(1000).WithStrategy(stint.FixedWindow{}).WithID(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var asked, admitted atomic.Int64
	take := func() stint.Decision {
		asked.Add(1)
		// A call that is not answered at all would end with this, and fail.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		d, err := l.Take(ctx, "k", 1)
		switch {
		case err != nil:
			t.Errorf("an error in place of a decision: %v", err)
		case d.Allowed:
			admitted.Add(1)
		case d.Reason != stint.Degraded || d.RetryAfter != stint.Unknown:
			t.Errorf("a denial that the limit has not made: %v, retry after %v", d.Reason, d.RetryAfter)
		}
		return d
	}
	for range 20 {
		if d := take(); !d.Allowed {
			t.Fatalf("while all is well: %v", d.Reason)
		}
	}
	w.spoil(t, toxic)
	lost := false
	for range 4 {
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() { take() })
		}
		callers.Wait()
		lost = lost || s.Lost()
	}
	if !lost {
		t.Error("the store is not said to be lost")
	}
	w.mend(t)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if d := take(); d.Allowed {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("the wire is well again, and calls do not go to the store")
		}
	}
	d, err := l.Peek(t.Context(), "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	// Every unit that was admitted is charged; those of calls whose answer was lost are, too, or not.
	if used := d.Limit - d.Remaining; used < admitted.Load() || used > asked.Load() {
		t.Errorf("%d calls, %d admitted, %d charged", asked.Load(), admitted.Load(), used)
	}
}

// wire is a connection to a store that can be broken.
type wire struct {
	address string // the store's, by way of the proxy
	proxy   *toxiproxy.Proxy
}

func newWire(t *testing.T, address string) *wire {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := l.Addr().String()
	_ = l.Close()
	silent := zerolog.Nop()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), silent), t.Name(), front, u.Host)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return &wire{strings.Replace(address, u.Host, front, 1), proxy}
}

func (w *wire) spoil(t *testing.T, toxic string) {
	t.Helper()
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		t.Fatal(err)
	}
}

// mend takes the fault away. Connections that it has hurt stay hurt, as on a real wire.
func (w *wire) mend(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = w.proxy.Toxics.RemoveToxic(ctx, "f") // it waits for connections that stand still, and is then gone all the same
}
