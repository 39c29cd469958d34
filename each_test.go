package stint_test

import (
	"errors"
	"testing"

	"github.com/stint-go/stint"
)

// Claims on different limits and keys are decided each for itself, in order, and a wrong one spoils no other.
func TestTakeEach(t *testing.T) {
	l, err := stint.NewWith(stint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	compiled := func(text, id string) *stint.Limit {
		limit, err := stint.ParseLimit(text)
		if err != nil {
			t.Fatal(err)
		}
		limit.ID = id
		c, err := limit.Compile()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	two, bucket := compiled("2/hour fixed-window", "two"), compiled("1/hour burst 3", "bucket")
	var claims []stint.Claim
	for range 100 {
		claims = append(claims, stint.NewClaim(two, "a", 1), stint.NewClaim(bucket, "a", 1), stint.NewClaim(two, "b", 1))
	}
	wrong := stint.NewClaim(two, "", 1)
	claims[150] = wrong
	results := make([]stint.Result, len(claims))
	if err := l.TakeEach(t.Context(), claims, results); err != nil {
		t.Fatal(err)
	}
	granted := map[string]int{}
	for i, r := range results {
		switch {
		case i == 150:
			if r.Err == nil || r.Allowed {
				t.Errorf("a claim without a key: %+v", r)
			}
		case r.Err != nil:
			t.Errorf("claim %d: %v", i, r.Err)
		case r.Allowed:
			granted[claims[i].Limit.ID+claims[i].Key]++
			if i > 20 {
				t.Errorf("claim %d is granted, and there was room before", i)
			}
		}
	}
	if granted["twoa"] != 2 || granted["twob"] != 2 || granted["bucketa"] != 3 {
		t.Errorf("granted %v", granted)
	}
	if err := l.TakeEach(t.Context(), claims, results[:1]); !errors.Is(err, stint.ErrBatch) {
		t.Errorf("too few places: %v", err)
	}
}
