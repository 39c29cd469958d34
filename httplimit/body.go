package httplimit

import (
	"encoding/json"
	"strings"

	"github.com/stint-go/stint"
)

// A Body is one representation of a refusal. Safe for concurrent use.
type Body interface {
	// MediaType is what Accept is matched against and Content-Type says.
	MediaType() string

	// Append appends the body to dst.
	Append(dst []byte, f *Refusal) []byte
}

// Text is the refusal's detail as plain text: "Rate limit exceeded. Try again in 3 seconds".
type Text struct{}

// MediaType is text/plain.
func (Text) MediaType() string { return "text/plain; charset=utf-8" }

// Append appends the detail.
func (Text) Append(dst []byte, f *Refusal) []byte { return append(dst, f.Detail...) }

// JSON is the refusal as an object:
//
//	{"error":"limited","message":"Rate limit exceeded. Try again in 3 seconds","status":429,"retry_after":3,
//	 "limit":10,"remaining":0,"reset_after":3,"policies":["per-user"]}
//
// Times are in seconds, rounded up; what is not known is left out.
type JSON struct{}

// MediaType is application/json.
func (JSON) MediaType() string { return "application/json" }

// Append appends the object.
func (JSON) Append(dst []byte, f *Refusal) []byte {
	object := struct {
		Error      string   `json:"error"`
		Message    string   `json:"message"`
		Status     int      `json:"status"`
		RetryAfter int64    `json:"retry_after,omitempty"`
		Limit      *int64   `json:"limit,omitempty"`
		Remaining  *int64   `json:"remaining,omitempty"`
		ResetAfter *int64   `json:"reset_after,omitempty"`
		Policies   []string `json:"policies,omitempty"`
	}{
		Error: f.Decision.Reason.String(), Message: f.Detail, Status: f.Status, RetryAfter: f.RetryAfter, Policies: f.Policies(),
	}
	if f.Decision.By != nil && !unasked(&f.Decision) {
		reset := stint.Seconds(f.Decision.ResetAfter)
		object.Limit, object.Remaining, object.ResetAfter = &f.Decision.Limit, &f.Decision.Remaining, &reset
	}
	return appendJSON(dst, object)
}

// Problem is the refusal as a problem detail (RFC 9457) of the types that the IETF draft names, with its member
// violated-policies.
type Problem struct{}

// MediaType is application/problem+json.
func (Problem) MediaType() string { return "application/problem+json" }

// Append appends the object.
func (Problem) Append(dst []byte, f *Refusal) []byte {
	return appendJSON(dst, struct {
		Type     string   `json:"type"`
		Title    string   `json:"title"`
		Status   int      `json:"status"`
		Detail   string   `json:"detail"`
		Policies []string `json:"violated-policies,omitempty"`
	}{f.Problem, f.Title, f.Status, f.Detail, f.Policies()})
}

// appendJSON appends a value that always has a JSON form.
func appendJSON(dst []byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return dst
	}
	return append(dst, text...)
}

// chooseBody is the body that an Accept header likes best (RFC 9110 §12.5.1). Of equals, and where it likes none, it is the
// first: a refusal is better in the wrong form than without a reason.
func chooseBody(bodies []Body, accept []string) Body {
	best, bestQuality := bodies[0], 0
	if len(bodies) == 1 || len(accept) == 0 {
		return best
	}
	ranges := parseAccept(accept)
	for _, body := range bodies {
		if q := quality(ranges, body.MediaType()); q > bestQuality {
			best, bestQuality = body, q
		}
	}
	return best
}

// mediaRange is one entry of Accept, with its quality in thousandths.
type mediaRange struct {
	kind, subkind string // "*" for any
	quality       int
}

// Bounds on what is read of Accept.
const (
	maxAccept = 4 << 10
	maxRanges = 64
)

func parseAccept(lines []string) []mediaRange {
	var ranges []mediaRange
	for _, line := range lines {
		if len(line) > maxAccept {
			continue
		}
		for entry := range strings.SplitSeq(line, ",") {
			if len(ranges) == maxRanges {
				return ranges
			}
			media, parameters, _ := strings.Cut(entry, ";")
			kind, subkind, ok := strings.Cut(strings.TrimSpace(media), "/")
			if !ok || kind == "" || subkind == "" || kind == "*" && subkind != "*" {
				continue
			}
			if q, ok := parseQuality(parameters); ok {
				ranges = append(ranges, mediaRange{strings.ToLower(kind), strings.ToLower(subkind), q})
			}
		}
	}
	return ranges
}

// parseQuality finds the q among parameters, in thousandths; 1000 if there is none, false if it is malformed.
func parseQuality(parameters string) (int, bool) {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		whole, fraction, _ := strings.Cut(strings.TrimSpace(value), ".")
		if whole != "0" && whole != "1" || len(fraction) > 3 {
			return 0, false
		}
		q := 0
		for _, c := range []byte(whole + (fraction + "000")[:3]) {
			if !isDigit(c) {
				return 0, false
			}
			q = q*10 + int(c-'0')
		}
		return q, q <= 1000
	}
	return 1000, true
}

// quality is how much a media type is liked: what its most specific range says, or 0.
func quality(ranges []mediaRange, mediaType string) int {
	media, _, _ := strings.Cut(mediaType, ";")
	kind, subkind, _ := strings.Cut(media, "/")
	best, bestFit := 0, 0
	for _, r := range ranges {
		fit := 0
		switch {
		case r.kind == kind && r.subkind == subkind:
			fit = 3
		case r.kind == kind && r.subkind == "*":
			fit = 2
		case r.kind == "*":
			fit = 1
		}
		if fit > bestFit || fit == bestFit && fit > 0 && r.quality > best {
			best, bestFit = r.quality, fit
		}
	}
	return best
}
