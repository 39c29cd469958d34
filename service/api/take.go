package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/stint-go/stint"
)

// ways are how calls are decided.
type ways struct {
	look        bool   // take nothing
	receipt     bool   // give receipts
	idempotency string // the caller's key; "" if there is none
	body        string // what the key stands for
}

func (a *api) take(w http.ResponseWriter, r *asked) error { return a.decide(w, r, ways{}) }

func (a *api) peek(w http.ResponseWriter, r *asked) error { return a.decide(w, r, ways{look: true}) }

// decide answers with the decision of a call, or those of many.
func (a *api) decide(w http.ResponseWriter, r *asked, how ways) error {
	body, calls, err := a.calls(w, r)
	if err != nil {
		return err
	}
	how.look, how.receipt = how.look || body.DryRun, body.Receipt
	if how.idempotency = r.Header.Get("Idempotency-Key"); how.idempotency != "" && !how.look {
		if len(how.idempotency) > maxIdempotencyKey {
			return refuse(http.StatusBadRequest, fmt.Sprintf("the Idempotency-Key is longer than %d bytes", maxIdempotencyKey))
		}
		how.body = fingerprint(body)
	}
	results := make([]result, len(calls))
	a.decideCalls(r, calls, results, how)
	for i := range results {
		if !how.look && !results[i].replayed {
			a.counted(&results[i])
		}
	}
	for i := range results {
		var wrong *refusal
		if err := results[i].err; err != nil && (body.Calls == nil || errors.As(err, &wrong) && wrong.status == http.StatusUnprocessableEntity) {
			return err
		}
	}
	if i := slices.IndexFunc(results, func(r result) bool { return undecided(r.err) }); i >= 0 {
		a.OnError(r.Request, results[i].err)
	}
	send(w, func(dst []byte) []byte {
		if body.Calls == nil {
			return results[0].append(dst, &a.texts)
		}
		dst = append(dst, `{"decisions":[`...)
		for i := range results {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = results[i].append(dst, &a.texts)
		}
		return append(dst, ']', '}')
	})
	return nil
}

// calls reads the calls of a body.
func (a *api) calls(w http.ResponseWriter, r *asked) (*wireTake, []call, error) {
	body, err := readTake(w, r.Request)
	if err != nil {
		return nil, nil, err
	}
	if body.Calls == nil {
		one := make([]call, 1)
		return body, one, a.call(r, &body.wireCall, place{}, &one[0])
	}
	switch {
	case body.Limit != nil || body.Key != nil || body.Claims != nil || body.Request != nil || body.Cost != nil:
		return nil, nil, wrong("", "either calls, or one call beside nothing else")
	case len(body.Calls) == 0 || len(body.Calls) > MaxCalls:
		return nil, nil, wrong("calls", fmt.Sprintf("from 1 to %d of them", MaxCalls))
	}
	calls := make([]call, len(body.Calls))
	for i := range calls {
		if err := a.call(r, &body.Calls[i], place{call: i + 1}, &calls[i]); err != nil {
			return nil, nil, err
		}
	}
	return body, calls, nil
}

// atOnce is how many calls of a batch that make several claims are decided beside each other.
const atOnce = 64

// decideCalls decides calls, those with one claim each in one go.
func (a *api) decideCalls(r *asked, calls []call, results []result, how ways) {
	single := make([]int, 0, len(calls))
	var rest []int
	for i := range calls {
		c := &calls[i]
		results[i].call = c
		switch {
		case len(c.claims) == 0:
			results[i].decision = stint.Decision{Allowed: c.allowed, Reason: c.reason}
			if !c.allowed {
				results[i].decision.RetryAfter = c.retry
			}
		case len(c.claims) == 1 && !c.claims[0].Shadow && !how.look && how.body == "":
			single = append(single, i)
		default:
			rest = append(rest, i)
		}
	}
	if len(single) == 1 {
		rest, single = append(rest, single[0]), nil
	}
	a.decideSingle(r, calls, single, results, how)
	if len(rest) == 1 {
		a.decideOne(r, rest[0], &results[rest[0]], how)
		return
	}
	var wait sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, i := range rest {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			a.decideOne(r, i, &results[i], how)
		})
	}
	wait.Wait()
}

// ErrStoreLost says that nobody knows: the store is lost, and a limit says on-store-loss: closed. That is no refusal.
var ErrStoreLost = errors.New("the store is lost")

// lost is [ErrStoreLost] for what is no decision.
func lost(d *stint.Decision) error {
	if !d.Allowed && d.Reason == stint.Degraded && d.RetryAfter == stint.Unknown {
		return ErrStoreLost
	}
	return nil
}

// decideSingle decides calls of one claim each.
func (a *api) decideSingle(asked *asked, calls []call, which []int, results []result, how ways) {
	if len(which) == 0 {
		return
	}
	claims, found := make([]stint.Claim, len(which)), make([]stint.Result, len(which))
	for k, i := range which {
		claims[k] = calls[i].claims[0]
	}
	err := a.Limiter.TakeEach(asked.Context(), claims, found)
	for k, i := range which {
		r := &results[i]
		if r.decision, r.err = found[k].Decision, found[k].Err; err != nil {
			r.err = err
		}
		if r.err == nil {
			r.err = lost(&r.decision)
		}
		if how.receipt && r.err == nil {
			r.receipt, r.err = a.receipt(asked, kindReceipt, claims[k:k+1], []stint.Decision{r.decision})
		}
	}
}

// decideOne decides one call, the number-th of its body.
func (a *api) decideOne(r *asked, number int, to *result, how ways) {
	c := to.call
	if how.body != "" {
		a.decideOnce(r, number, to, how)
		return
	}
	decide := a.Limiter.TakeAll
	if how.look {
		decide = a.Limiter.PeekAll
	}
	decisions := make([]stint.Decision, len(c.claims))
	if to.decision, to.err = decide(r.Context(), c.claims, decisions); to.err != nil {
		return
	}
	if to.err = lost(&to.decision); to.err != nil {
		to.decisions = told(decisions)
		return
	}
	if how.receipt && !how.look {
		to.receipt, to.err = a.receipt(r, kindReceipt, c.claims, decisions)
	}
	to.decisions = told(decisions)
}

func errorText(err error) string {
	if undecided(err) {
		return noDecision
	}
	return err.Error()
}
