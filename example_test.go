package stint_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

func Example() {
	limiter, err := stint.New(stint.PerHour(3))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for range 4 {
		fmt.Println(limiter.Allow("user:42"))
	}
	// Output:
	// true
	// true
	// true
	// false
}

func ExampleLimiter_Take() {
	limiter, err := stint.New(stint.PerMinute(10).WithBurst(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for range 3 {
		d, err := limiter.Take(context.Background(), "user:42", 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v: %d of %d left, retry after %v\n", d.Reason, d.Remaining, d.Limit, d.RetryAfter.Round(time.Second))
	}
	// Output:
	// admitted: 1 of 2 left, retry after 0s
	// admitted: 0 of 2 left, retry after 0s
	// limited: 0 of 2 left, retry after 6s
}

func ExampleLimiter_Reserve() {
	limiter, err := stint.New(stint.PerHour(1000))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	ctx := context.Background()
	// The call may cost up to 400; what it really cost is known afterwards.
	reservation, err := limiter.Reserve(ctx, "user:42", 400)
	if err != nil || !reservation.Decision.Allowed {
		fmt.Println("refused", err)
		return
	}
	if err := reservation.Commit(ctx, 150); err != nil {
		fmt.Println(err)
	}
	d, err := limiter.Peek(ctx, "user:42", 1)
	fmt.Println(d.Remaining, err)
	// Output: 850 <nil>
}

func ExampleLimiter_Wait() {
	limiter, err := stint.New(stint.Every(10 * time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	for range 3 {
		if err := limiter.Wait(context.Background(), "mail"); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("sent")
	}
	// Output:
	// sent
	// sent
	// sent
}

func ExampleLimiter_TakeAll() {
	limiter, err := stint.NewWith(stint.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	perUser, err := stint.PerMinute(10).WithID("per-user").Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	perTenant, err := stint.PerMinute(12).WithID("per-tenant").Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, user := range []string{"ann", "bob"} {
		d, err := limiter.TakeAll(context.Background(), []stint.Claim{
			stint.NewClaim(perUser, user, 8),
			stint.NewClaim(perTenant, "acme", 8),
		}, nil)
		fmt.Println(user, d.Allowed, d.By.ID, err)
	}
	// Output:
	// ann true per-user <nil>
	// bob false per-tenant <nil>
}
