package failover_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
)

// A store that cannot be reached, and three limits with a choice each.
func Example() {
	store, err := failover.New(nil, failover.Options{
		Open: func(context.Context) (stint.Store, error) {
			return nil, fmt.Errorf("dial tcp 127.0.0.1:6379: connection refused")
		},
		Timeout:   25 * time.Millisecond,
		Choices:   map[string]failover.Choice{"search": failover.Open, "per-key": failover.Local},
		Instances: 5,
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	for _, id := range []string{"log-ins", "search", "per-key"} {
		limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(10).WithID(id))
		if err != nil {
			panic(err)
		}
		for range 3 {
			d, err := limiter.Take(context.Background(), "alice", 1)
			fmt.Println(id, d.Allowed, d.Reason, d.RetryAfter == stint.Unknown, err)
		}
	}
	// Output:
	// log-ins false degraded true <nil>
	// log-ins false degraded true <nil>
	// log-ins false degraded true <nil>
	// search true degraded false <nil>
	// search true degraded false <nil>
	// search true degraded false <nil>
	// per-key true degraded false <nil>
	// per-key true degraded false <nil>
	// per-key false degraded false <nil>
}
