package stint

import (
	"context"
	"runtime"
	"unsafe"
)

// grip is one claim's slot, held by a call with several claims.
type grip struct {
	t     *table
	p     *slot
	word  uint64
	hash  uint64
	now   int64
	claim int
}

// All implements [Store]. The slots are held in the order of their addresses, so that calls with the same claims in another
// order wait for each other and never in a circle.
func (m *Memory) All(ctx context.Context, claims []Claim, into []Outcome) error {
	if m.allWarm(claims, into) {
		return nil
	}
	var few [fewClaims]grip
	var fewKeys [fewClaims]Held
	grips, keys := few[:0], fewKeys[:min(len(claims), fewClaims)]
	if len(claims) > len(few) {
		grips, keys = make([]grip, 0, len(claims)), make([]Held, len(claims))
	}
	foreign, blocked := false, false
	now, err := m.nowFor(&unaligned)
	if err != nil {
		return err
	}
	for i := range claims {
		c := &claims[i]
		t, err := m.table(c.Limit)
		if err != nil {
			return err
		}
		g := grip{t: t, hash: m.seed.hash(c.Key), claim: i, now: now}
		if c.Limit.wall {
			g.now += m.skew.Load()
		}
		if until := m.blockedUntil(c); until > g.now {
			blocked = true
		}
		foreign = foreign || !c.Limit.builtin
		grips = append(grips, g)
	}
	if blocked {
		if still, err := m.allBlocked(claims, into); still || err != nil {
			return err
		}
		return m.All(ctx, claims, into) // the block has ended meanwhile
	}
	for range maxTries {
		there, err := m.locate(grips, claims, into)
		if err != nil {
			return err
		}
		if !there {
			return nil // refused without a slot made
		}
		if !hold(grips) {
			continue
		}
		if !foreign {
			for k := range grips {
				g := &grips[k]
				keys[g.claim] = Held{g.t.room(g.t.state(g.p, g.word), claims[g.claim].Op), g.p.mark(g.now)}
			}
			if DecideAll(claims, keys, into) {
				settleHeld(grips, keys)
			} else {
				letGo(grips)
			}
			return nil
		}
		// The strategy of somebody else runs on copies, with nothing held; the states must be the same afterwards.
		var before [len(few)]State
		was := append(before[:0], make([]State, len(grips))...)
		for k := range grips {
			g := &grips[k]
			was[k] = g.t.state(g.p, g.word)
			keys[g.claim] = Held{g.t.room(was[k].cloned(), claims[g.claim].Op), g.p.mark(g.now)}
		}
		letGo(grips)
		if !DecideAll(claims, keys, into) {
			return nil
		}
		if !hold(grips) {
			continue
		}
		same := true
		for k := range grips {
			same = same && grips[k].t.state(grips[k].p, grips[k].word) == was[k]
		}
		if same {
			settleHeld(grips, keys)
			return nil
		}
		letGo(grips)
	}
	return ErrContention
}

// AllInTurn implements [CallStore].
func (m *Memory) AllInTurn(ctx context.Context, claims []Claim, ends []int, into []Outcome) error {
	first := 0
	for _, end := range ends {
		outcomes := into[first:end]
		if err := m.All(ctx, claims[first:end], outcomes); err != nil {
			for i := range outcomes {
				outcomes[i] = Outcome{Err: err}
			}
		}
		first = end
	}
	return nil
}

func (m *Memory) blockedUntil(c *Claim) int64 {
	if m.unusual.Load() == 0 {
		return 0
	}
	return m.notes.blockedUntil(c.Limit.ID, c.Key)
}

// allBlocked refuses a call of which a key is blocked, and says what each claim would have got. It is false if none of them is
// blocked any more.
func (m *Memory) allBlocked(claims []Claim, into []Outcome) (blocked bool, err error) {
	for i := range claims {
		c, o := &claims[i], &into[i]
		op := c.Op
		if op.Max != 0 {
			op = LookOp(op.Min)
		}
		if o.Answer, o.Mark, err = m.oneUnusual(c.Limit, c.Key, op); err != nil {
			return false, err
		}
		blocked = blocked || o.Mark.has(markBlocked)
		if o.Wait == 0 && c.Op.Max > 0 {
			o.Granted = c.Op.Min
		}
	}
	return blocked, nil
}

// locate finds the slot of every claim. Where one is missing it first asks all claims what they would get, and makes the slots
// only if none refuses: a refusal makes no slot. It says whether the slots are there; if not, into has the refusal.
func (m *Memory) locate(grips []grip, claims []Claim, into []Outcome) (bool, error) {
	missing := false
	for k := range grips {
		g := &grips[k]
		missing = !g.find(claims) || missing
	}
	if !missing {
		return true, nil
	}
	passes, takes := true, false
	for k := range grips {
		g := &grips[k]
		c := &claims[g.claim]
		takes = takes || c.Op.Max != 0
		if c.Op.Max < 0 {
			continue // what gives back is never refused
		}
		a, mark, err := m.settle(g.t, g.hash, c.Limit, c.Key, LookOp(c.Op.Min), g.now)
		if err != nil {
			return false, err
		}
		fits := a.Wait <= c.Op.Wait
		passes = passes && fits
		if fits && c.Op.Max > 0 {
			a.Granted = c.Op.Min
		}
		into[g.claim] = Outcome{Answer: a, Mark: mark}
	}
	if !passes || !takes {
		return false, nil
	}
	for k := range grips {
		g := &grips[k]
		for !g.find(claims) {
			if err := g.make(claims); err != nil && err != errAgain {
				return false, err
			}
		}
	}
	return true, nil
}

// find looks for the claim's slot.
func (g *grip) find(claims []Claim) bool {
	c := &claims[g.claim]
	if g.t.retired.Load() {
		t, err := g.t.store.table(c.Limit)
		if err != nil {
			return false
		}
		g.t = t
	}
	d := g.t.dir.Load()
	g.p = g.t.find(d.segment(g.hash), g.hash, c.Key)
	return g.p != nil && g.p.word.Load() != moved
}

// make puts the claim's key into its table, with the state that it begins from.
func (g *grip) make(claims []Claim) error {
	c := &claims[g.claim]
	if g.p == nil && !g.t.family.several() {
		st, approximate := g.t.remembered(g.hash, g.now)
		return g.t.create(g.hash, c.Key, st, st, approximate, g.now)
	}
	stripe := g.t.family.stripe(g.hash)
	stripe.Lock()
	defer stripe.Unlock()
	if !g.t.vacant(g.hash, c.Key) {
		return errAgain
	}
	in := g.t.inherited(g.hash, c.Limit, c.Key, g.now)
	return g.t.take(in, g.hash, c.Key, in.state, g.now)
}

// hold takes hold of every slot, or of none if one has moved to another segment.
func hold(grips []grip) bool {
	// Calls have few claims: an insertion sort that seldom moves one.
	for k := 1; k < len(grips); k++ {
		for j := k; j > 0 && uintptr(unsafe.Pointer(grips[j].p)) < uintptr(unsafe.Pointer(grips[j-1].p)); j-- {
			grips[j], grips[j-1] = grips[j-1], grips[j]
		}
	}
	for k := range grips {
		g := &grips[k]
		for {
			g.word = g.p.word.Load()
			if g.word == frozen || g.word == moved {
				letGo(grips[:k])
				runtime.Gosched()
				return false
			}
			if g.word&held == 0 && g.p.word.CompareAndSwap(g.word, g.word|held) {
				break
			}
			runtime.Gosched()
		}
	}
	return true
}

// letGo leaves the slots as they were.
func letGo(grips []grip) {
	for k := range grips {
		grips[k].p.word.Store(grips[k].word)
	}
}

// settleHeld writes the new states and lets go.
func settleHeld(grips []grip, keys []Held) {
	for k := range grips {
		g := &grips[k]
		before, after := g.t.state(g.p, g.word), keys[g.claim].State
		g.t.store.bytes.Add(after.Log.bytes() - before.Log.bytes())
		g.t.release(g.p, after)
	}
}
