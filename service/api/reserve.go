package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// reserve takes what a call may cost. What it costs in the end is said by a commit or a cancel; without either it stays charged.
func (a *api) reserve(w http.ResponseWriter, r *asked) error {
	body, calls, err := a.calls(w, r)
	switch {
	case err != nil:
		return err
	case body.Calls != nil:
		return wrong("calls", "a reservation is for one call")
	case r.Header.Get("Idempotency-Key") != "":
		return refuse(http.StatusBadRequest, "an Idempotency-Key is for takes: a reservation whose answer was lost stays charged, and is made anew")
	case body.DryRun || body.Receipt:
		return wrong("", "dry_run and receipt are for takes")
	}
	results := []result{{call: &calls[0]}}
	to := &results[0]
	reservation := ""
	if c := to.call; len(c.claims) == 0 {
		a.decideCalls(r, calls, results, ways{})
	} else {
		decisions := make([]stint.Decision, len(c.claims))
		if to.decision, err = a.Limiter.TakeAll(r.Context(), c.claims, decisions); err != nil {
			return err
		}
		if to.err = lost(&to.decision); to.err != nil {
			to.decisions = told(decisions)
			a.counted(to)
			return to.err
		}
		if to.decision.Allowed {
			if reservation, err = a.receipt(r, kindReservation, c.claims, decisions); err != nil {
				return err
			}
		}
		to.decisions = told(decisions)
	}
	a.counted(to)
	if to.err == nil && to.decision.Allowed && reservation == "" { // nothing limits the call, and its caller commits all the same
		if reservation, err = a.signer.sign(signed{Kind: kindReservation, User: r.caller.User, Until: a.Now().Add(receiptLife).Unix()}); err != nil {
			return err
		}
	}
	send(w, func(dst []byte) []byte {
		dst = to.append(dst, &a.texts)
		if reservation == "" {
			return dst
		}
		dst = append(dst[:len(dst)-1], `,"reservation":`...)
		return append(appendText(dst, reservation), '}')
	})
	return nil
}

// wireSettle is the body of a commit, a cancel and a refund.
type wireSettle struct {
	Reservation string  `json:"reservation"`
	Receipt     string  `json:"receipt"`
	Actual      *actual `json:"actual"`
}

// actual is what a call has cost: of every limit, or of each by its id.
type actual struct {
	all int64
	of  map[string]int64
}

// UnmarshalJSON reads a number, or an object of numbers.
func (a *actual) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		return json.Unmarshal(text, &a.of)
	}
	return json.Unmarshal(text, &a.all)
}

func (a *actual) valid() bool {
	for _, n := range a.of {
		if n < 0 || n > MaxCost {
			return false
		}
	}
	return a.all >= 0 && a.all <= MaxCost
}

// costs are what each part has cost in the end. Of a limit that is not named that is what was taken. One number for limits of which
// different costs were taken would be a guess. A limit that is named and not held may be unlimited for the plan; one that the policy does
// not know either is a mistake, which would else be free.
func (a *actual) costs(what *signed, p *policy.Policy) ([]int64, error) {
	costs := make([]int64, len(what.Parts))
	named := 0
	for id := range a.of {
		if p.Limit(id) == nil && !slices.ContainsFunc(what.Parts, func(one part) bool { return shown(one.Limit) == id }) {
			return nil, wrong("actual", fmt.Sprintf("the reservation holds no limit %q, and the policy has none", id))
		}
	}
	for i := range what.Parts {
		one := &what.Parts[i]
		costs[i] = a.all
		if a.of == nil {
			if first := &what.Parts[0]; one.N != first.N {
				return nil, wrong("actual", fmt.Sprintf("the reservation took %d of %s and %d of %s; say what each has cost, such as {%q: %d}",
					first.N, shown(first.Limit), one.N, shown(one.Limit), shown(one.Limit), one.N))
			}
			continue
		}
		costs[i] = one.N
		if n, ok := a.of[shown(one.Limit)]; ok {
			costs[i] = n
			named++
		}
	}
	if a.of != nil && named == 0 && len(what.Parts) > 0 {
		return nil, wrong("actual", "the reservation took nothing of the limits that are named")
	}
	return costs, nil
}

// shown is a limit's id as the caller knows it.
func shown(limit exact) string {
	id := string(limit)
	own, ok := strings.CutPrefix(id, ownMark)
	if !ok {
		return id
	}
	parts := stint.KeyParts(own)
	return parts[len(parts)-1]
}

func (a *api) commit(w http.ResponseWriter, r *asked) error {
	var body wireSettle
	if err := read(w, r.Request, &body); err != nil {
		return err
	}
	if body.Actual == nil || !body.Actual.valid() || body.Receipt != "" {
		return wrong("actual", "what the call has cost, a whole number from 0 to 2^53, or one for each limit by its id, beside reservation")
	}
	what, err := a.opened(r.caller, kindReservation, "reservation", body.Reservation)
	if err != nil {
		return err
	}
	costs, err := body.Actual.costs(&what, r.policy)
	if err != nil {
		return err
	}
	return a.settle(w, r, what, costs)
}

func (a *api) cancel(w http.ResponseWriter, r *asked) error {
	var body wireSettle
	if err := read(w, r.Request, &body); err != nil {
		return err
	}
	if body.Actual != nil || body.Receipt != "" {
		return wrong("", "a cancel has a reservation and nothing else")
	}
	what, err := a.opened(r.caller, kindReservation, "reservation", body.Reservation)
	if err != nil {
		return err
	}
	return a.settle(w, r, what, make([]int64, len(what.Parts)))
}

func (a *api) refund(w http.ResponseWriter, r *asked) error {
	var body wireSettle
	if err := read(w, r.Request, &body); err != nil {
		return err
	}
	if body.Actual != nil || body.Reservation != "" {
		return wrong("", "a refund has a receipt and nothing else")
	}
	what, err := a.opened(r.caller, kindReceipt, "receipt", body.Receipt)
	if err != nil {
		return err
	}
	return a.settle(w, r, what, make([]int64, len(what.Parts)))
}
