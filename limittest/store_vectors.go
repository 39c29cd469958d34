package limittest

import (
	"bytes"
	"errors"
	"testing"
)

// storeVectors replays every trace of the kit that is made of operations on limits.
func storeVectors(t *testing.T, s *shelf) {
	vectors, err := ReadVectors(bytes.NewReader(Vectors))
	if err != nil {
		t.Fatal(err)
	}
	for i := range vectors {
		v := &vectors[i]
		if DiffersOnPurpose(v) != "" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			if err := s.replay(t, v); err != nil {
				t.Error(err)
			}
		})
	}
}

// replay replays a trace on a new store. A trace that cannot be replayed here is logged.
func (s *shelf) replay(t *testing.T, v *Vector) error {
	store, clock := s.store(t)
	return logged(t, replayOn(v, &storeAccounts{shelf: s, store: store, clock: clock}))
}

// logged logs an error that is none of the implementation's, and returns any other.
func logged(t *testing.T, err error) error {
	var later errLater
	if errors.As(err, &later) || errors.Is(err, errLawThree) {
		t.Log(err)
		return nil
	}
	return err
}

// ReplayVector replays a trace on the strategies alone. replayed is false for a trace that asks for what a strategy does not
// do.
func ReplayVector(v *Vector) (replayed bool, err error) {
	err = replayOn(v, &pureAccounts{})
	return told(err)
}

// ReplayVectorOn replays a trace on a store made by open, as ReplayVector does.
func ReplayVectorOn(t *testing.T, open Open, v *Vector) (replayed bool, err error) {
	s := newShelf(StoreOptions{}, open)
	store, clock := s.store(t)
	return told(replayOn(v, &storeAccounts{shelf: s, store: store, clock: clock}))
}

func told(err error) (bool, error) {
	var later errLater
	switch {
	case errors.As(err, &later):
		return false, nil
	case errors.Is(err, errLawThree):
		return true, nil
	}
	return true, err
}
