// Package fault is a store around a store that fails on demand: slow, hung, lost before or after it took effect, talking nonsense.
// It is what the wrappers' own tests run against, and any caller of a store can be tested with it:
//
//	store := fault.New(memory)
//	store.Next(fault.Fault{Error: errLost})          // the next call fails, and nothing happened
//	store.Next(fault.Fault{Lost: true})              // the next takes effect, but its answer gets lost until the context ends
//	store.Always(func(fault.Call) fault.Fault {      // from now on every call is slow
//		return fault.Fault{Delay: time.Second}
//	})
//
// [Store.Calls] says what was called.
package fault
