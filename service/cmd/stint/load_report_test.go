package main

import (
	"math"
	"strings"
	"testing"

	"github.com/stint-go/stint/service/load"
)

// A limit is said to have held only where there was something to judge.
func TestReportSaysWhatWasNotJudged(t *testing.T) {
	answered := map[int]int64{200: 1}
	for want, r := range map[string]load.Report{
		": HELD. ":                         {Statuses: answered, Verdicts: []load.Verdict{{Held: true, Allowed: 5}}},
		": DID NOT HOLD. ":                 {Statuses: answered, Verdicts: []load.Verdict{{Allowed: 5}}},
		": NOT JUDGED, nobody answered. ":  {Verdicts: []load.Verdict{{Held: true, Allowed: 5}}},
		": NOT JUDGED, it has no bound in": {Statuses: answered, Verdicts: []load.Verdict{{Held: true, Allowed: math.MaxInt64}}},
	} {
		var b strings.Builder
		if err := printReport(&b, &r); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}
