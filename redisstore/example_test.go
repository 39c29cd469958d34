package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/redisstore"
)

// A limiter on Redis. Concurrent calls are merged into few by package batch.
func Example() {
	address := redisstore.ServerForExamples() // redis://localhost:6379
	ctx := context.Background()
	store, err := redisstore.Open(ctx, address, redisstore.Options{Timeout: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	merged, err := batch.New(store, batch.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer merged.Close()
	limiter, err := stint.NewWith(stint.Options{Store: merged}, stint.PerHour(2).WithID("example"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		d, err := limiter.Take(ctx, "alice", 1)
		fmt.Println(d.Allowed, d.Remaining, err)
	}
	// Output:
	// true 1 <nil>
	// true 0 <nil>
	// false 0 <nil>
}

// A client of your own, for what an address cannot say.
func ExampleNew() {
	options, err := redis.ParseURL(redisstore.ServerForExamples())
	if err != nil {
		fmt.Println(err)
		return
	}
	options.ContextTimeoutEnabled = true // or calls outlast their deadlines
	client := redis.NewClient(options)
	defer client.Close()
	store, err := redisstore.New(context.Background(), client, redisstore.Options{Timeout: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	fmt.Println("ready")
	// Output: ready
}
