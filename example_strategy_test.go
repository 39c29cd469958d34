package stint_test

import (
	"fmt"
	"time"

	"github.com/stint-go/stint"
)

// A calendar window counts by date in a time zone.
func ExamplePerCalendarMonth() {
	limiter, err := stint.New(stint.PerCalendarMonth(10_000, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	fmt.Println(limiter.AllowN("alice", 10_000), limiter.Allow("alice"))
	// Output: true false
}

// A limit that names a burst is a token bucket; every other strategy but the sliding log is asked for by name.
func ExampleLimit_WithStrategy() {
	limiter, err := stint.New(stint.PerHour(100).WithStrategy(stint.FixedWindow{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	fmt.Println(limiter.AllowN("alice", 100), limiter.Allow("alice"))
	// Output: true false
}
