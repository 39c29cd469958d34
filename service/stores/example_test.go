package stores_test

import (
	"context"
	"fmt"

	"github.com/stint-go/stint/service/stores"
)

func ExampleOpen() {
	store, err := stores.Open(context.Background(), "memory", stores.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	_, err = stores.Open(context.Background(), "reddis://app:secret@limits.example.com", stores.Options{})
	fmt.Println(err)
	// Output:
	// the address of the store: there is no scheme "reddis" (did you mean redis?); allowed are memory, sqlite:FILE, and postgres, postgresql, mysql, mariadb, redis, rediss, unix, redis+cluster, rediss+cluster, redis+sentinel, rediss+sentinel, each with ://host
}
