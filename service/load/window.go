package load

import (
	"cmp"
	"slices"
)

// timeline is admissions, put in order for counting.
type timeline struct {
	bySent   []admission
	byAnswer []int32 // indexes into bySent, by the time of the answer
}

func newTimeline(admissions []admission) timeline {
	t := timeline{slices.Clone(admissions), make([]int32, len(admissions))}
	slices.SortFunc(t.bySent, func(a, b admission) int { return cmp.Compare(a.sent, b.sent) })
	for i := range t.byAnswer {
		t.byAnswer[i] = int32(i)
	}
	slices.SortFunc(t.byAnswer, func(a, b int32) int { return cmp.Compare(t.bySent[a].answered, t.bySent[b].answered) })
	return t
}

// mostWithin is the largest number of admissions that were sent and answered within any one window [x, x+length).
//
// Windows that begin with a sending are enough to look at. They are looked at from the last to the first, so that the window's
// end only moves back: a request that was answered after it is out for good.
func (t timeline) mostWithin(length int64) int64 {
	var within, most int64
	last := len(t.byAnswer) - 1 // answered later than byAnswer[last]: after the window's end
	for first := len(t.bySent) - 1; first >= 0; first-- {
		end := t.bySent[first].sent + length
		for ; last >= 0 && t.bySent[t.byAnswer[last]].answered >= end; last-- {
			if int(t.byAnswer[last]) > first {
				within--
			}
		}
		if t.bySent[first].answered < end {
			within++
		}
		most = max(most, within)
	}
	return most
}

// mostAt is the largest number of the admissions' instants that fall into one window [x, x+length).
func mostAt(admissions []admission, length int64, instant func(admission) int64) int64 {
	instants := make([]int64, len(admissions))
	for i, a := range admissions {
		instants[i] = instant(a)
	}
	slices.Sort(instants)
	most, first := 0, 0
	for last, at := range instants {
		for instants[first] <= at-length {
			first++
		}
		most = max(most, last-first+1)
	}
	return int64(most)
}
