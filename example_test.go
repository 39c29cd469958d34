package stint_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

func Example() {
	limiter, err := stint.New(stint.PerHour(2))
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	for range 3 {
		fmt.Println(limiter.Allow("alice"))
	}
	fmt.Println(limiter.Allow("bob"))
	// Output:
	// true
	// true
	// false
	// true
}

// In tests the clock is yours.
func ExampleLimiter_Take() {
	var now time.Duration
	store, err := stint.NewMemory(stint.MemoryOptions{Clock: func() int64 { return int64(now / stint.Tick) }})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerMinute(2))
	if err != nil {
		panic(err)
	}
	for _, now = range []time.Duration{0, 10 * time.Second, 20 * time.Second, 60 * time.Second} {
		d, err := limiter.Take(context.Background(), "alice", 1)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%v: %v, %d of %d left, retry after %v\n", now, d.Reason, d.Remaining, d.Limit, d.RetryAfter)
	}
	// Output:
	// 0s: admitted, 1 of 2 left, retry after 0s
	// 10s: admitted, 0 of 2 left, retry after 0s
	// 20s: limited, 0 of 2 left, retry after 40s
	// 1m0s: admitted, 0 of 2 left, retry after 0s
}

// A call takes from all limits or from none, and the decision speaks of the strictest.
func ExampleNew_severalLimits() {
	limiter, err := stint.New(stint.PerSecond(10), stint.PerDay(15))
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	for _, n := range []int64{9, 6, 6} {
		d, err := limiter.Take(context.Background(), "alice", n)
		if err != nil {
			panic(err)
		}
		fmt.Println(n, d.Allowed, d.By, d.Remaining)
	}
	// Output:
	// 9 true 10/s 1
	// 6 false 10/s 1
	// 6 false 10/s 1
}

// The cost of a call to a language model is known when it is over: reserve the most it can be, and settle.
func ExampleLimiter_Reserve() {
	limiter, err := stint.New(stint.PerDay(1000))
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	ctx := context.Background()
	r, err := limiter.Reserve(ctx, "alice", 400)
	if err != nil || !r.Decision.Allowed {
		panic("refused")
	}
	// … the call runs and turns out to have used 150.
	if err := r.Commit(ctx, 150); err != nil {
		panic(err)
	}
	d, err := limiter.Peek(ctx, "alice", 1)
	if err != nil {
		panic(err)
	}
	fmt.Println(d.Remaining)
	// Output: 850
}

// One limit for each address, and one for all of a tenant: each claim has a key and a cost of its own.
func ExampleLimiter_TakeAll() {
	compile := func(l stint.Limit) *stint.Limit {
		compiled, err := l.Compile()
		if err != nil {
			panic(err)
		}
		return compiled
	}
	perAddress := compile(stint.PerSecond(10).WithID("per-address"))
	perTenant := compile(stint.PerHour(1000).WithID("per-tenant"))
	limiter, err := stint.New()
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	each := make([]stint.Decision, 2)
	d, err := limiter.TakeAll(context.Background(), []stint.Claim{
		stint.NewClaim(perAddress, "192.0.2.1", 1),
		stint.NewClaim(perTenant, "acme", 50),
	}, each)
	if err != nil {
		panic(err)
	}
	fmt.Println(d.Allowed, d.By.ID, each[0].Remaining, each[1].Remaining)
	// Output: true per-address 9 950
}

// Wait stands in line until its turn, and says at once when that would be too late.
func ExampleLimiter_Wait() {
	limiter, err := stint.New(stint.Every(time.Hour))
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(limiter.Wait(ctx, "printer"))
	fmt.Println(limiter.Wait(ctx, "printer"))
	// Output:
	// <nil>
	// stint: the wait would outlast the context's deadline
}
