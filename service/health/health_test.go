package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stint-go/stint/service/health"
)

func TestReady(t *testing.T) {
	var lost error
	h := health.Ready(
		health.Check{Name: "store", Ready: func(context.Context) error { return lost }},
		health.Check{Name: "accounts", Ready: func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				return errors.New("a check may take for ever")
			}
			return nil
		}},
	)
	for _, c := range []struct {
		lost error
		code int
		body string
	}{
		{nil, 200, `{"status":"ready","checks":{"accounts":"ok","store":"ok"}}`},
		{errors.New("lost"), 503, `{"status":"not ready","checks":{"accounts":"ok","store":"lost"}}`},
	} {
		lost = c.lost
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if w.Code != c.code || w.Body.String() != c.body+"\n" {
			t.Errorf("%v: %d %s", c.lost, w.Code, w.Body)
		}
	}
}

func ExampleAlive() {
	w := httptest.NewRecorder()
	health.Alive().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 200 {"status":"alive"}
}

// What does not keep requests away is told all the same.
func TestReadyTells(t *testing.T) {
	w := httptest.NewRecorder()
	health.Ready(health.Check{Name: "usage", Ready: func(context.Context) error { return health.Told{Err: errors.New("not written")} }}).
		ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"usage":"not written"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
