package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/policyfile"
	"github.com/stint-go/stint/service/proxy"
	"github.com/stint-go/stint/service/stores"
)

type serveCommand struct {
	Config string `short:"c" placeholder:"FILE" help:"The policy, YAML or JSON. It is read again when it changes, and on SIGHUP. Without it the built-in policy holds: GET /limit, 10 requests a second for each X-API-KEY."`
	serving
}

// Run answers requests under the policy.
func (c *serveCommand) Run(ctx context.Context, t *terminal) error {
	p, err := c.policy()
	if err != nil {
		return err
	}
	log := c.logger(t)
	warn(log, p)
	j := &job{log: log}
	if err := c.keep(ctx, j, p.Store, lossy(p)); err != nil {
		return err
	}
	limiter, err := stint.NewWith(stint.Options{Store: j.store})
	if err != nil {
		return errors.Join(err, j.store.Close())
	}
	s := &policyServer{log: log, shared: j.shared, upstreams: make(map[string]*proxy.Proxy)}
	if err := s.start(p, limiter); err != nil {
		return errors.Join(err, j.store.Close())
	}
	defer s.close()
	j.handler = s.handler
	j.hello = func(url, _ string) string { return c.hello(url, p) }
	if c.Config != "" {
		w := newWatcher(c.Config)
		defer w.stop()
		j.background = append(j.background, func(ctx context.Context) { w.watch(ctx, func() { s.reload(c.Config) }) })
	}
	return c.serve(ctx, t, j)
}

// policy is the file's, or the built-in one.
func (c *serveCommand) policy() (*policy.Policy, error) {
	if c.Config == "" {
		return policyfile.Default()
	}
	return loadPolicy(c.Config)
}

// policyServer serves a policy that can change.
type policyServer struct {
	log       *slog.Logger
	shared    *stores.Stack // nil if the counts are in memory
	handler   *httplimit.PolicyHandler
	trusted   []netip.Prefix          // whose forwarding headers upstreams are told
	upstreams map[string]*proxy.Proxy // by address and whom they trust; kept, since a policy may come back
}

func (s *policyServer) start(p *policy.Policy, limiter *stint.Limiter) (err error) {
	s.trusted = trustedBy(p.Clients)
	s.handler, err = httplimit.Policy(p, httplimit.PolicyOptions{
		Limiter:  limiter,
		Upstream: s.upstream,
		OnError:  logUndecided(s.log),
	})
	return err
}

// reload puts the file's policy in force. If the file is not good, the policy in force stays.
func (s *policyServer) reload(file string) {
	p, err := loadPolicy(file)
	if err == nil {
		err = sameStore(s.handler.Policy(), p)
	}
	if err == nil {
		s.trusted = trustedBy(p.Clients)
		err = s.handler.Swap(p)
	}
	if err == nil && s.shared != nil {
		err = s.shared.SetChoices(choices(p), p.Instances)
	}
	if err != nil {
		s.log.Error("the policy file changed and is not good: the last good one stays in force", "file", file, "error", err)
		return
	}
	warn(s.log, p)
	s.log.Info("the policy file changed and is in force", "file", file, "routes", len(p.Routes), "limits", len(p.Limits))
}

// upstream is the proxy to an upstream.
func (s *policyServer) upstream(u *url.URL) (http.Handler, error) {
	id := fmt.Sprint(u, s.trusted)
	if made := s.upstreams[id]; made != nil {
		return made, nil
	}
	made, err := proxy.New(proxy.Options{Upstream: u.String(), Trusted: s.trusted, Log: s.log})
	if err == nil {
		s.upstreams[id] = made
	}
	return made, err
}

func (s *policyServer) close() {
	for _, upstream := range s.upstreams {
		upstream.Close()
	}
}

// trustedBy are the networks whose forwarding headers a policy believes. Where it counts hops, nobody comes past the proxies.
func trustedBy(c policy.Clients) []netip.Prefix {
	if c.Hops > 0 {
		return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	}
	return c.TrustedProxies
}

// sameStore checks that a policy can take the place of another without a new start: counts stay in the store where they are.
func sameStore(old, p *policy.Policy) error {
	switch {
	case p.Store != old.Store:
		return fmt.Errorf("%s: store: %s in place of %s would leave the counts behind; to do so, end stint serve and start it again",
			p.File, p.Redacted(), old.Redacted())
	case p.StoreDeadline != old.StoreDeadline:
		return fmt.Errorf("%s: store-deadline: it is set at the start; end stint serve and start it again", p.File)
	}
	return nil
}

func warn(log *slog.Logger, p *policy.Policy) {
	for i := range p.Warnings {
		log.Warn("the policy may not mean what it says", "warning", p.Warnings[i].Error())
	}
}

// maxShown is how many routes are shown at the start.
const maxShown = 20

// hello says what is served, how it is limited, and what to try.
func (c *serveCommand) hello(url string, p *policy.Policy) string {
	var b strings.Builder
	from := "under " + c.Config
	if c.Config == "" {
		from = "under the built-in policy (see stint config default)"
	}
	fmt.Fprintf(&b, "stint serve listens on %s, %s\n", url, from)
	if p.Store != inMemory {
		fmt.Fprintf(&b, "  counts are kept by %s\n", p.Redacted())
	}
	for i, r := range p.Routes {
		if i == maxShown {
			fmt.Fprintf(&b, "  and %d more routes\n", len(p.Routes)-maxShown)
			break
		}
		b.WriteString(routeText(r))
	}
	if try := curlRoute(url, p.Routes); try != "" {
		fmt.Fprintf(&b, "Try:\n  %s\n", try)
	}
	return b.String()
}

// routeText is a route and its limits, in a line each.
func routeText(r *policy.Route) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s", r.Name)
	if r.RequireAPIKey {
		b.WriteString(", with an X-API-KEY")
	}
	if r.Mode != policy.Enforce {
		fmt.Fprintf(&b, ", mode %s", r.Mode)
	}
	b.WriteString("\n")
	for _, l := range r.Limits {
		value, what := l.Value, "unlimited"
		if value != nil {
			what = value.String() + ": " + promise(value)
		}
		fmt.Fprintf(&b, "    %s, for each %s, %s\n", l.ID, r.Key, what)
	}
	return b.String()
}

// curlRoute is a command that calls the first route that can be called as it stands; empty if there is none.
func curlRoute(url string, routes []*policy.Route) string {
	for _, r := range routes {
		path := r.Match.Path.String()
		if path == "" || path == "/**" {
			path = "/"
		}
		if strings.ContainsAny(path, "*{") || r.Match.Host != "" || len(r.Match.Headers) > 0 || len(r.Match.Query) > 0 {
			continue
		}
		method := ""
		if m := r.Match.Methods; len(m) > 0 && m[0] != http.MethodGet {
			method = "-X " + m[0] + " "
		}
		key := r.Key.String()
		if r.RequireAPIKey {
			key = "api-key"
		}
		return fmt.Sprintf("curl -i %s%s%s%s", method, curlKey(key), url, path)
	}
	return ""
}
