package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/policyfile"
	"github.com/stint-go/stint/service/stores"
)

type configCommand struct {
	Check   checkCommand   `command:"check" description:"Say whether a policy file is good, and if not, what is wrong and where."`
	Explain explainCommand `command:"explain" description:"Say which route and limits hold for a call, and why. Nothing is counted."`
	Diff    diffCommand    `command:"diff" description:"Say what changes where a policy file takes the place of another; exit code 1 if anything does."`
	Default defaultCommand `command:"default" description:"Print the built-in policy, with comments, as a file to start from."`
}

type checkCommand struct {
	leaf
	checkArguments `positional-args:"yes" required:"yes"`
}

// checkArguments are what stands without a flag.
type checkArguments struct {
	File string `positional-arg-name:"FILE" description:"The policy file." required:"yes"`
}

// Run prints what is wrong with the file, or what is in it.
func (c *checkCommand) Run(_ context.Context, t *terminal) error {
	p, err := loadPolicy(c.File)
	if mistakes, wrong := errors.AsType[*policy.Mistakes](err); wrong {
		fmt.Fprintln(t.err, mistakes)
		return errNo
	}
	if err != nil {
		return err
	}
	if p.Store != inMemory {
		if err := stores.Check(p.Store); err != nil {
			fmt.Fprintf(t.err, "%s: store: %v\n", c.File, err)
			return errNo
		}
	}
	var b strings.Builder
	for i := range p.Warnings {
		fmt.Fprintf(&b, "%v (a warning)\n", p.Warnings[i].Error())
	}
	fmt.Fprintf(&b, "%s is good (limits: %d, plans: %d, routes: %d)\n", c.File, len(p.Limits), len(p.Plans), len(p.Routes))
	if p.Store != inMemory {
		fmt.Fprintf(&b, "  counts are kept by %s; a call waits %v for it at most\n", p.Redacted(), cmp.Or(p.StoreDeadline, stores.Deadline(p.Store)))
	}
	for _, l := range p.Limits {
		if l.Value != nil {
			fmt.Fprintf(&b, "  %s %s: %s%s\n", l.ID, l.Value, promise(l.Value), leaseText(p, l)+withoutStore(p, l.OnStoreLoss, l.Value))
		}
	}
	_, err = io.WriteString(t.out, b.String())
	return err
}

type defaultCommand struct {
	leaf
}

// Run prints the built-in policy.
func (defaultCommand) Run(_ context.Context, t *terminal) error {
	_, err := io.WriteString(t.out, policyfile.DefaultText)
	return err
}

type explainCommand struct {
	leaf
	explainArguments `positional-args:"yes" required:"yes"`
	Header           []string `short:"H" long:"header" value-name:"NAME: VALUE" description:"A header of the call. Can be given again."`
	From             string   `long:"from" value-name:"ADDRESS" default:"127.0.0.1" description:"The address that the connection comes from."`
	Plan             string   `long:"plan" description:"The plan of the call's user."`
}

// explainArguments are what stands without a flag.
type explainArguments struct {
	File   string `positional-arg-name:"FILE" description:"The policy file." required:"yes"`
	Method string `positional-arg-name:"METHOD" description:"The call's method, such as GET." required:"yes"`
	URL    string `positional-arg-name:"URL" description:"The call's address: a path, or with the host." required:"yes"`
}

// Run prints what the policy does with the call.
func (c *explainCommand) Run(ctx context.Context, t *terminal) error {
	p, err := loadPolicy(c.File)
	if err != nil {
		return err
	}
	call, err := c.call(ctx, p)
	if err != nil {
		return err
	}
	e := p.Explain(call)
	_, err = io.WriteString(t.out, explanation(p, &e))
	return err
}

// call is the call that is explained.
func (c *explainCommand) call(ctx context.Context, p *policy.Policy) (*httplimit.Call, error) {
	r, err := http.NewRequestWithContext(ctx, strings.ToUpper(c.Method), c.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%s %s is no call: %w", c.Method, c.URL, err)
	}
	if r.Header, err = parseHeaders(c.Header); err != nil {
		return nil, err
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	from, err := netip.ParseAddr(c.From)
	if err != nil {
		return nil, fmt.Errorf("--from %q: write an address such as 192.0.2.1", c.From)
	}
	r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
	return httplimit.NewCall(r, httplimit.AddressOf(p.Clients), func(_ *http.Request, name string) (string, bool) {
		return c.Plan, name == "plan" && c.Plan != ""
	}), nil
}

// explanation is what the policy does with a call, as a text.
func explanation(p *policy.Policy, e *policy.Explanation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s\n", e.Method, e.Host, e.Path)
	for i, look := range e.Looked {
		if i == maxShown {
			fmt.Fprintf(&b, "  … and %d more routes that do not fit\n", len(e.Looked)-maxShown)
			break
		}
		fmt.Fprintf(&b, "  not %s (%s): the %s differs\n", look.Route.Name, placeOf(p, look.Route), look.Differs)
	}
	if e.Route == nil {
		b.WriteString("  no route fits: the call is not limited, and is answered 404\n")
		return b.String()
	}
	fmt.Fprintf(&b, "  route %s (%s) holds\n", e.Route.Name, placeOf(p, e.Route))
	switch {
	case e.Refusal != policy.NotRefused:
		fmt.Fprintf(&b, "  refused at once: %s\n", e.Refusal)
	case e.Uncounted != "":
		fmt.Fprintf(&b, "  not counted: %s\n", e.Uncounted)
	default:
		fmt.Fprintf(&b, "  counted: %s (by %s), at a cost of %d\n", e.Key, e.Route.Key, e.Cost)
	}
	for i := range e.Limits {
		b.WriteString(explainedLimit(p, &e.Limits[i], e.Plan))
	}
	if e.Refusal == policy.NotRefused {
		fmt.Fprintf(&b, "  if admitted: %s\n", admission(e.Route))
	}
	return b.String()
}

func explainedLimit(p *policy.Policy, l *policy.ExplainedLimit, plan string) string {
	what := "unlimited"
	if l.Value != nil {
		what = l.Value.String() + ": " + promise(l.Value)
	}
	if l.Value != nil {
		what += leaseText(p, l.Limit) + withoutStore(p, l.OnStoreLoss, l.Value)
	}
	if l.Candidate != nil {
		what += "; tried out beside it: " + l.Candidate.String()
	}
	if plan != "" {
		what += ", for plan " + plan
	}
	if l.Shadow {
		what += ", in shadow"
	}
	return fmt.Sprintf("  limit %s %s\n", l.ID, what)
}

// admission is what an admitted call of the route gets.
func admission(r *policy.Route) string {
	switch {
	case r.Respond != nil:
		return fmt.Sprintf("answered %d by the policy", r.Respond.Status)
	case r.Upstream != nil:
		return "handed on to " + r.Upstream.Redacted()
	}
	return "answered 204"
}

func placeOf(p *policy.Policy, r *policy.Route) string {
	return fmt.Sprintf("%s:%d", p.File, r.Line)
}
