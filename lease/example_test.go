package lease_test

import (
	"fmt"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/lease"
)

func Example() {
	shared, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := lease.New(shared, lease.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerSecond(1000).WithBurst(100_000))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 10_000 {
		limiter.Allow("user:42")
	}
	st := store.Stats()
	fmt.Println("most calls cost the shared store nothing:", st.Spent > 9_900, st.Trips < 100)
	// Output:
	// most calls cost the shared store nothing: true true
}

func ExampleOptions_others() {
	shared, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := lease.New(shared, lease.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100)) // a sliding window
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = limiter.Take(ctx, "user:42", 1)
	fmt.Println(err)
	// Output:
	// stint: limit "100/hour": strategy sliding-window-log cannot be leased within a bound; take token-bucket, interval-bucket, fixed-window or calendar-*, or let such limits pass straight to the store (lease.Options.Others)
}
