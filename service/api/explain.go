package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/stint-go/stint/policy"
)

// explain says which route and limits hold for a request, and why, how they stand, and what the request would get. It takes nothing.
func (a *api) explain(w http.ResponseWriter, r *asked) error {
	var body wireTake
	if err := read(w, r.Request, &body); err != nil {
		return err
	}
	if body.Request == nil || body.Calls != nil {
		return wrong("request", "say which request is to be explained")
	}
	view, err := a.view(r, body.Request, place{})
	if err != nil && !noneOfUs(err) { // the key in the request, not the asker's: that is explained, too
		return err
	}
	e := r.policy.Explain(view)
	answer := explanation{Policy: r.policy.File, Looked: []looked{}, Limits: []explained{}}
	for _, look := range e.Looked {
		answer.Looked = append(answer.Looked, looked{look.Route.Name, look.Differs.String()})
	}
	if e.Route == nil {
		answer.Why = e.Uncounted
		return sendJSON(w, answer)
	}
	answer.Route, answer.Line, answer.Mode, answer.Plan, answer.Key = &e.Route.Name, e.Route.Line, e.Route.Mode.String(), e.Plan, e.Key
	if answer.Why = e.Uncounted; e.Refusal != policy.NotRefused {
		answer.Why = e.Refusal.String()
	}
	calls, results := make([]call, 1), make([]result, 1)
	if err := a.call(r, &body.wireCall, place{}, &calls[0]); err != nil {
		return err
	}
	a.decideCalls(r, calls, results, ways{look: true})
	if err := results[0].err; err != nil && !errors.Is(err, ErrStoreLost) {
		return err
	}
	answer.Decision = results[0].append(nil, &a.texts)
	for _, l := range e.Limits {
		x := explained{ID: l.ID, Shadow: l.Shadow, AtOnce: l.AtOnce, Most: l.Most, Value: "unlimited"}
		if l.Value != nil {
			x.Value = l.Value.String()
		}
		if l.Candidate != nil {
			x.Candidate = l.Candidate.String()
		}
		answer.Limits = append(answer.Limits, x)
	}
	return sendJSON(w, answer)
}

type explanation struct {
	Policy   string          `json:"policy"` // the file
	Looked   []looked        `json:"looked"` // the routes before the one that holds
	Route    *string         `json:"route"`  // null if none holds
	Line     int             `json:"line,omitempty"`
	Mode     string          `json:"mode,omitempty"`
	Plan     string          `json:"plan,omitempty"`
	Key      string          `json:"key,omitempty"`
	Why      string          `json:"why,omitempty"` // no limit holds, or the request is refused at once
	Limits   []explained     `json:"limits"`
	Decision json.RawMessage `json:"decision,omitempty"` // what it would get
}

type looked struct {
	Route   string `json:"route"`
	Differs string `json:"differs"`
}

type explained struct {
	ID        string `json:"id"`
	Value     string `json:"value"`
	AtOnce    int64  `json:"at_once"`
	Most      int64  `json:"most"` // in any span of the limit's period
	Shadow    bool   `json:"shadow,omitempty"`
	Candidate string `json:"candidate,omitempty"`
}

func sendJSON(w http.ResponseWriter, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	send(w, func(dst []byte) []byte { return append(dst, text...) })
	return nil
}
