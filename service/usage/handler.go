package usage

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stint-go/stint/service/problem"
)

// Handler answers GET /v1/usage?user=&key=&route=&from=&to=&step=&format=: rows as JSON, or as CSV with format=csv. Times are RFC 3339 or
// seconds since 1970; from is an hour ago and to is now unless said; step is second, minute, hour or day, the minute unless said.
func (r *Recorder) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query := req.URL.Query()
		q, err := r.query(query)
		if err != nil {
			problem.Write(w, http.StatusBadRequest, err.Error())
			return
		}
		rows, err := r.Rows(req.Context(), q)
		switch {
		case errors.Is(err, ErrRange):
			problem.Write(w, http.StatusBadRequest, err.Error())
			return
		case err != nil:
			problem.Write(w, http.StatusServiceUnavailable, "the usage cannot be read: "+err.Error())
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		if query.Get("format") == "csv" {
			writeCSV(w, rows)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(struct { // a client that has left is not told
			Step int64 `json:"step"`
			Rows []Row `json:"rows"`
			Most bool  `json:"truncated"` // there may be more: ask for a shorter time, or a longer step
		}{int64(q.Step), rows, len(rows) == q.Most})
	})
}

// stepWords are the steps as they are asked for.
var stepWords = map[string]Step{"": Minute, "second": Second, "minute": Minute, "hour": Hour, "day": Day}

func (r *Recorder) query(v url.Values) (q Query, err error) {
	for name := range v {
		switch name {
		case "user", "key", "route", "from", "to", "step", "format":
		default:
			return q, fmt.Errorf("the parameter %q is not known; allowed are user, key, route, from, to, step and format", name)
		}
	}
	step, ok := stepWords[v.Get("step")]
	if !ok {
		return q, fmt.Errorf("step=%s: allowed are second, minute, hour and day", v.Get("step"))
	}
	if format := v.Get("format"); format != "" && format != "json" && format != "csv" {
		return q, fmt.Errorf("format=%s: allowed are json and csv", format)
	}
	now := r.options.Now()
	q = Query{User: v.Get("user"), Key: v.Get("key"), Route: v.Get("route"), Step: step, Most: MaxRows}
	if q.From, err = parseTime("from", v.Get("from"), now.Add(-time.Hour)); err != nil {
		return q, err
	}
	q.To, err = parseTime("to", v.Get("to"), now.Add(time.Second))
	return q, err
}

func parseTime(name, text string, unless time.Time) (time.Time, error) {
	if text == "" {
		return unless, nil
	}
	const latest = 253_402_300_799 // the last second that RFC 3339 can say
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= 0 && seconds <= latest {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s=%s: write a time such as 2026-01-31T12:00:00Z, or seconds since 1970", name, text)
	}
	return at, nil
}

func writeCSV(w http.ResponseWriter, rows []Row) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="usage.csv"`)
	to := csv.NewWriter(w)
	_ = to.Write([]string{"at", "user", "key", "route", "admitted", "refused", "units", "rate"})
	for _, row := range rows {
		_ = to.Write([]string{row.At.Format(time.RFC3339), harmless(row.User), harmless(row.Key), harmless(row.Route), strconv.FormatInt(row.Admitted, 10),
			strconv.FormatInt(row.Refused, 10), strconv.FormatInt(row.Units, 10), strconv.FormatFloat(row.Rate, 'f', -1, 64)})
	}
	to.Flush()
}

// harmless is a text that no spreadsheet takes for a formula.
func harmless(text string) string {
	if text != "" {
		switch text[0] {
		case '=', '+', '-', '@', '\t', '\r', '\n':
			return "'" + text
		}
	}
	return text
}

// TopHandler answers GET /v1/top?by=user|key|route&n=: who is refused most now at this instance.
func (r *Recorder) TopHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		by, n := req.URL.Query().Get("by"), 10
		if by == "" {
			by = "user"
		}
		if text := req.URL.Query().Get("n"); text != "" {
			var err error
			if n, err = strconv.Atoi(text); err != nil || n < 1 || n > topKept {
				problem.Write(w, http.StatusBadRequest, fmt.Sprintf("n=%s: allowed is a number from 1 to %d", text, topKept))
				return
			}
		}
		list, err := r.Top(by, n)
		if err != nil {
			problem.Write(w, http.StatusBadRequest, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{"by": by, "refused": list})
	})
}
