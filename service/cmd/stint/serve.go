package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/policyfile"
	"github.com/stint-go/stint/service/proxy"
	"github.com/stint-go/stint/service/stores"
	"github.com/stint-go/stint/service/telemetry"
	"github.com/stint-go/stint/service/trial"
)

type serveCommand struct {
	leaf
	Config     string `short:"c" long:"config" value-name:"FILE" description:"The policy, YAML or JSON. It is read again when it changes, and on SIGHUP. Without it the built-in policy holds: GET /limit, 10 requests a second for each user, known by the X-API-KEY."`
	Data       string `long:"data" value-name:"FOLDER" env:"STINT_DATA" description:"Where it keeps what lasts: accounts and usage, counts, the admin token. A folder of this user's unless said."`
	Store      string `long:"store" value-name:"URL" env:"STINT_STORE" description:"Where the counts live, in place of what the policy says."`
	Accounts   string `long:"accounts" value-name:"URL" env:"STINT_ACCOUNTS" description:"Where API keys are looked up, in place of what the policy says: sqlite:FILE, postgres://…, mysql://…, or none."`
	Admin      string `long:"admin" value-name:"HOST:PORT" default:"127.0.0.1:8089" env:"STINT_ADMIN" description:"Where the admin API, usage and metrics are served, to those with the admin token; none for nowhere."`
	AdminTLS   bool   `long:"admin-tls" description:"Encrypt the admin listener, too, by the certificates of the other: for operators who come over a network."`
	AdminToken string `long:"admin-token" value-name:"TOKEN" env:"STINT_ADMIN_TOKEN" description:"The admin token. One is made in the data folder unless said; give it by the environment, since others see a command line."`
	Secret     string `long:"secret" value-name:"TEXT" env:"STINT_SECRET" description:"What receipts of the decision API are signed with, the same for all instances: 32 characters or more. One is made in the data folder unless said."`
	NoAPI      bool   `long:"no-api" description:"Do not serve the decision API, /v1/take and its siblings, which with accounts: none asks for the admin token."`
	Pprof      bool   `long:"pprof" description:"Serve Go's profiles on the admin listener, under /debug/pprof/."`
	serving
	watcher *watcher // of the policy file; nil if there is none
}

// Run answers requests under the policy.
func (c *serveCommand) Run(ctx context.Context, t *terminal) error {
	if c.Config != "" { // before it is read: a change while the service starts is one, too
		c.watcher = newWatcher(c.Config)
		defer c.watcher.stop()
	}
	p, err := c.policy()
	if err != nil {
		return err
	}
	log := c.logger(t)
	warn(log, p)
	d, err := openData(c.Data)
	if err != nil {
		return err
	}
	j := &job{log: log}
	_, err = c.start(ctx, t, j, d, p)
	if err == nil {
		err = c.serve(ctx, t, j)
	} else {
		err = errors.Join(err, j.close(ctx))
	}
	return errors.Join(err, d.close())
}

// start makes all that the service needs. What it has opened when it fails is closed with the job.
func (c *serveCommand) start(ctx context.Context, t *terminal, j *job, d *data, p *policy.Policy) (*policyServer, error) {
	c.snapshots(j, d, p)
	if err := c.keep(ctx, j, p.Store, lossy(p)); err != nil {
		return nil, err
	}
	watching, err := newWatching(ctx, j)
	if err != nil {
		return nil, err
	}
	if j.shared != nil {
		j.store = telemetry.NewStore(j.store, watching.metrics, watching.tracing.Tracer())
	}
	limiter, err := stint.NewWith(stint.Options{Store: j.store})
	if err != nil {
		return nil, err
	}
	s := &policyServer{command: c, log: j.log, shared: j.shared, upstreams: make(map[string]*proxy.Proxy), trials: trial.New(), limiter: limiter, watching: watching}
	j.closing = append(j.closing, func(context.Context) error { s.close(); return nil })
	first := ""
	if p.Accounts != policy.AccountsNone {
		address, err := accountsAt(p.Accounts, d.folder)
		if err != nil {
			return nil, err
		}
		if s.callers, err = openCallers(ctx, address, p.AccountsGrace, j.log); err != nil {
			return nil, fmt.Errorf("accounts: %w", oneLine(err))
		}
		s.callers.tell = func(secret string) { _, _ = io.WriteString(t.out, firstKeyText(secret)) } // nobody else is told
		j.closing = append(j.closing, s.callers.close)
		j.background = append(j.background, s.callers.tend)
		if first, err = s.callers.first(ctx); err != nil {
			return nil, fmt.Errorf("accounts: the first user cannot be made: %w", oneLine(err))
		}
	}
	watching.watch(j, s)
	if err := s.start(p); err != nil {
		return nil, err
	}
	if c.watcher != nil {
		j.background = append(j.background, func(ctx context.Context) { c.watcher.watch(ctx, s.reload) })
	}
	if err := c.listeners(j, d, s); err != nil {
		return nil, err
	}
	j.hello = func(url, admin string) string { return c.hello(&welcome{url, admin, first, d, p}) }
	return s, nil
}

// snapshots has the counts kept in the data folder, where they are in this process's memory.
func (c *serveCommand) snapshots(j *job, d *data, p *policy.Policy) {
	switch {
	case p.Store != inMemory || c.Snapshot != "":
	case d.alone():
		c.Snapshot = d.file(countsFile)
	default:
		j.log.Warn("another stint serve keeps its counts in the data folder: those of this one are forgotten at its end; give each a --data of its own", "data", d.folder)
	}
	if c.Snapshot == "none" {
		c.Snapshot = ""
	}
}

// policy is the file's, or the built-in one, with what the flags say in its place.
func (c *serveCommand) policy() (*policy.Policy, error) {
	load := policyfile.Default
	if c.Config != "" {
		load = func() (*policy.Policy, error) { return loadPolicy(c.Config) }
	}
	p, err := load()
	if err != nil {
		return nil, err
	}
	if c.Store != "" {
		p.Store = c.Store
		for _, l := range p.Limits {
			if l.OnStoreLoss == policy.LossLocal && p.Instances == 0 && p.Store != inMemory {
				return nil, fmt.Errorf("limit %s says on-store-loss: local, which with a shared store needs to know how many share it: add instances to the policy", l.ID)
			}
		}
	}
	if c.Accounts != "" {
		p.Accounts = c.Accounts
	}
	return p, nil
}

// policyServer serves a policy that can change.
type policyServer struct {
	command   *serveCommand
	log       *slog.Logger
	callers   *callers // nil if nobody is looked up
	trials    *trial.Recorder
	limiter   *stint.Limiter
	watching  *watching
	shared    *stores.Stack // nil if the counts are in memory
	handler   *httplimit.PolicyHandler
	trusted   []netip.Prefix          // whose forwarding headers upstreams are told
	upstreams map[string]*proxy.Proxy // by address and whom they trust; kept, since a policy may come back
}

func (s *policyServer) start(p *policy.Policy) (err error) {
	s.trusted = trustedBy(p.Clients)
	o := httplimit.PolicyOptions{
		Limiter:   s.limiter,
		Upstream:  s.upstream,
		OnError:   logAccounts(s.log, logUndecided(s.log)),
		OnVerdict: s.verdict,
	}
	if s.callers != nil {
		o.Identify = s.callers.identify
	}
	s.handler, err = httplimit.Policy(p, o)
	return err
}

// verdict tells all who want to know what came of a request.
func (s *policyServer) verdict(v *httplimit.Verdict) {
	s.trials.Note(v)
	s.watching.metrics.Note(v)
	s.watching.tracing.Note(v)
	s.watching.refusals.Note(v)
	if s.callers != nil {
		s.callers.count(v)
	}
}

// maxChanges is how many changes of a policy are logged.
const maxChanges = 50

// reload puts the file's policy in force. If the file is not good, the policy in force stays.
func (s *policyServer) reload() {
	old, file := s.handler.Policy(), s.command.Config
	p, err := s.command.policy()
	if err == nil {
		err = sameStore(old, p)
	}
	if err == nil {
		err = s.swap(old, p)
	}
	if err != nil {
		s.log.Error("the policy file changed and is not good: the last good one stays in force", "file", file, "error", err)
		return
	}
	warn(s.log, p)
	for i, change := range policy.Diff(old, p) {
		if i == maxChanges {
			s.log.Info("the policy changes in more ways", "see", "stint config diff OLD NEW")
			break
		}
		s.log.Info("the policy changes", "change", change.String())
	}
	s.log.Info("the policy file changed and is in force", "file", file, "routes", len(p.Routes), "limits", len(p.Limits))
}

// swap puts one policy in the place of another, or changes nothing.
func (s *policyServer) swap(old, p *policy.Policy) error {
	share := func(p *policy.Policy) error {
		if s.shared == nil {
			return nil
		}
		return errors.Join(s.shared.SetChoices(choices(p), p.Instances), s.shared.SetLeases(leases(p)))
	}
	err := share(p)
	if err == nil {
		s.trusted = trustedBy(p.Clients)
		err = s.handler.Swap(p)
	}
	if err != nil {
		s.trusted = trustedBy(old.Clients)
		_ = share(old) // which held until now
	}
	return err
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
	case p.Accounts != old.Accounts || p.AccountsGrace != old.AccountsGrace:
		return fmt.Errorf("%s: accounts: they are opened at the start; end stint serve and start it again", p.File)
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

// welcome is what there is to say at the start.
type welcome struct {
	url, admin string
	first      string // the secret of the first key, if it was made now
	data       *data
	policy     *policy.Policy
}

// firstKeyText shows the first key.
func firstKeyText(secret string) string {
	return fmt.Sprintf("The first API key, of the user %q; it is shown this once:\n  %s\n", accounts.FirstUser, secret)
}

// hello says what is served, how it is limited, and what to try.
func (c *serveCommand) hello(w *welcome) string {
	var b strings.Builder
	p := w.policy
	from := "under " + c.Config
	if c.Config == "" {
		from = "under the built-in policy (see stint config default)"
	}
	fmt.Fprintf(&b, "stint serve listens on %s, %s\n", w.url, from)
	if p.Store != inMemory {
		fmt.Fprintf(&b, "  counts are kept by %s\n", stores.Redacted(p.Store))
	}
	for i, r := range p.Routes {
		if i == maxShown {
			fmt.Fprintf(&b, "  and %d more routes\n", len(p.Routes)-maxShown)
			break
		}
		b.WriteString(routeText(r))
	}
	if w.admin != "" {
		fmt.Fprintf(&b, "Admin: %s, with the token", w.admin)
		if c.AdminToken == "" {
			fmt.Fprintf(&b, " in %s", w.data.file(tokenFile))
		}
		b.WriteString("\n")
	}
	key := w.first
	switch {
	case p.Accounts == policy.AccountsNone:
		key = "alice"
	case w.first != "":
		b.WriteString(firstKeyText(w.first))
	default:
		key = "YOUR-KEY"
		b.WriteString("Make API keys with: stint users create NAME, stint keys create NAME\n")
	}
	if try := curlRoute(w.url, key, p.Routes); try != "" {
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
	if r.EnforcePercent < 100 {
		fmt.Fprintf(&b, ", enforced for %d%% of the keys", r.EnforcePercent)
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
func curlRoute(url, apiKey string, routes []*policy.Route) string {
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
		key := curlKey(r.Key.String())
		if r.Identifies() {
			key = fmt.Sprintf("-H 'X-API-KEY: %s' ", apiKey)
		}
		return fmt.Sprintf("curl -i %s%s%s%s", method, key, url, path)
	}
	return ""
}
