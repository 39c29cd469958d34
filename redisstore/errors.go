package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/stint-go/stint"
)

// The errors of a call besides stint's own. Test for one with [errors.Is]; the cause is wrapped, too.
const (
	// ErrUnreachable: the server did not do the call within its deadline, and nothing was taken.
	ErrUnreachable stint.Error = "stint: redis: the server cannot be reached or cannot serve now; nothing was taken"

	// ErrUnknown: the call was sent and its answer did not come. If the server did it the units stay charged.
	ErrUnknown stint.Error = "stint: redis: no answer to a call that was sent; what it may have taken stays charged"

	// ErrForbidden: the user lacks a privilege.
	ErrForbidden stint.Error = "stint: redis: the user may not do this; allow it the keys stint:* and the commands in the documentation of New"

	// ErrForeign: a key of ours holds something that is not ours.
	ErrForeign stint.Error = "stint: redis: a key under stint: holds something else than a record; use another database or remove it"

	// ErrAnswer: what answered is not Redis, or not as it should.
	ErrAnswer stint.Error = "stint: redis: the answer is not what the script gives; check that the address is that of a Redis server"
)

// told is the error as a caller gets it.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.ErrClosed):
		return stint.ErrClosed
	case says(err, "STINTCLOCK"):
		return stint.ErrClock
	case says(err, "NOPERM"), says(err, "NOAUTH"), says(err, "WRONGPASS"), strings.Contains(err.Error(), "ACL failure in script"):
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	case says(err, "WRONGTYPE"):
		return fmt.Errorf("%w: %w", ErrForeign, err)
	case notRun(err):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case isServers(err):
		return fmt.Errorf("stint: redis: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// notSent is why a call was not sent at all.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// notRun says whether the server surely did not do what failed so, and may do it later or elsewhere.
func notRun(err error) bool {
	var op *net.OpError
	var unsent notSent
	switch {
	case errors.As(err, &unsent):
		return true
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return true
	}
	for _, sign := range []string{
		"NOSCRIPT", "LOADING", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "ASK", "NOREPLICAS", "MISCONF", "OOM", "BUSY",
		"ERR max number of clients reached",
	} {
		if says(err, sign) {
			return true
		}
	}
	return false
}

// passes says whether a failure of that kind may pass soon, so that it is worth another try.
func passes(err error) bool { return notRun(err) && !says(err, "OOM") && !says(err, "MISCONF") }

// says says whether the server's error begins with a sign, be it that the script met it.
func says(err error, sign string) bool {
	var e redis.Error
	if !errors.As(err, &e) {
		return false
	}
	text := strings.TrimPrefix(e.Error(), "ERR Error running script (call to ")
	return strings.HasPrefix(text, sign) || strings.Contains(text, "-"+sign+" ")
}

// isServers says whether the server itself answered with the error.
func isServers(err error) bool {
	var e redis.Error
	return errors.As(err, &e) && !errors.Is(err, redis.Nil)
}
