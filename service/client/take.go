package client

import (
	"context"
	"fmt"
)

// Take takes the call's cost, if its limits have room.
func (c *Client) Take(ctx context.Context, call Call) (Decision, error) {
	if d, ok := c.refused.find(&call, c.options.Now()); ok {
		return d, nil
	}
	var d Decision
	var err error
	if call.Idempotency != "" {
		var answer wireDecision
		if err = c.post(ctx, "/v1/take", call.Idempotency, call, &answer); err == nil {
			d, err = answer.decision()
		}
	} else {
		d, err = c.batches.take(ctx, c, call)
	}
	if err == nil {
		c.refused.note(&call, &d, c.options.Now())
	}
	return d, err
}

// Result is the decision of one of many calls, or the error in its place.
type Result struct {
	Decision
	Err error
}

// TakeMany takes many calls in one request, each for itself, with the results in their order: at most 1,024.
func (c *Client) TakeMany(ctx context.Context, calls []Call) ([]Result, error) {
	if len(calls) == 0 {
		return nil, nil
	}
	var answer struct{ Decisions []wireDecision }
	if err := c.post(ctx, "/v1/take", "", map[string][]Call{"calls": calls}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Decisions) != len(calls) {
		return nil, fmt.Errorf("client: the service answered %d calls of %d", len(answer.Decisions), len(calls))
	}
	results := make([]Result, len(calls))
	for i := range results {
		results[i].Decision, results[i].Err = answer.Decisions[i].decision()
	}
	return results, nil
}

// Peek says what Take would, and takes nothing.
func (c *Client) Peek(ctx context.Context, call Call) (Decision, error) {
	var answer wireDecision
	if err := c.post(ctx, "/v1/peek", "", call, &answer); err != nil {
		return Decision{}, err
	}
	return answer.decision()
}

// Reserve takes what the call may cost at most. The decision's Reservation, if it is allowed, is for Commit or Cancel; one that is
// abandoned stays charged.
func (c *Client) Reserve(ctx context.Context, call Call) (Decision, error) {
	var answer wireDecision
	if err := c.post(ctx, "/v1/reserve", "", call, &answer); err != nil {
		return Decision{}, err
	}
	return answer.decision()
}

// Commit settles a reservation at what the call has cost, once. One that failed can be sent again at the same cost, and does what is
// left; a [*Problem] with status 409 says that nothing was.
func (c *Client) Commit(ctx context.Context, reservation string, actual int64) error {
	return c.post(ctx, "/v1/commit", "", map[string]any{"reservation": reservation, "actual": actual}, new(struct{}))
}

// CommitEach settles a reservation of several limits at what each has cost, by their ids, once. Those that are not named stay charged
// with what was taken.
func (c *Client) CommitEach(ctx context.Context, reservation string, actual map[string]int64) error {
	return c.post(ctx, "/v1/commit", "", map[string]any{"reservation": reservation, "actual": actual}, new(struct{}))
}

// Cancel gives a reservation back, once.
func (c *Client) Cancel(ctx context.Context, reservation string) error {
	return c.post(ctx, "/v1/cancel", "", map[string]string{"reservation": reservation}, new(struct{}))
}
