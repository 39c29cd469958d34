package accounts

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/stint-go/stint/policy"
)

// sharedValues are the values that many callers have: those of plans and of wildcards. It never changes.
type sharedValues struct {
	plans     map[string]map[string]string // by plan and limit
	wildcards []wildcard                   // the one with the most characters first
}

// wildcard is a pattern with one star, and the values of all users whose names fit.
type wildcard struct {
	before, after string
	values        map[string]string
}

func (w *wildcard) fits(user string) bool {
	return len(user) >= len(w.before)+len(w.after) && strings.HasPrefix(user, w.before) && strings.HasSuffix(user, w.after)
}

// sharedValues reads the values of all plans and wildcards.
func (a *Accounts) sharedValues(ctx context.Context) (*sharedValues, error) {
	rows, err := a.db.Query(ctx, "SELECT 'plan', plan, limit_id, value FROM plan_value UNION ALL "+
		"SELECT kind, subject, limit_id, value FROM limit_override WHERE kind = 'wildcard' ORDER BY 2")
	found, err := all(rows, err, func(r *sql.Rows) (o Override, err error) {
		err = r.Scan(&o.Kind, &o.Subject, &o.Limit, &o.Value)
		return o, err
	})
	if err != nil {
		return nil, err
	}
	s := &sharedValues{plans: map[string]map[string]string{}}
	patterns := map[string]map[string]string{}
	for _, o := range found {
		of := s.plans
		if o.Kind == KindWildcard {
			of = patterns
		}
		if of[o.Subject] == nil {
			of[o.Subject] = map[string]string{}
		}
		of[o.Subject][o.Limit] = o.Value
	}
	for pattern, values := range patterns {
		before, after, _ := strings.Cut(pattern, "*")
		s.wildcards = append(s.wildcards, wildcard{before, after, values})
	}
	slices.SortFunc(s.wildcards, func(a, b wildcard) int {
		if d := len(b.before) + len(b.after) - len(a.before) - len(a.after); d != 0 {
			return d
		}
		return strings.Compare(b.before+"*"+b.after, a.before+"*"+a.after) // of two as long, always the same one
	})
	return s, nil
}

// valuesFor are all values of a caller: of those that several give, the narrowest one's.
func (s *sharedValues) valuesFor(c *policy.Caller, own []Override) map[string]string {
	plan := s.plans[c.Plan]
	var fitting []*wildcard
	for i := range s.wildcards {
		if s.wildcards[i].fits(c.User) {
			fitting = append(fitting, &s.wildcards[i])
		}
	}
	if len(own) == 0 && len(fitting) == 0 {
		return plan // shared by all of the plan, and read only
	}
	values := map[string]string{}
	for limit, value := range plan {
		values[limit] = value
	}
	for _, w := range slices.Backward(fitting) {
		for limit, value := range w.values {
			values[limit] = value
		}
	}
	for _, kind := range []string{KindUser, KindKey} {
		for _, o := range own {
			if o.Kind == kind {
				values[o.Limit] = o.Value
			}
		}
	}
	return values
}
