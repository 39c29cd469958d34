package health

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Check is one thing that must be in order for requests to be served.
type Check struct {
	Name string

	// Ready says why it is not in order; nil if it is. It is given a second.
	Ready func(ctx context.Context) error
}

// Told is what is the matter where requests may be sent all the same.
type Told struct{ Err error }

// Error says what it is.
func (t Told) Error() string { return t.Err.Error() }

// within bounds a check.
const within = time.Second

// Alive answers 200 whenever it answers at all.
func Alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "alive"})
	})
}

// Ready answers 200 if nothing is the matter but what is [Told], and else 503. The body names each and says what is the matter; it holds no secrets as
// long as the checks' errors do not.
func Ready(checks ...Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), within)
		defer cancel()
		status, word := http.StatusOK, "ready"
		found := make(map[string]string, len(checks))
		for _, c := range checks {
			found[c.Name] = "ok"
			if err := c.Ready(ctx); err != nil {
				found[c.Name] = err.Error()
				if _, told := errors.AsType[Told](err); !told {
					status, word = http.StatusServiceUnavailable, "not ready"
				}
			}
		}
		answer(w, status, struct {
			Status string            `json:"status"`
			Checks map[string]string `json:"checks"`
		}{word, found})
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has left is not told
}
