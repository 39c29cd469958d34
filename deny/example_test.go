package deny_test

import (
	"fmt"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/deny"
)

// A caller who does not stop costs a shared store, here a memory store in its place, one call a second.
func Example() {
	shared, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		panic(err)
	}
	store, err := deny.New(shared, deny.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(10))
	if err != nil {
		panic(err)
	}
	admitted := 0
	for range 1000 {
		if limiter.Allow("mallory") {
			admitted++
		}
	}
	fmt.Println(admitted, "of 1000 admitted")
	fmt.Println(1000-store.Stats().Spared < 20, "that the store was hardly asked")
	// Output:
	// 10 of 1000 admitted
	// true that the store was hardly asked
}
