package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// Fresh is how long an answer of the database is good: a key that is revoked stops working within it.
const Fresh = 2 * time.Second

// refreshAfter is the age at which an answer is asked for anew beside the calls that it still serves, so that a busy key never waits.
const refreshAfter = Fresh / 2

// DirectoryOptions say how keys are looked up. The zero value is ready to use.
type DirectoryOptions struct {
	// Grace is how long the last known answers hold while the database is lost. Default: 1 min.
	Grace time.Duration

	// MaxKeys bounds the answers kept, of keys found and not found. Default: 100,000.
	MaxKeys int

	// Tries is what an address may fail: look-ups of keys that are not valid. Default: 20 a minute.
	Tries *stint.Limit

	// Timeout bounds a look-up. Default: 2 s.
	Timeout time.Duration

	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

func (o *DirectoryOptions) validate() error {
	if o.Grace < 0 || o.MaxKeys < 0 || o.Timeout < 0 {
		return errors.New("accounts: a bound is negative; 0 takes the default")
	}
	if o.Grace == 0 {
		o.Grace = time.Minute
	}
	if o.MaxKeys == 0 {
		o.MaxKeys = 100_000
	}
	if o.Tries == nil {
		limit := stint.PerMinute(20).WithID("failed-api-keys")
		o.Tries = &limit
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// ErrUnavailable says that the accounts cannot be asked now: nobody knows whether the key is valid.
var ErrUnavailable = errors.New("accounts: the database cannot be reached")

// Directory looks up who sends an API key. It is safe for concurrent use; close it before the database.
type Directory struct {
	accounts *Accounts
	options  DirectoryOptions
	tries    tries
	cache    cache
	shared   atomic.Pointer[timedValues]
	lost     atomic.Int64 // since when, in nanoseconds since 1970; 0 if it is not
	stats    counters

	life   context.Context // of the look-ups that go on beside calls
	end    context.CancelFunc
	beside sync.WaitGroup
}

// timedValues are values that many callers have, and when they were read.
type timedValues struct {
	*sharedValues
	read time.Time
}

// NewDirectory looks keys up in accounts.
func NewDirectory(a *Accounts, o DirectoryOptions) (*Directory, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	memory, err := stint.NewMemory(stint.MemoryOptions{MaxKeys: 100_000})
	if err != nil {
		return nil, err
	}
	limiter, err := stint.NewWith(stint.Options{Store: memory}, *o.Tries)
	if err != nil {
		return nil, errors.Join(err, memory.Close())
	}
	d := &Directory{accounts: a, options: o, tries: tries{limiter: limiter, underWay: map[string]*underWay{}}}
	d.cache.init(o.MaxKeys)
	d.life, d.end = context.WithCancel(context.Background())
	return d, nil
}

// Close ends what goes on beside calls.
func (d *Directory) Close() error {
	d.end()
	d.beside.Wait()
	return d.tries.limiter.Close()
}

// Look says who sends a secret, from an address ("" if there is none). The errors are [policy.ErrInvalidKey], a [*policy.TriesError] and
// [ErrUnavailable], wrapped.
func (d *Directory) Look(ctx context.Context, secret, address string) (*policy.Caller, error) {
	d.stats.looks.Add(1)
	hash, good := fingerprint(secret)
	if !good {
		return nil, policy.ErrInvalidKey
	}
	now := d.options.Now()
	e := d.cache.get(hash)
	if e != nil {
		if age := now.Sub(e.read); age >= 0 && age < Fresh {
			d.stats.hits.Add(1)
			if age >= refreshAfter && e.refreshing.CompareAndSwap(false, true) {
				d.refresh(hash)
			}
			return e.answer(now)
		}
	} else if !sumFits(secret) {
		return nil, policy.ErrInvalidKey
	}
	return d.ask(ctx, hash, e, address)
}

// ask waits for the database's answer. known is the last one, if there was one.
func (d *Directory) ask(ctx context.Context, hash [sha256.Size]byte, known *entry, address string) (*policy.Caller, error) {
	f, err := d.wait(ctx, hash, known, address)
	if err != nil {
		return nil, err
	}
	now := d.options.Now()
	if f.err == nil {
		return f.entry.answer(now)
	}
	if known != nil && known.identity != nil && now.Sub(known.read) < Fresh+d.options.Grace {
		d.stats.graced.Add(1)
		return known.answer(now)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, f.err)
}

// wait waits for a look-up that was not under way for too long when this call joined it. Who begins one for a key that is not known takes a
// try of the address.
func (d *Directory) wait(ctx context.Context, hash [sha256.Size]byte, known *entry, address string) (*flight, error) {
	for {
		f, first := d.cache.flight(hash)
		if first {
			end := func(bool) {}
			if known == nil || known.identity == nil {
				var err error
				if end, err = d.tries.begin(ctx, address); err != nil {
					f.err = err
					d.cache.failed(hash, f)
					return nil, err
				}
			}
			f.begun = true
			d.beside.Go(func() { d.land(hash, f, end) })
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
		if !f.begun {
			continue // who was first may not ask, or has left; that says nothing of this call
		}
		if f.err != nil || d.options.Now().Sub(f.entry.read) < Fresh {
			return f, nil //nolint:nilerr // its error is for who reads the flight
		}
	}
}

// refresh asks anew for a key that is known, beside the calls that the old answer still serves.
func (d *Directory) refresh(hash [sha256.Size]byte) {
	if f, first := d.cache.flight(hash); first {
		f.begun = true
		d.beside.Go(func() { d.land(hash, f, func(bool) {}) })
	}
}

// land asks the database, and tells all who wait; ended is told whether the try was not in vain, or is not known to have been.
func (d *Directory) land(hash [sha256.Size]byte, f *flight, ended func(back bool)) {
	ctx, cancel := context.WithTimeout(d.life, d.options.Timeout)
	defer cancel()
	asked := d.options.Now() // an answer is as old as its question
	d.stats.asked.Add(1)
	shared, err := d.sharedValues(ctx, asked)
	var found *identity
	if err == nil {
		found, err = d.accounts.lookup(ctx, hash, shared)
	}
	if err != nil {
		d.lost.CompareAndSwap(0, asked.UnixNano())
		d.stats.failed.Add(1)
		f.err = err
		ended(true)
		d.cache.failed(hash, f)
		return
	}
	d.lost.Store(0)
	f.entry = &entry{identity: found, read: asked}
	ended(found != nil && found.valid(d.options.Now()))
	d.cache.put(hash, f)
}

// sharedValues are the values of plans and wildcards, read at most Fresh/2 ago: they are as old as that when a look-up uses them.
func (d *Directory) sharedValues(ctx context.Context, now time.Time) (*sharedValues, error) {
	if known := d.shared.Load(); known != nil && now.Sub(known.read) < refreshAfter {
		return known.sharedValues, nil
	}
	values, err := d.accounts.sharedValues(ctx)
	if err == nil {
		d.shared.Store(&timedValues{values, now})
	}
	return values, err
}

// Stats are counts since the start, but Kept, Lost and Grace.
type Stats struct {
	Looks  int64 // calls of Look
	Hits   int64 // answered from the cache
	Asked  int64 // look-ups in the database
	Failed int64 // look-ups that got no answer
	Graced int64 // calls answered as before, since the database was lost
	Kept   int   // answers in the cache
	Lost   bool  // the last look-up got no answer

	// Grace is for how long the answers in the cache still hold while Lost is true; 0 if there are none.
	Grace time.Duration
}

type counters struct{ looks, hits, asked, failed, graced atomic.Int64 }

// Stats are the counts.
func (d *Directory) Stats() Stats {
	s := &d.stats
	stats := Stats{Looks: s.looks.Load(), Hits: s.hits.Load(), Asked: s.asked.Load(), Failed: s.failed.Load(), Graced: s.graced.Load(), Kept: d.cache.len()}
	if since := d.lost.Load(); since != 0 {
		stats.Lost = true
		if stats.Kept > 0 {
			stats.Grace = max(0, d.options.Grace-d.options.Now().Sub(time.Unix(0, since)))
		}
	}
	return stats
}
