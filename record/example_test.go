package record_test

import (
	"fmt"
	"sync"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/record"
)

// The least that a store does for one operation: read, step, write.
func ExampleRecord_Step() {
	var mu sync.Mutex
	kept := map[string][]byte{}
	take := func(l *stint.Limit, key string, now, n int64) (stint.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		name := string(record.AppendKey(nil, l.ID, key))
		r, err := record.Parse(kept[name])
		if err != nil {
			return stint.Outcome{}, err
		}
		outcome, changed := r.Step(l, now, stint.TakeOp(n), nil)
		if changed {
			kept[name] = r.Append(nil)
		}
		return outcome, outcome.Err
	}

	limit, err := stint.PerHour(3).WithID("hourly").Compile()
	if err != nil {
		panic(err)
	}
	for range 4 {
		o, err := take(limit, "alice", 1_700_000_000_000_000, 1)
		fmt.Println(o.Granted, o.Remaining, err)
	}
	// Output:
	// 1 2 <nil>
	// 1 1 <nil>
	// 1 0 <nil>
	// 0 0 <nil>
}
