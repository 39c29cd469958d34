package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/proxy"
	"github.com/stint-go/stint/service/stores"
)

type proxyCommand struct {
	leaf
	Upstream        string        `long:"upstream" value-name:"URL" required:"yes" description:"The service to protect, such as http://127.0.0.1:5000."`
	Limit           []string      `long:"limit" value-name:"LIMIT" description:"What each caller may do, such as \"100/hour\", \"10/s burst 20\" or \"5/1m30s interval-bucket\". Can be given again: then all hold."`
	Strategy        string        `long:"strategy" value-name:"NAME" description:"How limits count that do not say it themselves, such as token-bucket or fixed-window."`
	Key             string        `long:"key" value-name:"KEY" default:"address" description:"Who is counted: address, header:NAME, cookie:NAME, query:NAME, basic-user, fixed:NAME, or several joined by +."`
	TrustedProxy    []string      `long:"trusted-proxy" value-name:"CIDR" description:"A proxy in front, whose X-Forwarded-For is believed. Can be given again. Nobody's is, unless said."`
	Headers         []string      `long:"headers" value-name:"ietf|x|x-seconds|draft-6|none" default:"ietf" description:"How answers say what is left."`
	Shadow          bool          `long:"shadow" description:"Only mark what would be refused, and let it pass."`
	PreserveHost    bool          `long:"preserve-host" description:"Send the upstream the Host that the client sent, not the upstream's own."`
	Store           string        `long:"store" value-name:"URL" default:"memory" env:"STINT_STORE" description:"Where the counts live: memory, or a store that several proxies share, such as redis://host, postgres://host/database or sqlite:FILE."`
	StoreDeadline   time.Duration `long:"store-deadline" value-name:"TIME" description:"How long a call waits for a shared store. Default: 25ms for Redis, 250ms for databases."`
	OnStoreLoss     string        `long:"on-store-loss" default:"closed" choice:"closed" choice:"open" choice:"local" description:"What a call gets while a shared store is lost: closed refuses it, open admits it, local gives each of the instances its share."`
	Instances       int           `long:"instances" value-name:"K" description:"How many proxies share the store, for --on-store-loss local."`
	UpstreamTimeout time.Duration `long:"upstream-timeout" default:"1m" description:"How long the upstream may take to begin an answer."`
	serving
}

// Run answers requests by the upstream, as far as the limits admit them.
func (c *proxyCommand) Run(ctx context.Context, t *terminal) error {
	log := c.logger(t)
	limits, err := parseLimits("--limit", c.Limit, c.Strategy)
	if err != nil {
		return err
	}
	options, trusted, err := c.options(log)
	if err != nil {
		return err
	}
	upstream, err := proxy.New(proxy.Options{
		Upstream: c.Upstream, PreserveHost: c.PreserveHost, Trusted: trusted, AnswerTimeout: c.UpstreamTimeout, Log: log,
	})
	if err != nil {
		return fmt.Errorf("--upstream: %w", err)
	}
	defer upstream.Close()
	lossy, err := c.lossy()
	if err != nil {
		return err
	}
	j := &job{log: log}
	if err := c.keep(ctx, j, c.Store, lossy); err != nil {
		return fmt.Errorf("--store: %w", err)
	}
	if options.Limiter, err = stint.NewWith(stint.Options{Store: j.store}, limits...); err != nil {
		return errors.Join(err, j.store.Close())
	}
	if j.handler, err = httplimit.Handler(upstream, options); err != nil {
		return errors.Join(err, j.store.Close())
	}
	j.hello = func(url, _ string) string { return c.hello(url, options.Limiter.Limits()) }
	return c.serve(ctx, t, j)
}

// lossy is how the proxy uses a shared store.
func (c *proxyCommand) lossy() (o stores.StackOptions, err error) {
	switch {
	case c.StoreDeadline < 0 || c.Instances < 0:
		return o, errors.New("--store-deadline and --instances cannot be negative")
	case c.OnStoreLoss == failover.Local.String() && c.Instances == 0 && c.Store != inMemory:
		return o, errors.New("--on-store-loss local needs --instances, by which each proxy knows its share")
	}
	o.Deadline, o.Instances = c.StoreDeadline, c.Instances
	for _, choice := range []failover.Choice{failover.Open, failover.Local} {
		if c.OnStoreLoss == choice.String() {
			o.Default = choice
		}
	}
	return o, nil
}

// options are those of the flags for the middleware, and the trusted networks.
func (c *proxyCommand) options(log *slog.Logger) (o httplimit.Options, trusted []netip.Prefix, err error) {
	o = httplimit.Options{Shadow: c.Shadow, Address: httplimit.Peer()}
	o.OnError = logUndecided(log)
	if o.Key, err = proxyKey(c.Key); err != nil {
		return o, nil, err
	}
	if o.Headers, err = dialects(apart(c.Headers)); err != nil {
		return o, nil, err
	}
	if trusted, err = parseNetworks("--trusted-proxy", apart(c.TrustedProxy)); err != nil {
		return o, nil, err
	}
	if len(trusted) > 0 {
		o.Address = httplimit.Trusted(trusted...)
	}
	return o, trusted, nil
}

// proxyKey reads a key that can be found without a policy file.
func proxyKey(text string) (policy.Key, error) {
	key, err := policy.ParseKey(text)
	if err != nil {
		return key, fmt.Errorf("--key: %w", err)
	}
	for _, part := range strings.Split(key.String(), "+") {
		if part == "plan" || part == "route" || strings.HasPrefix(part, "path:") {
			return key, fmt.Errorf("--key %s: plans, routes and paths are in policy files: use stint serve -c FILE", text)
		}
	}
	return key, nil
}

// dialects reads the names of dialects.
func dialects(names []string) ([]httplimit.Dialect, error) {
	var all []httplimit.Dialect
	for _, name := range names {
		dialect, err := httplimit.ParseDialect(name)
		if err != nil {
			return nil, fmt.Errorf("--headers: %w", err)
		}
		all = append(all, dialect)
	}
	return all, nil
}

// hello says what is protected, how, and what to try.
func (c *proxyCommand) hello(url string, limits []*stint.Limit) string {
	var b strings.Builder
	fmt.Fprintf(&b, "stint proxy listens on %s, in front of %s\n", url, c.Upstream)
	if c.Store != inMemory {
		fmt.Fprintf(&b, "  counts are kept by %s; while it is lost: %s\n", stores.Redacted(c.Store), c.OnStoreLoss)
	}
	for _, l := range limits {
		fmt.Fprintf(&b, "  %s for each %s: %s\n", l, c.Key, promise(l))
	}
	if c.Shadow {
		b.WriteString("  in shadow: what would be refused is marked by a header Stint-Shadow, and passes\n")
	}
	fmt.Fprintf(&b, "Try:\n  curl -i %s%s/\n", curlKey(c.Key), url)
	return b.String()
}

// curlKey is how curl says the key.
func curlKey(text string) string {
	var b strings.Builder
	for _, part := range strings.Split(text, "+") {
		kind, name, _ := strings.Cut(part, ":")
		switch kind {
		case "header":
			fmt.Fprintf(&b, "-H '%s: alice' ", name)
		case "cookie":
			fmt.Fprintf(&b, "-b %s=alice ", name)
		case "basic-user":
			b.WriteString("-u alice:secret ")
		case "api-key", "user":
			b.WriteString("-H 'X-API-KEY: alice' ")
		}
	}
	return b.String()
}
