package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/stint-go/stint"
)

// wireManage is the body of a block and a reset.
type wireManage struct {
	Limit   *limitName `json:"limit"`
	Key     keyParts   `json:"key"`
	Plan    string     `json:"plan"`
	Seconds *float64   `json:"seconds"` // of a block; 0 lifts it
}

// maxBlock is the longest block.
const maxBlock = 366 * 24 * time.Hour

// managed reads what is to be managed.
func (a *api) managed(w http.ResponseWriter, r *asked) (body wireManage, limit *stint.Limit, key string, err error) {
	if err = read(w, r.Request, &body); err != nil {
		return body, nil, "", err
	}
	claim, err := a.claim(r, &wireClaim{Limit: body.Limit, Key: body.Key, Plan: body.Plan}, place{})
	if err == nil && claim.Limit == nil {
		err = wrong("limit", "it is unlimited for that plan")
	}
	return body, claim.Limit, claim.Key, err
}

func (a *api) block(w http.ResponseWriter, r *asked) error {
	body, limit, key, err := a.managed(w, r)
	if err != nil {
		return err
	}
	if body.Seconds == nil || *body.Seconds < 0 || *body.Seconds > maxBlock.Seconds() {
		return wrong("seconds", fmt.Sprintf("for how long, from 0 (which lifts the block) to %.0f", maxBlock.Seconds()))
	}
	if err := a.Store.Block(r.Context(), limit, key, time.Duration(*body.Seconds*float64(time.Second))); err != nil {
		return err
	}
	done(w)
	return nil
}

func (a *api) reset(w http.ResponseWriter, r *asked) error {
	body, limit, key, err := a.managed(w, r)
	if err != nil {
		return err
	}
	if body.Seconds != nil {
		return wrong("seconds", "they are for blocks")
	}
	if _, _, err := a.Store.One(r.Context(), limit, key, stint.ResetOp()); err != nil {
		return err
	}
	done(w)
	return nil
}

func done(w http.ResponseWriter) {
	send(w, func(dst []byte) []byte { return append(dst, `{"done":true}`...) })
}
