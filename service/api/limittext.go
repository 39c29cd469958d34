package api

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
)

// limitTexts remember how limits are shown in answers: a limit never changes, and to write it anew costs as much as to decide. It is bounded:
// callers' own limits come and go, and those that are of one place take turns at it.
type limitTexts struct {
	seed   maphash.Seed
	places [64]atomic.Pointer[limitText]
}

type limitText struct {
	limit *stint.Limit
	text  []byte
}

func (s *limitTexts) init() { s.seed = maphash.MakeSeed() }

// of is the limit as an answer shows it. It is lent.
func (s *limitTexts) of(l *stint.Limit) []byte {
	place := &s.places[maphash.Comparable(s.seed, l)%uint64(len(s.places))]
	if known := place.Load(); known != nil && known.limit == l {
		return known.text
	}
	text := appendText([]byte(`,"limit":`), httplimit.PolicyName(l))
	text = appendText(append(text, `,"value":`...), l.String())
	place.Store(&limitText{l, text})
	return text
}
