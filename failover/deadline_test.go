package failover

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A deadline ends as a context's does, whether somebody waits for it or only looks, and what hangs from it ends with it.
func TestDeadline(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		parent, leave := context.WithCancel(context.WithValue(context.Background(), key{}, 7))
		defer leave()
		looks := &deadline{inner: parent, at: time.Now().Add(time.Second)}
		waits := &deadline{inner: parent, at: time.Now().Add(time.Second)}
		child, cancel := context.WithTimeout(waits, time.Hour)
		defer cancel()
		if at, ok := looks.Deadline(); !ok || time.Until(at) != time.Second || looks.Err() != nil || looks.cancel != nil {
			t.Errorf("deadline %v, %v, error %v", at, ok, looks.Err())
		}
		if looks.Value(key{}) != 7 || waits.Value(key{}) != 7 {
			t.Error("the caller's values are lost")
		}
		began := time.Now()
		<-child.Done()
		if time.Since(began) != time.Second || !errors.Is(child.Err(), context.DeadlineExceeded) {
			t.Errorf("a child ended after %v with %v", time.Since(began), child.Err())
		}
		for _, d := range []*deadline{looks, waits} {
			if !errors.Is(d.Err(), context.DeadlineExceeded) {
				t.Errorf("after the deadline the error is %v", d.Err())
			}
		}
		left := &deadline{inner: parent, at: time.Now().Add(time.Second)}
		leave()
		<-left.Done()
		if !errors.Is(left.Err(), context.Canceled) {
			t.Errorf("after the caller left the error is %v", left.Err())
		}
		left.end()
	})
}
