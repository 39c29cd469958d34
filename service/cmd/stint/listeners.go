package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/admin"
	"github.com/stint-go/stint/service/api"
	"github.com/stint-go/stint/service/health"
	"github.com/stint-go/stint/service/usage"
)

// nowhere is the address of a listener that is not wanted.
const nowhere = "none"

// listeners makes what is served on the public listener and on that of operators.
func (c *serveCommand) listeners(j *job, d *data, s *policyServer) error {
	open := map[string]http.Handler{"GET /healthz": health.Alive(), "GET /readyz": health.Ready(s.checks(j)...)}
	states, own := http.NewServeMux(), map[string]http.Handler{}
	for _, path := range ownPaths {
		own[path] = states
	}
	for pattern, h := range open {
		states.Handle(pattern, h)
	}
	token := c.AdminToken
	if token == "" {
		var err error
		if token, err = d.secret(tokenFile); err != nil {
			return fmt.Errorf("the admin token: %w", err)
		}
	}
	if !c.NoAPI {
		decisions, err := c.decisions(j, d, s, token)
		if err != nil {
			return err
		}
		for _, path := range apiPaths {
			own[path] = decisions
		}
	}
	j.handler = s.watching.tracing.Handler(&front{policy: s.handler, own: own})
	if c.Admin == nowhere {
		return nil
	}
	if _, _, found := strings.Cut(c.Admin, ":"); !found {
		return fmt.Errorf("--admin %q: write HOST:PORT, or none", c.Admin)
	}
	if c.AdminTLS && c.TLSCert == "" {
		return errors.New("--admin-tls needs --tls-cert and --tls-key, by which the admin listener is encrypted, too")
	}
	others := map[string]http.Handler{"GET /v1/trials": s.trials, "GET /metrics": s.watching.metrics.Handler()}
	if s.callers != nil {
		others["GET /v1/usage"] = s.callers.usage.Handler()
		others["GET /v1/top"] = s.callers.usage.TopHandler()
	}
	if c.Pprof {
		others["/debug/pprof/"] = http.HandlerFunc(pprof.Index)
		others["/debug/pprof/cmdline"] = http.HandlerFunc(pprof.Cmdline)
		others["/debug/pprof/profile"] = http.HandlerFunc(pprof.Profile)
		others["/debug/pprof/symbol"] = http.HandlerFunc(pprof.Symbol)
		others["/debug/pprof/trace"] = http.HandlerFunc(pprof.Trace)
	}
	handler, err := admin.New(admin.Options{Token: token, Accounts: s.administered(), Others: others, Open: open})
	if err != nil {
		return fmt.Errorf("--admin-token: %w", err)
	}
	j.admin = &adminJob{c.Admin, handler, c.AdminTLS}
	return nil
}

// front serves the service's own paths, and all others by the policy, whose paths are cleaned by itself: http.ServeMux would redirect.
type front struct {
	policy http.Handler
	own    map[string]http.Handler // by path
}

// ServeHTTP serves the request by whom its path belongs to.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if own := f.own[r.URL.Path]; own != nil {
		own.ServeHTTP(w, r)
		return
	}
	f.policy.ServeHTTP(w, r)
}

// ownPaths are the service's own, wherever a policy's routes are, and those of the decision API.
var (
	ownPaths = []string{"/healthz", "/readyz"}
	apiPaths = []string{"/v1/take", "/v1/peek", "/v1/explain", "/v1/reserve", "/v1/commit", "/v1/cancel", "/v1/refund", "/v1/block", "/v1/reset", "/v1/openapi.yaml"}
)

// decisions is the decision API.
func (c *serveCommand) decisions(j *job, d *data, s *policyServer, token string) (http.Handler, error) {
	secret := c.Secret
	if secret == "" {
		var err error
		if secret, err = d.secret(secretFile); err != nil {
			return nil, fmt.Errorf("the secret of receipts: %w", err)
		}
	}
	o := api.Options{Limiter: s.limiter, Store: j.store, Policy: s.handler.Policy, Secret: []byte(secret), Identify: operator(token),
		Decided: s.watching.metrics.Decided}
	logged := logAccounts(j.log, logUndecided(j.log))
	o.OnError = func(r *http.Request, err error) {
		if r.Context().Err() == nil { // else the client has left, and nobody waits for a decision
			s.watching.metrics.Undecided(r.URL.Path)
			logged(r, err)
		}
	}
	if s.callers != nil {
		o.Identify = s.callers.identify
		o.Counted = func(c api.Counted) {
			s.callers.usage.Count(usage.Of{User: c.User, Key: c.Key, Route: c.Route}, c.Admitted, c.Units)
		}
	}
	handler, err := api.New(o)
	if err != nil {
		return nil, fmt.Errorf("--secret: %w", err)
	}
	return handler, nil
}

// operator knows who has the admin token, and nobody else: for a service that looks up nobody.
func operator(token string) func(context.Context, string, string) (*policy.Caller, error) {
	want := sha256.Sum256([]byte(token))
	caller := &policy.Caller{User: "operator", Scopes: policy.ScopeDecide | policy.ScopeManage}
	return func(_ context.Context, key, _ string) (*policy.Caller, error) {
		// Hashes are of one length, whatever was sent.
		if got := sha256.Sum256([]byte(key)); subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			return nil, policy.ErrInvalidKey
		}
		return caller, nil
	}
}

func (s *policyServer) administered() *accounts.Accounts {
	if s.callers == nil {
		return nil
	}
	return s.callers.accounts
}

// checks are what must be in order for requests to be sent here.
func (s *policyServer) checks(j *job) []health.Check {
	checks := []health.Check{{Name: "running", Ready: func(context.Context) error {
		if j.stopping.Load() {
			return errors.New("stopping")
		}
		return nil
	}}}
	if s.callers != nil {
		checks = append(checks, s.callers.checks()...)
	}
	if s.shared != nil {
		checks = append(checks, health.Check{Name: "store", Ready: func(context.Context) error {
			closed := func(l *policy.Limit) bool { return l.OnStoreLoss == policy.LossClosed }
			if s.shared.Lost() && slices.ContainsFunc(s.handler.Policy().Limits, closed) {
				return errors.New("lost, and limits say on-store-loss: closed")
			}
			return nil
		}})
	}
	return checks
}
