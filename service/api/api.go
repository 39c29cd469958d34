package api

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/problem"
)

// Options say what the API decides by. Limiter, Store, Policy and Secret are required.
type Options struct {
	// Limiter decides, and Store is the store that it is on. The policy brings the limits.
	Limiter *stint.Limiter
	Store   stint.Store

	// Policy is the policy in force.
	Policy func() *policy.Policy

	// Identify looks up who sends an API key, as httplimit.PolicyOptions.Identify does. Default: everybody may ask, and has no name.
	Identify func(ctx context.Context, key, address string) (*policy.Caller, error)

	// Secret signs receipts and reservations: the same for all instances. At least 32 bytes.
	Secret []byte

	// Counted is told of every call that was decided: of whom it was, on which route or limit. Default: nobody is.
	Counted func(c Counted)

	// Decided is told of every decision of a limit, looks left out. The decision is only lent. Default: nobody is.
	Decided func(d *stint.Decision)

	// OnError is told, once for a request, of an error for which there is no decision: of the store, or of Identify. Default: nobody is.
	OnError func(r *http.Request, err error)

	// Now is the clock by which receipts age. Default: time.Now.
	Now func() time.Time
}

// Counted is a call that was decided.
type Counted struct {
	User, Key string
	Route     string // the route's name, or "limit " and the limit's id
	Admitted  bool
	Units     int64
}

func (o *Options) validate() error {
	switch {
	case o.Limiter == nil || o.Store == nil || o.Policy == nil:
		return errors.New("api: Limiter, Store and Policy are required")
	case len(o.Secret) < 32:
		return errors.New("api: the secret has less than 32 bytes")
	}
	if o.Counted == nil {
		o.Counted = func(Counted) {}
	}
	if o.Decided == nil {
		o.Decided = func(*stint.Decision) {}
	}
	if o.OnError == nil {
		o.OnError = func(*http.Request, error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Bounds on a request.
const (
	MaxBody   = 1 << 20 // bytes
	MaxCalls  = 1024
	MaxClaims = 16   // of a call
	MaxKey    = 1024 // bytes of a key
	MaxCost   = 1 << 53
)

type api struct {
	Options
	signer  signer
	replays replays
	texts   limitTexts
	marker  *stint.Limit // of idempotency keys
	settled *stint.Limit // of reservations
}

//go:embed openapi.yaml
var document []byte

// New is the API as a handler for the paths under /v1/.
func New(o Options) (http.Handler, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &api{Options: o, signer: signer{o.Secret}}
	a.replays.init()
	a.texts.init()
	var err error
	if a.marker, err = once("idempotency-key~", remembered); err != nil {
		return nil, err
	}
	if a.settled, err = once("settled~", receiptLife); err != nil {
		return nil, err
	}
	at := paths{exact: map[string]http.Handler{}, others: http.NewServeMux()}
	for path, h := range map[string]handler{
		"/v1/take": a.take, "/v1/peek": a.peek, "/v1/explain": a.explain, "/v1/reserve": a.reserve, "/v1/commit": a.commit,
		"/v1/cancel": a.cancel, "/v1/refund": a.refund, "/v1/block": a.block, "/v1/reset": a.reset,
	} {
		scope := policy.ScopeDecide
		if path == "/v1/block" || path == "/v1/reset" {
			scope = policy.ScopeManage
		}
		at.exact[path] = a.authorized(scope, h)
	}
	at.others.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(document) // a client that has left is not told
	})
	at.others.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, http.StatusNotFound, "nothing is served under "+r.URL.Path+"; see /v1/openapi.yaml")
	})
	return &at, nil
}

// paths finds the handler of a request. A map finds the operations in a tenth of the time that http.ServeMux takes.
type paths struct {
	exact  map[string]http.Handler
	others *http.ServeMux
}

// ServeHTTP answers by the path.
func (p *paths) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := p.exact[r.URL.Path]
	switch {
	case !ok:
		p.others.ServeHTTP(w, r)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		problem.Write(w, http.StatusMethodNotAllowed, "send it with POST")
	default:
		h.ServeHTTP(w, r)
	}
}

// once is a limit that grants one unit in a time, by which it is remembered that something was done.
func once(id string, life time.Duration) (*stint.Limit, error) {
	limit := stint.Every(life).WithID(id)
	limit.Strategy = stint.IntervalBucket{}
	return limit.Compile()
}

// asked is a request of a caller.
type asked struct {
	*http.Request
	caller *policy.Caller
	policy *policy.Policy

	limit, route string // of the call that was read last
}

// routeOf is what calls of a limit are counted by.
func (r *asked) routeOf(limit string) string {
	if r.limit != limit || r.route == "" {
		r.limit, r.route = limit, "limit "+limit
	}
	return r.route
}

// handler answers a request, or returns why it cannot: a [*refusal], or an error of the store.
type handler func(w http.ResponseWriter, r *asked) error

// authorized lets a handler answer callers whose key has a scope.
func (a *api) authorized(scope policy.Scopes, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := a.authenticate(r, scope)
		if err == nil {
			err = h(w, &asked{Request: r, caller: caller, policy: a.Policy()})
		}
		if err != nil {
			if undecided(err) {
				a.OnError(r, err)
			}
			fail(w, err)
		}
	})
}

// nobody is who asks where nobody is looked up.
var nobody = &policy.Caller{}

func (a *api) authenticate(r *http.Request, scope policy.Scopes) (*policy.Caller, error) {
	if a.Identify == nil {
		return nobody, nil
	}
	key := r.Header.Get(policy.APIKeyHeader)
	if kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(kind, "Bearer") {
		key = token
	}
	if key == "" {
		return nil, refuse(http.StatusUnauthorized, "the API key is missing: send it as Authorization: Bearer KEY")
	}
	// Behind a proxy that the policy trusts the address is the caller's, or one who guesses keys would stop all others.
	source := httplimit.AddressOf(a.Policy().Clients)
	address, _ := source.Key(r)
	caller, err := a.Identify(r.Context(), key, address)
	if err != nil {
		return nil, err
	}
	if !caller.Scopes.Has(scope) {
		word := "decide"
		if scope == policy.ScopeManage {
			word = "manage"
		}
		return nil, refuse(http.StatusForbidden, "the API key is not for this: it needs the scope "+word)
	}
	return caller, nil
}
