package batch_test

import (
	"fmt"
	"sync"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/batch"
)

// A store across a network, here a memory store in its place, that merges what is asked at the same time.
func Example() {
	shared, err := stint.NewMemory(stint.MemoryOptions{})
	if err != nil {
		panic(err)
	}
	store, err := batch.New(shared, batch.Options{})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(100))
	if err != nil {
		panic(err)
	}
	var callers sync.WaitGroup
	admitted := make([]int, 8)
	for i := range admitted {
		callers.Go(func() {
			for range 20 {
				if limiter.Allow("alice") {
					admitted[i]++
				}
			}
		})
	}
	callers.Wait()
	sum := 0
	for _, n := range admitted {
		sum += n
	}
	fmt.Println(sum, "of 160 admitted")
	// Output:
	// 100 of 160 admitted
}
