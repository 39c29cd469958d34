package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint"
)

// Limit is a limit of the file, ready for a store.
type Limit struct {
	// ID names it in the file, and is the identity that counts belong to.
	ID string

	// Value is the limit of calls without a plan, and of plans that give none; nil if it is unlimited.
	Value *stint.Limit

	// OnStoreLoss says what a call gets while the store cannot be reached.
	OnStoreLoss StoreLoss

	// Lease is how many units of a key a process takes out of a shared store at once, at most, to spend them in memory; 0 if each call
	// asks the store.
	Lease int64

	// Line and Column say where in the file it stands.
	Line, Column int

	// Candidate is a value that is tried out beside Value and refuses nobody; nil if there is none. Its ID is that of the limit with
	// "~candidate" behind it. It sees the calls that the limits in force admit.
	Candidate *stint.Limit

	plans map[string]*stint.Limit
	draft stint.Limit // Value before it was compiled
	own   ownValues
}

// candidateMark stands behind the id of a limit in that of its candidate. No id in a file can end with it.
const candidateMark = "~candidate"

// CandidateOf is the id of the limit that the candidate of this id is tried out for; false if it is none's.
func CandidateOf(id string) (string, bool) { return strings.CutSuffix(id, candidateMark) }

// StoreLoss is what to do while the store is lost.
type StoreLoss uint8

// The choices.
const (
	LossClosed StoreLoss = iota // refuse
	LossOpen                    // admit, and mark the decision as degraded
	LossLocal                   // each instance enforces its share
)

var storeLosses = []string{"closed", "open", "local"}

func (s StoreLoss) String() string { return storeLosses[min(int(s), len(storeLosses)-1)] }

// For is the limit's value for a plan; nil if it is unlimited. A plan that the file does not name has what calls without a
// plan have.
func (l *Limit) For(plan string) *stint.Limit {
	if v, ok := l.plans[plan]; ok {
		return v
	}
	return l.Value
}

// Plans are the plans that have a value of their own, in no order.
func (l *Limit) Plans() []string {
	names := make([]string, 0, len(l.plans))
	for name := range l.plans {
		names = append(names, name)
	}
	return names
}

// Bounds on a file, so that a slip of a generator is found and not loaded.
const (
	maxLimits = 20_000
	maxPlans  = 1_000
	maxRoutes = 100_000

	maxInstances = 1_000_000
	maxLease     = 1_000_000
	maxDeadline  = 10 * time.Second
)

// limitDraft is what a map says of a limit.
type limitDraft struct {
	rate         stint.Limit
	rateNode     *Node // nil while there is no rate
	burst        int64
	burstNode    *Node
	strategy     stint.Strategy
	strategyNode *Node
	carry        stint.Carry
	loss         StoreLoss
	lossNode     *Node
	candidate    *Node
	lease        int64
	leaseNode    *Node
}

var limitFields = fields[limitDraft]{
	{"rate", (*decoder).limitRate},
	{"burst", func(d *decoder, l *limitDraft, n *Node, at *place) {
		l.burst = d.number(n, at, 1, 1<<62)
		l.burstNode = n
	}},
	{"strategy", (*decoder).limitStrategy},
	{"on-change", func(d *decoder, l *limitDraft, n *Node, at *place) {
		if w, ok := d.word(n, at, carries...); ok {
			l.carry = stint.Carry(slices.Index(carries, w))
		}
	}},
	{"on-store-loss", func(d *decoder, l *limitDraft, n *Node, at *place) {
		if w, ok := d.word(n, at, storeLosses...); ok {
			l.loss, l.lossNode = StoreLoss(slices.Index(storeLosses, w)), n
		}
	}},
	{"lease", func(d *decoder, l *limitDraft, n *Node, at *place) {
		l.lease, l.leaseNode = d.number(n, at, 1, maxLease), n
	}},
	{"candidate", func(_ *decoder, l *limitDraft, n *Node, _ *place) { l.candidate = n }},
}

// planFields are what a plan may say of a limit: its values. How it is kept stays the limit's own.
var planFields = limitFields[:3]

// carries are the words for what a key keeps when a limit changes, in the order of [stint.Carry].
var carries = []string{"share", "as-is", "additive", "reset"}

const aLimit = `a limit, such as "100/hour", "10/s burst 20" or "unlimited"`

func (d *decoder) limitRate(l *limitDraft, n *Node, at *place) {
	text, ok := d.text(n, at, aLimit)
	if !ok {
		return
	}
	rate, err := stint.ParseLimit(text)
	if err != nil {
		d.parseError(n, at, err)
		return
	}
	l.rate, l.rateNode = rate, n
}

func (d *decoder) limitStrategy(l *limitDraft, n *Node, at *place) {
	text, ok := d.text(n, at, "the name of a strategy")
	if !ok {
		return
	}
	s, err := stint.ParseStrategy(text)
	if err != nil {
		d.parseError(n, at, err)
		return
	}
	l.strategy, l.strategyNode = s, n
}

// parseError reports what the core says of a text, in the file's terms.
func (d *decoder) parseError(n *Node, at *place, err error) {
	var parse *stint.ParseError
	if !errors.As(err, &parse) {
		d.mistake(n, at, "found "+quote(n.Text), err.Error())
		return
	}
	if reason, refused := strings.CutPrefix(parse.Expected, "another limit: "); refused {
		d.mistake(n, at, quote(n.Text)+" cannot be counted", reason)
		return
	}
	found := fmt.Sprintf("in %s found %s", quote(n.Text), quote(parse.Found))
	switch parse.Found {
	case n.Text:
		found = "found " + quote(n.Text)
	case "":
		found = "found the end of " + quote(n.Text)
	}
	d.mistake(n, at, found, "expected is "+parse.Expected)
}

// limits reads all limits.
func (d *decoder) limits(p *Policy, n *Node, at *place) {
	d.named(n, at, maxLimits, "a map from the id of each limit to its values", func(f Field, at *place) {
		if !d.goodName(f, at) {
			return
		}
		l := &Limit{ID: f.Name, Line: f.Line, Column: f.Column}
		p.Limits = append(p.Limits, l)
		p.byID[l.ID] = l
		draft, ok := d.limitValue(f.Value, at, limitFields)
		if !ok {
			return
		}
		l.OnStoreLoss = draft.loss
		if l.OnStoreLoss == LossLocal && p.Instances == 0 && p.Store != "memory" { // which cannot be lost
			d.mistake(draft.lossNode, at.field("on-store-loss"), `found "local" without instances, by which each knows its share`,
				"say beside store how many there are, such as instances: 4")
		}
		l.draft = draft.rate
		l.draft.ID, l.draft.OnChange = l.ID, draft.carry
		l.Value = d.compile(l.draft, f.Value, at)
		if l.Lease = draft.lease; l.Lease > 0 && l.Value != nil && !leasable(l.Value) {
			d.mistake(draft.leaseNode, at.field("lease"), fmt.Sprintf("a lease of a limit that counts by %s", l.Value.Strategy.Name()),
				"only token-bucket, interval-bucket, fixed-window and calendar windows have a bound with it; choose one of them, or leave it out")
		}
		if draft.candidate != nil {
			d.candidate(l, draft.candidate, at.field("candidate"))
		}
	})
}

// leasable says whether package lease has a bound for the limit's strategy.
func leasable(l *stint.Limit) bool {
	switch l.Strategy.(type) {
	case stint.TokenBucket, stint.IntervalBucket, stint.FixedWindow, stint.CalendarWindow:
		return true
	}
	return false
}

// candidate reads the value that is tried out beside a limit's own.
func (d *decoder) candidate(l *Limit, n *Node, at *place) {
	draft, ok := d.limitValue(n, at, planFields)
	if !ok {
		return
	}
	value := draft.rate
	value.ID, value.OnChange = l.ID+candidateMark, l.draft.OnChange
	if value.Strategy == nil {
		value.Strategy = l.inherited()
	}
	l.Candidate = d.compile(value, n, at)
}

// goodName reports a name that could be confused with what stands around it in keys, headers and messages.
func (d *decoder) goodName(f Field, at *place) bool {
	if isName(f.Name) {
		return true
	}
	d.report(Mistake{Line: f.Line, Column: f.Column, Field: at.parent.String(), Found: "found the name " + quote(f.Name),
		Allowed: "allowed are up to 64 letters, digits, - and _"})
	return false
}

// limitValue reads a limit's values, a text or a map, with burst and strategy put into the rate.
func (d *decoder) limitValue(n *Node, at *place, fs fields[limitDraft]) (l limitDraft, ok bool) {
	before := d.found
	if n.Kind != Map {
		d.limitRate(&l, n, at)
		return l, d.found == before
	}
	fs.read(d, &l, n, at)
	if l.rateNode == nil && d.found == before {
		d.mistake(n, at, "no rate", "give one, such as rate: 100/hour")
	}
	if l.burstNode != nil && l.rate.Burst != 0 {
		d.mistake(l.burstNode, at, "a burst here and another in the rate "+quote(l.rateNode.Text), "say it once")
	}
	if l.strategyNode != nil && l.rate.Strategy != nil {
		d.mistake(l.strategyNode, at, "a strategy here and another in the rate "+quote(l.rateNode.Text), "say it once")
	}
	if l.burst != 0 {
		l.rate.Burst = l.burst
	}
	if l.strategy != nil {
		l.rate.Strategy = l.strategy
	}
	return l, d.found == before
}

// compile makes a value ready for a store; nil if it is unlimited, or refused.
func (d *decoder) compile(value stint.Limit, n *Node, at *place) *stint.Limit {
	if value.Strategy != nil && value.Strategy.Name() == unlimited {
		return nil
	}
	compiled, err := value.Compile()
	if err == nil {
		return compiled
	}
	var refused *stint.LimitError
	if errors.As(err, &refused) {
		err = errors.New(refused.Reason)
	}
	d.mistake(n, at, "cannot be counted", err.Error())
	return nil
}

const unlimited = "unlimited"

// inherited is the strategy of a plan's value that names none: the limit's own if that was named, or follows from its burst.
// Calendar windows are not inherited, since their length is a part of them.
func (l *Limit) inherited() stint.Strategy {
	switch s := l.draft.Strategy.(type) {
	case nil:
		if l.draft.Burst != 0 {
			return stint.TokenBucket{}
		}
		return nil
	case stint.CalendarWindow:
		return nil
	default:
		if s.Name() == unlimited {
			return nil
		}
		return s
	}
}

// plans reads what plans change.
func (d *decoder) plans(p *Policy, n *Node, at *place) {
	d.named(n, at, maxPlans, "a map from the name of each plan to its limits", func(plan Field, at *place) {
		if !d.goodName(plan, at) {
			return
		}
		p.Plans = append(p.Plans, plan.Name)
		d.named(plan.Value, at, maxLimits, "a map from the id of a limit to its values in this plan", func(f Field, under *place) {
			l := p.byID[f.Name]
			if l == nil {
				d.unknown(f.Line, f.Column, at, "limit", f.Name, p.limitIDs())
				return
			}
			draft, ok := d.limitValue(f.Value, under, planFields)
			if !ok {
				return
			}
			value := draft.rate
			value.ID, value.OnChange = l.ID, l.draft.OnChange
			if value.Strategy == nil {
				value.Strategy = l.inherited()
			}
			if l.plans == nil {
				l.plans = map[string]*stint.Limit{}
			}
			l.plans[plan.Name] = d.compile(value, f.Value, under)
		})
	})
}
