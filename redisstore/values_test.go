package redisstore

import (
	"context"
	"testing"
	"time"

	"github.com/stint-go/stint"
)

// Where the server has lost the values that a record was written under, the key counts as empty until it may be forgotten: nobody
// gains by it, and the next key is served.
func TestLostValues(t *testing.T) {
	emptied(t)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	clock := Options{Clock: func() int64 { return now }}
	ctx := context.Background()
	old, err := stint.PerHour(10).WithID(t.Name()).Compile()
	if err != nil {
		t.Fatal(err)
	}
	l, err := stint.PerHour(20).WithID(t.Name()).Compile()
	if err != nil {
		t.Fatal(err)
	}
	first := opened(t, clock)
	if a, _, err := first.One(ctx, old, "k", stint.TakeOp(1)); err != nil || a.Granted != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	first.link.client.Del(ctx, valuesKey(old.ID, old.Variant()))
	second := opened(t, clock)
	if a, _, err := second.One(ctx, l, "k", stint.TakeOp(1)); err != nil || a.Granted != 0 || a.Wait <= 0 {
		t.Errorf("values are lost: %+v, %v", a, err)
	}
	if a, _, err := second.One(ctx, l, "j", stint.TakeOp(1)); err != nil || a.Granted != 1 {
		t.Errorf("another key: %+v, %v", a, err)
	}
	now += int64(time.Hour / stint.Tick)
	if a, _, err := second.One(ctx, l, "k", stint.TakeOp(20)); err != nil || a.Granted != 20 {
		t.Errorf("as good as new: %+v, %v", a, err)
	}
	// A server that has lost everything, scripts and all, is given the values again.
	first.link.client.Del(ctx, valuesKey(l.ID, l.Variant()))
	first.link.client.ScriptFlush(ctx)
	for range 2 {
		if _, _, err := second.One(ctx, l, "i", stint.TakeOp(1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := first.link.client.Exists(ctx, valuesKey(l.ID, l.Variant())).Val(); n != 1 {
		t.Error("the values are not there again")
	}
}
