package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9/logging"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/api"
	"github.com/stint-go/stint/service/stores"
)

// inMemory is the address of the store that is this process.
const inMemory = "memory"

// keep opens the store at an address for the job, and has the job tend it.
func (s *serving) keep(ctx context.Context, j *job, address string, o stores.StackOptions) error {
	if address == inMemory {
		memory, err := s.memory()
		if err != nil {
			return err
		}
		if s.Snapshot != "" {
			j.background = append(j.background, func(ctx context.Context) { watchSnapshots(ctx, memory, j.log) })
		}
		j.store = memory
		return nil
	}
	if s.Snapshot != "" {
		return fmt.Errorf("--snapshot is for counts in memory; these are kept by %s: leave it out", stores.Redacted(address))
	}
	o.Log = j.log
	shared, err := stores.NewStack(ctx, address, o)
	if err != nil {
		return err
	}
	j.background = append(j.background, shared.Watch)
	j.store, j.shared = shared, shared
	return nil
}

// lossy is how a policy uses a shared store.
func lossy(p *policy.Policy) stores.StackOptions {
	return stores.StackOptions{Deadline: p.StoreDeadline, Choices: choices(p), Instances: p.Instances, Leases: leases(p)}
}

// leases are the limits of a policy that are leased.
func leases(p *policy.Policy) map[string]int64 {
	all := map[string]int64{}
	for _, l := range p.Limits {
		if l.Lease > 0 {
			all[l.ID] = l.Lease
		}
	}
	return all
}

// leaseText says, behind what a limit promises, what its lease costs of that.
func leaseText(p *policy.Policy, l *policy.Limit) string {
	if l.Lease == 0 || p.Store == inMemory {
		return ""
	}
	text := fmt.Sprintf("; leased by up to %d units: ", l.Lease)
	if _, bucket := l.Value.Strategy.(stint.TokenBucket); bucket {
		return text + fmt.Sprintf("in any span at most what comes in within %v more", leaseLife)
	}
	return text + "not more than without"
}

// leaseLife is how long leased units may be spent, which is what package lease takes if nothing is said.
const leaseLife = time.Second

// choices are what a policy's limits say for a lost store.
func choices(p *policy.Policy) map[string]failover.Choice {
	all := make(map[string]failover.Choice, len(p.Limits))
	for _, l := range p.Limits {
		switch l.OnStoreLoss {
		case policy.LossOpen:
			all[l.ID] = failover.Open
		case policy.LossLocal:
			all[l.ID] = failover.Local
		}
	}
	return all
}

// logUndecided logs that no decision could be had, or that what a call cost could not be settled: not where the client has left, and
// not for each call while the store is lost, which is logged once.
func logUndecided(log *slog.Logger) func(*http.Request, error) {
	return func(r *http.Request, err error) {
		if r.Context().Err() == nil && !errors.Is(err, failover.ErrLost) && !errors.Is(err, api.ErrStoreLost) {
			log.Error("no decision could be had", "error", err)
		}
	}
}

// withoutStore says, behind what a limit promises, what its calls get while a shared store is lost.
func withoutStore(p *policy.Policy, loss policy.StoreLoss, value *stint.Limit) string {
	switch {
	case p.Store == inMemory:
		return ""
	case loss == policy.LossOpen:
		return "; if the store is lost: admitted"
	case loss == policy.LossLocal:
		return fmt.Sprintf("; if the store is lost: each of %d instances its share, all together at most %d more over a loss",
			p.Instances, max(value.AtOnce(), int64(p.Instances)))
	}
	return "; if the store is lost: refused with 503"
}

// quietDrivers keeps the drivers of stores from writing to the standard error by themselves: what they meet they return, too, and it
// is logged from there, once.
func quietDrivers() {
	logging.Disable()                       // of the Redis client
	_ = mysql.SetLogger(&mysql.NopLogger{}) // it refuses nil alone
}
