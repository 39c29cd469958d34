package httplimit

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

// Options say what a handler limits, and how. Limiter and Key are required, Address where the key counts by it.
type Options struct {
	// Limiter decides. With several limits a request takes from all of them or from none.
	Limiter *stint.Limiter

	// Key says who is counted.
	Key policy.Key

	// Address says where a client's address comes from. Without a choice there is none.
	Address AddressSource

	// Attribute says what else is known of a request, for keys like "user" or "plan". Default: "route" alone, which is the
	// pattern that routed the request.
	Attribute func(r *http.Request, name string) (string, bool)

	// Cost is how many units a request asks for. 0 takes none, and passes while at least one is left; less is answered with
	// 400. Default: 1.
	Cost func(r *http.Request) int64

	// Charge says what a request cost in the end, from the status and header of its response. The cost, at least one unit, is
	// taken before, so that requests at the same time cannot pass together; the difference is given back or charged afterwards.
	// See [ChargeStatus] and [ChargeHeader]. A handler that panics counts as a 500. Slots of a limit on concurrency are given
	// back in any case. Default: the cost.
	Charge func(reserved int64, status int, header http.Header) int64

	// Skip lets requests pass uncounted. See [SkipPaths].
	Skip func(r *http.Request) bool

	// Shadow decides, charges and lets everything pass; what would have been refused is marked by a header Stint-Shadow with
	// the reason. What [Answers].Headers say is sent, too.
	Shadow bool

	// SharedKey is the name under which all requests that lack the key are counted together. It meets no real key. Default:
	// they are refused.
	SharedKey string

	// MissingStatus is the status for a request that lacks the key. Default: 401 where the key says who the client is (a header,
	// a cookie, basic-user, user, plan, api-key), else 400.
	MissingStatus int

	// FailOpen lets requests pass when no decision could be had, instead of answering 503.
	FailOpen bool

	// OnError is told of every error of the store. Default: nobody is.
	OnError func(r *http.Request, err error)

	// Answers say how clients are told.
	Answers
}

func (o *Options) validate() error {
	switch {
	case o.Limiter == nil:
		return errors.New("httplimit: no Limiter; make one with stint.New")
	case len(o.Limiter.Limits()) == 0:
		return errors.New("httplimit: the Limiter has no limit; give stint.New at least one")
	case o.Key.String() == "":
		return errors.New("httplimit: no Key; say who is counted, such as policy.Header(\"X-API-Key\")")
	case o.Address.Err() != nil:
		return o.Address.Err()
	case needsAddress(o.Key) && !o.Address.Chosen():
		return fmt.Errorf("httplimit: key %q counts by address: choose Address, one of Peer, Hops and Trusted", o.Key)
	case o.MissingStatus != 0 && (o.MissingStatus < 400 || o.MissingStatus > 599):
		return fmt.Errorf("httplimit: MissingStatus %d: give one from 400 to 599", o.MissingStatus)
	case o.MissingStatus != 0 && o.SharedKey != "":
		return errors.New("httplimit: both SharedKey and MissingStatus are set; a request without the key is counted or refused")
	}
	return nil
}

// holdsSlots says whether a limit counts slots held, which must be free again when the response has ended.
func holdsSlots(limits []*stint.Limit) bool {
	return slices.ContainsFunc(limits, func(l *stint.Limit) bool { return l.Strategy.Name() == concurrency })
}

// concurrency is the name of the strategy that counts slots held.
const concurrency = "concurrency"

// missing is the refusal of a request that lacks the key.
func (o *Options) missing() *Refusal {
	status := o.MissingStatus
	if status == 0 {
		status = http.StatusBadRequest
		if challenge(o.Key) != "" {
			status = http.StatusUnauthorized
		}
	}
	return wrongRequest(status, stint.KeyMissing, "The request lacks what it is counted by: "+o.Key.String())
}

// challenge is the WWW-Authenticate that goes with a 401 for a key that says who the client is; empty for any other key.
func challenge(k policy.Key) string {
	for _, part := range strings.Split(k.String(), "+") {
		kind, name, _ := strings.Cut(part, ":")
		switch {
		case kind == "basic-user":
			return `Basic realm="rate limit"`
		case kind == "header" && strings.EqualFold(name, "Authorization"):
			return "Bearer"
		case kind == "header" || kind == "cookie" || part == "user" || part == "plan" || part == "api-key":
			return "ApiKey in=" + quotedString(part)
		}
	}
	return ""
}

// ChargeStatus charges only requests whose response has a status that counts, and gives back the rest. To count failed
// log-ins: func(status int) bool { return status == 401 }.
func ChargeStatus(counts func(status int) bool) func(int64, int, http.Header) int64 {
	return func(reserved int64, status int, _ http.Header) int64 {
		if counts(status) {
			return reserved
		}
		return 0
	}
}

// ChargeHeader charges the whole number that a header or trailer of the response says, or what was reserved if it says none.
func ChargeHeader(name string) func(int64, int, http.Header) int64 {
	name = http.CanonicalHeaderKey(name)
	return func(reserved int64, _ int, h http.Header) int64 {
		for _, values := range [][]string{h[http.TrailerPrefix+name], h[name]} {
			if text, ok := first(values); ok {
				if cost, ok := leadingInteger(text); ok {
					return cost
				}
			}
		}
		return reserved
	}
}

// SkipPaths skips requests to the paths, and to everything below those that end in a slash. Paths are compared unescaped and
// cleaned of "..".
func SkipPaths(paths ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		asked := cleanPath(r.URL.Path)
		for _, p := range paths {
			if asked == p || strings.HasSuffix(p, "/") && strings.HasPrefix(asked, p) {
				return true
			}
		}
		return false
	}
}
