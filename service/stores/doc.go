// Package stores opens a store by its address, for every program and file that lets its user say where counts are kept:
//
//	store, err := stores.Open(ctx, "redis://limits.example.com", stores.Options{})
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// It is the one place that links every kind of store and its driver. A program that needs one kind alone opens it with that kind's own
// package: [sqlstore.Open], [redisstore.Open], [stint.NewMemory].
package stores
