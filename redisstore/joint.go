package redisstore

import "github.com/stint-go/stint"

// joint is alike calls, the same operations on the same keys, that come one after the other. Each takes of all its keys or of none,
// and the first that is refused is followed by refusals only, so that the script decides them by counting.
type joint struct {
	claims  []stint.Claim // of each call
	groups  []*group      // of each claim; the claims of their one step are those of call after call
	granted int           // how many of the calls the script granted, the first ones, or leftToGo
}

// leftToGo is said of calls that the script has not decided.
const leftToGo = 1<<16 - 1

// maxAlike bounds the calls of a set.
const maxAlike = leftToGo - 1

// join adds a call to the deal, if there is room for it. Calls keep their order on each key.
func (d *deal) join(claims []stint.Claim, groups []*group) bool {
	if x := d.touched[groups[0].key]; x != nil && d.alike(x, groups) {
		for i, g := range x.calls.groups {
			step := &g.steps[0]
			step.claims = append(step.claims, groups[i].steps[0].claims...)
		}
		return true
	}
	if !d.has(groups...) {
		return false
	}
	x := &set{calls: &joint{claims: claims, groups: groups}}
	d.add(x, groups...)
	d.sets = append(d.sets, x)
	if d.touched == nil {
		d.touched = make(map[string]*set)
	}
	for _, g := range groups {
		d.touched[g.key] = x
	}
	return true
}

// alike says whether a call is as those of the set, and nobody has come between on one of its keys.
func (d *deal) alike(x *set, groups []*group) bool {
	if len(groups) != len(x.calls.groups) || len(x.calls.groups[0].steps[0].claims) >= maxAlike {
		return false
	}
	for i, g := range groups {
		other := x.calls.groups[i]
		if g.key != other.key || g.plan != other.plan || g.steps[0].op != other.steps[0].op || d.touched[g.key] != x {
			return false
		}
	}
	return true
}

// answer puts what the calls get into the outcomes, worked out from the states that the script found, and says what they have
// changed, if any was granted. It is false for what the script left to Go.
func (j *joint) answer(a *dealt, into []stint.Outcome) (changes []change, ok bool, err error) {
	if j.granted == leftToGo {
		return nil, false, nil
	}
	held := make([]stint.Held, len(j.groups))
	changes = make([]change, len(j.groups))
	for i, g := range j.groups {
		state, ok := a.stateOf(g, 0)
		if !ok {
			return nil, true, ErrAnswer
		}
		held[i] = stint.Held{State: state, Mark: stint.NewMark(a.now)}
		changes[i].before, changes[i].now = state, a.now
	}
	outcomes, granted := make([]stint.Outcome, len(j.groups)), 0
	for k := range j.groups[0].steps[0].claims {
		for i, g := range j.groups {
			if k > 0 && g.plan.kind == byRuns {
				held[i].State = g.plan.limit.Lend(held[i].State, j.claims[i].Op)
			}
		}
		passed := stint.DecideAll(j.claims, held, outcomes)
		if passed {
			granted++
		}
		for i, g := range j.groups {
			into[g.steps[0].claims[k]] = outcomes[i]
			if passed {
				changes[i].granted += outcomes[i].Granted
			}
		}
	}
	if granted != j.granted {
		return nil, true, ErrAnswer
	}
	for i := range held {
		changes[i].after = held[i].State
	}
	if granted == 0 {
		changes = nil
	}
	return changes, true, nil
}
