package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/problem"
)

// refusal is an answer that is no decision.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(status int, detail string) error { return &refusal{status, detail} }

// fail answers with what went wrong.
func fail(w http.ResponseWriter, err error) {
	var r *refusal
	var tries *policy.TriesError
	switch {
	case errors.As(err, &r):
		if r.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stint"`)
		}
		problem.Write(w, r.status, r.detail)
	case errors.Is(err, policy.ErrInvalidKey):
		w.Header().Set("WWW-Authenticate", `Bearer realm="stint", error="invalid_token"`)
		problem.Write(w, http.StatusUnauthorized, "the API key is not valid")
	case errors.As(err, &tries):
		w.Header().Set("Retry-After", strconv.FormatInt(stint.Seconds(tries.RetryAfter), 10))
		problem.Write(w, http.StatusTooManyRequests, tries.Error())
	case errors.Is(err, stint.ErrNegativeCost), errors.Is(err, stint.ErrEmptyKey):
		problem.Write(w, http.StatusUnprocessableEntity, err.Error())
	default:
		problem.Write(w, http.StatusServiceUnavailable, noDecision)
	}
}

// noDecision is what a caller is told of an error that is not the caller's; the operator is told of the error.
const noDecision = "no decision can be had right now"

// undecided says whether there is no decision for an error that is not the caller's.
func undecided(err error) bool {
	var r *refusal
	var tries *policy.TriesError
	switch {
	case err == nil, errors.As(err, &r), errors.As(err, &tries):
		return false
	}
	return !errors.Is(err, policy.ErrInvalidKey) && !errors.Is(err, stint.ErrNegativeCost) && !errors.Is(err, stint.ErrEmptyKey)
}
