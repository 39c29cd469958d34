package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/record"
)

// receiptLife is how long receipts and reservations are taken back.
const receiptLife = 24 * time.Hour

// The kinds of signed text.
const (
	kindReceipt     = "r"
	kindReservation = "v"
)

// signed is what a receipt or a reservation holds.
type signed struct {
	Kind  string `json:"k"`
	User  string `json:"u"`
	Until int64  `json:"t"` // seconds since 1970
	Parts []part `json:"p"`
}

// part is what was taken of one limit.
type part struct {
	Limit exact  `json:"l"`
	Value string `json:"v"` // the limit's value as a text
	Base  uint64 `json:"b"` // the variant of the limit in the policy, by which a change is seen
	Key   exact  `json:"y"`
	N     int64  `json:"n"`
	At    int64  `json:"a"`
	Nonce uint64 `json:"o"`
}

// exact is a text that JSON keeps as it is, also where it is no UTF-8, as a key of long parts is not: then it is a list of its bytes.
type exact string

// MarshalJSON writes it.
func (e exact) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(e)) {
		return json.Marshal(string(e))
	}
	return json.Marshal([][]byte{[]byte(e)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (e *exact) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] != '[' {
		return json.Unmarshal(text, (*string)(e))
	}
	var bytes [1][]byte
	err := json.Unmarshal(text, &bytes)
	*e = exact(bytes[0])
	return err
}

// signer signs texts, so that what comes back is what was given.
type signer struct{ secret []byte }

// signedPrefix is the version of the form.
const signedPrefix = "s1."

func (s signer) sign(what signed) (string, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	return signedPrefix + base64.RawURLEncoding.EncodeToString(append(s.mac(text), text...)), nil
}

func (s signer) mac(text []byte) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write(text)
	return h.Sum(nil)
}

// open reads a text that this signer, or one with the same secret, has signed.
func (s signer) open(text string) (what signed, ok bool) {
	body, versioned := strings.CutPrefix(text, signedPrefix)
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if !versioned || err != nil || len(raw) < sha256.Size || !hmac.Equal(raw[:sha256.Size], s.mac(raw[sha256.Size:])) {
		return what, false
	}
	return what, json.Unmarshal(raw[sha256.Size:], &what) == nil
}

// receipt is a signed text for what a caller was granted; "" if nothing was.
func (a *api) receipt(of *asked, kind string, claims []stint.Claim, decisions []stint.Decision) (string, error) {
	what := signed{Kind: kind, User: of.caller.User, Until: a.Now().Add(receiptLife).Unix()}
	seen := map[stint.Receipt]bool{}
	for i := range decisions {
		receipt, ok := decisions[i].Receipt()
		if d := &decisions[i]; !ok && kind == kindReservation && claims[i].Op.Max == 0 && d.Allowed && d.Reason != stint.Degraded {
			// Nothing was taken yet, and a commit can still charge. The number tells this reservation from others.
			receipt, ok = stint.Receipt{Key: claims[i].Key, Nonce: rand.Uint64()}, true
		}
		if !ok || seen[receipt] {
			continue
		}
		seen[receipt] = true
		limit := claims[i].Limit
		if _, candidate := policy.CandidateOf(limit.ID); candidate {
			continue
		}
		one := part{exact(limit.ID), limit.String(), 0, exact(receipt.Key), receipt.N, receipt.At, receipt.Nonce}
		if l := of.policy.Limit(limit.ID); l != nil && l.Value != nil {
			one.Base = l.Value.Variant()
		}
		what.Parts = append(what.Parts, one)
	}
	if len(what.Parts) == 0 {
		return "", nil
	}
	return a.signer.sign(what)
}

// limitOf is the limit that a part was taken of; nil if it has changed since, and the part is worth nothing any more.
func (a *api) limitOf(p *policy.Policy, one *part) *stint.Limit {
	if strings.HasPrefix(string(one.Limit), ownMark) {
		value, err := stint.ParseLimit(one.Value)
		if err != nil {
			return nil
		}
		value.ID = string(one.Limit)
		compiled, err := value.Compile()
		if err != nil {
			return nil
		}
		return compiled
	}
	l := p.Limit(string(one.Limit))
	if l == nil {
		return nil
	}
	base := uint64(0)
	if l.Value != nil {
		base = l.Value.Variant()
	}
	if base != one.Base {
		return nil
	}
	if l.Value != nil && l.Value.String() == one.Value {
		return l.Value
	}
	value, err := l.Own(one.Value)
	if err != nil {
		return nil
	}
	return value
}

// opened reads a receipt or a reservation that a caller sends.
func (a *api) opened(by *policy.Caller, kind, word, text string) (signed, error) {
	what, ok := a.signer.open(text)
	switch {
	case text == "":
		return what, wrong(word, "it is missing")
	case !ok || what.Kind != kind || what.User != by.User:
		return what, refuse(http.StatusBadRequest, "the "+word+" is not one that this service has given to this user")
	case a.Now().Unix() >= what.Until:
		return what, refuse(http.StatusGone, "the "+word+" is older than a day: what was taken stays charged")
	}
	return what, nil
}

// settle brings what was taken to what it has cost, part by part, once. Where the store fails in between, the same may be asked again: it
// does what is still to be done.
func (a *api) settle(w http.ResponseWriter, r *asked, what signed, costs []int64) error {
	if len(what.Parts) == 0 {
		sendSettled(w, 0, 0, false)
		return nil
	}
	// Remembered first: a process that dies in between leaves the units charged, and none is given back twice.
	key := settledKey(&what)
	var decided [2]stint.Decision
	fresh, err := a.remember(r, decided[:], key, stint.Key(append(stint.KeyParts(key), fmt.Sprint(costs))...))
	if err != nil {
		return err
	}
	if !fresh && decided[1].Allowed {
		return refuse(http.StatusConflict, "it was settled already, at another cost")
	}
	returned, charged, voided, settled := int64(0), int64(0), false, fresh
	for i := range what.Parts {
		one, actual := &what.Parts[i], costs[i]
		limit := a.limitOf(r.policy, one)
		switch {
		case limit == nil:
			voided = true
		case actual < one.N: // which the store does once for a receipt
			given, _, err := a.Store.Refund(r.Context(), limit, string(one.Key), stint.RefundOp(one.N-actual, one.At), one.Nonce)
			if errors.Is(err, stint.ErrReceiptUsed) {
				continue
			}
			if err != nil {
				return err
			}
			// One that is worth nothing any more is not remembered, and gives nothing each time.
			returned, settled = max(returned, given.Granted), settled || given.Granted > 0
		case actual > one.N:
			fresh, err := a.chargeOnce(r, limit, string(one.Key), actual-one.N, chargedKey(&what, i))
			if err != nil {
				return err
			}
			if !fresh {
				continue
			}
			charged, settled = max(charged, actual-one.N), true
		}
	}
	if !settled {
		return refuse(http.StatusConflict, "it was settled already")
	}
	sendSettled(w, returned, charged, voided)
	return nil
}

func sendSettled(w http.ResponseWriter, returned, charged int64, voided bool) {
	send(w, func(dst []byte) []byte {
		text, _ := json.Marshal(struct { // which always has a form
			Returned int64 `json:"returned"`
			Charged  int64 `json:"charged"`
			Voided   bool  `json:"voided,omitempty"`
		}{returned, charged, voided})
		return append(dst, text...)
	})
}

// chargeOnce charges n units, in one step with the marker that says so: a try whose answer was lost has done both or none of them, and
// the next one sees which. It is false if it was done before.
func (a *api) chargeOnce(r *asked, limit *stint.Limit, key string, n int64, name string) (bool, error) {
	claims := [2]stint.Claim{stint.NewClaim(a.settled, name, 1), {Limit: limit, Key: key, Op: stint.ChargeOp(n)}}
	var decided [2]stint.Decision
	took, err := a.Limiter.TakeAll(r.Context(), claims[:], decided[:])
	marker := decided[0]
	switch {
	case err != nil || took.Allowed || took.Reason == stint.Degraded:
		return firstTime(took, marker.Allowed, err)
	case !marker.Allowed: // whatever the key says, which may be blocked, too
		return firstTime(marker, false, nil)
	}
	// The key is blocked, which refuses every call. What was used is charged all the same, by itself.
	if fresh, err := a.remember(r, decided[:1], name); err != nil || !fresh {
		return false, err
	}
	_, _, err = a.Store.One(r.Context(), limit, key, stint.ChargeOp(n))
	return err == nil, err
}

// remember remembers all of the keys, or none where one of them was remembered before: then it is false, and the decisions say which.
func (a *api) remember(r *asked, decisions []stint.Decision, keys ...string) (bool, error) {
	claims := make([]stint.Claim, len(keys))
	for i, key := range keys {
		claims[i] = stint.NewClaim(a.settled, key, 1)
	}
	took, err := a.Limiter.TakeAll(r.Context(), claims, decisions)
	return firstTime(took, decisions[0].Allowed, err)
}

// firstTime is what the decision about a call's markers says, of which the first would have passed alone or not.
func firstTime(took stint.Decision, first bool, err error) (bool, error) {
	switch {
	case err != nil || took.Allowed:
		return err == nil, err
	case took.Reason == stint.Degraded:
		return false, ErrStoreLost
	case took.Approximate, first:
		return false, refuse(http.StatusServiceUnavailable, "the store is full, and whether it was settled already is not known any more: what was taken stays charged for now")
	}
	return false, nil
}

// settledKey is what is remembered of a receipt or reservation. It lies in one slot with the first key of which was taken.
func settledKey(what *signed) string {
	return stint.Key(record.Subject(string(what.Parts[0].Key)), "settled", what.name())
}

// chargedKey is what is remembered of a charge for the part i. It lies in one slot with the key that is charged.
func chargedKey(what *signed, i int) string {
	return stint.Key(record.Subject(string(what.Parts[i].Key)), "charged", what.name(), strconv.Itoa(i))
}

// name tells a receipt or reservation from all others.
func (s *signed) name() string {
	sum := sha256.New()
	for i := range s.Parts {
		text, _ := json.Marshal(&s.Parts[i])
		sum.Write(text)
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:16])
}
