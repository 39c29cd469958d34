package api

import (
	"net/http"

	"github.com/stint-go/stint"
)

// reserve takes what a call may cost. What it costs in the end is said by a commit or a cancel; without either it stays charged.
func (a *api) reserve(w http.ResponseWriter, r *asked) error {
	body, calls, err := a.calls(w, r)
	switch {
	case err != nil:
		return err
	case body.Calls != nil:
		return wrong("calls", "a reservation is for one call")
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
		if to.decision.Allowed {
			if reservation, err = a.receipt(r.caller, kindReservation, c.claims, decisions); err != nil {
				return err
			}
		}
		to.decisions = told(decisions)
	}
	a.counted(to)
	send(w, func(dst []byte) []byte {
		dst = to.append(dst)
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
	Reservation string `json:"reservation"`
	Receipt     string `json:"receipt"`
	Actual      *int64 `json:"actual"`
}

func (a *api) commit(w http.ResponseWriter, r *asked) error {
	var body wireSettle
	if err := read(w, r.Request, &body); err != nil {
		return err
	}
	if body.Actual == nil || *body.Actual < 0 || *body.Actual > MaxCost || body.Receipt != "" {
		return wrong("actual", "what the call has cost, a whole number from 0 to 2^53, beside reservation")
	}
	what, err := a.opened(r.caller, kindReservation, "reservation", body.Reservation)
	if err != nil {
		return err
	}
	return a.settle(w, r, what, *body.Actual)
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
	return a.settle(w, r, what, 0)
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
	return a.settle(w, r, what, 0)
}
