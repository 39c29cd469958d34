package record

import "github.com/stint-go/stint"

// Earlier finds the values of a limit, compiled, that a record was written under. It is asked only when they are not the limit's
// own and the record still says something.
type Earlier func(l *stint.Limit, variant uint64) (*stint.Limit, error)

// Step does one operation on the key at the instant now. It says whether the record changed and is to be written: a refusal or a
// look changes nothing. An operation that gives back by receipt is worth nothing where [Record.Worth] says so; that the receipt is
// used once only is the store's to see to.
func (r *Record) Step(l *stint.Limit, now int64, op stint.Op, earlier Earlier) (o stint.Outcome, changed bool) {
	if now < 0 || now > stint.MaxInstant {
		return stint.Outcome{Err: stint.ErrClock}, false
	}
	kind := op.Kind()
	if r.Blocked > now && (kind == stint.Look || kind == stint.Grant) {
		return r.refuse(l, now, op, earlier), false
	}
	o.Mark = stint.NewMark(now)
	if kind == stint.Refund && !r.Worth(l, op.Wait, now) {
		return o, false
	}
	var before, after stint.State
	if before, o.Err = r.lent(l, now, op, earlier); o.Err != nil {
		return o, false
	}
	after, o.Answer = l.Strategy.Apply(before, l, now, op)
	if after == before && kind != stint.Clear {
		return o, false
	}
	r.put(l, after, now, kind)
	return o, true
}

// refuse is the answer for a key that is blocked: it waits until the block ends, or longer if the limit has no room then.
func (r *Record) refuse(l *stint.Limit, now int64, op stint.Op, earlier Earlier) stint.Outcome {
	s, err := r.lent(l, now, stint.LookOp(op.Min), earlier)
	if err != nil {
		return stint.Outcome{Err: err}
	}
	_, a := l.Strategy.Apply(s, l, now, stint.LookOp(op.Min))
	if a.Wait < stint.Forever {
		a.Wait = max(a.Wait-op.Wait, r.Blocked-now)
	}
	a.Granted, a.Remaining = 0, 0
	a.Reset = max(a.Reset, a.Wait)
	return stint.Outcome{Answer: a, Mark: stint.NewMark(now).Blocked()}
}

// lent is the key's state under the limit, with the cells that the operation may need.
func (r *Record) lent(l *stint.Limit, now int64, op stint.Op, earlier Earlier) (stint.State, error) {
	s := r.State
	switch {
	case s.Forgettable(now) && r.Variant != l.Variant():
		s = stint.State{}
	case r.Variant != l.Variant():
		from, err := earlier(l, r.Variant)
		if err != nil {
			return s, err
		}
		s = l.CarryFrom(from, s, now)
	}
	return l.Lend(s, op), nil
}

// put makes the state after an operation the record's.
func (r *Record) put(l *stint.Limit, s stint.State, now int64, kind stint.OpKind) {
	r.Variant, r.State = l.Variant(), l.Trim(s)
	if r.Blocked <= now {
		r.Blocked = 0
	}
	if kind == stint.Clear {
		r.Reset = now
	} else if r.Reset != 0 && r.Reset+l.Horizon() <= now {
		r.Reset = 0
	}
}
