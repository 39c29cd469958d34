package bench

import (
	"slices"
	"testing"
)

// Each contestant decides each row rightly, whatever its speed.
func TestContestantsDecideRightly(t *testing.T) {
	for _, row := range Rows(2000, 2000) {
		t.Run(row.Name, func(t *testing.T) {
			figures, err := row.Run(slices.Concat(Ours(), Peers()), Effort{Rounds: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range figures {
				if f.Wrong != 0 {
					t.Errorf("%s: %d of %d decisions are wrong", f.Contestant.Name, f.Wrong, f.Decided)
				}
			}
		})
	}
}
