package record

import "github.com/stint-go/stint"

// StepAll does the operations of a call with several claims at the instant now, all or none, as [stint.Store.All] says. records[i]
// is that of claims[i], held still by the store. If the call is granted the records of all claims but looks are to be written;
// else none has changed.
func StepAll(claims []stint.Claim, records []*Record, now int64, earlier Earlier, into []stint.Outcome) (granted bool, err error) {
	if now < 0 || now > stint.MaxInstant {
		return false, stint.ErrClock
	}
	var few [4]stint.Held
	keys, blocked := few[:0], false
	for i := range claims {
		c := &claims[i]
		s, err := records[i].lent(c.Limit, now, c.Op, earlier)
		if err != nil {
			return false, err
		}
		keys = append(keys, stint.Held{State: s, Mark: stint.NewMark(now)})
		blocked = blocked || records[i].Blocked > now
	}
	if blocked {
		return false, lookAll(claims, records, now, earlier, into)
	}
	if !stint.DecideAll(claims, keys, into) {
		return false, nil
	}
	for i := range claims {
		if c := &claims[i]; c.Op.Max != 0 {
			records[i].put(c.Limit, keys[i].State, now, c.Op.Kind())
		}
	}
	return true, nil
}

// lookAll says what each claim would have got of a call that is refused because a key is blocked.
func lookAll(claims []stint.Claim, records []*Record, now int64, earlier Earlier, into []stint.Outcome) error {
	for i := range claims {
		c, o := &claims[i], &into[i]
		*o, _ = records[i].Step(c.Limit, now, stint.LookOp(c.Op.Min), earlier)
		if o.Err != nil {
			return o.Err
		}
		if o.Wait == 0 && c.Op.Max > 0 {
			o.Granted = c.Op.Min
		}
	}
	return nil
}
