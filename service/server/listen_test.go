package server

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// recordedConn knows its deadline of writes.
type recordedConn struct {
	net.Conn
	until time.Time
	set   int
}

func (c *recordedConn) Write(p []byte) (int, error) {
	if !c.until.IsZero() && !time.Now().Before(c.until) {
		return 0, errors.New("too late")
	}
	return len(p), nil
}

func (c *recordedConn) SetDeadline(t time.Time) error { return c.SetWriteDeadline(t) }

func (c *recordedConn) SetWriteDeadline(t time.Time) error {
	c.until = t
	c.set++
	return nil
}

// Every write may stand still for as long as silence and no longer than an eighth more, though few set a deadline.
func TestWritesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const silence = time.Minute
		under := &recordedConn{}
		conn := &boundedConn{Conn: under, silence: silence, opened: time.Now()}
		write := func() {
			t.Helper()
			if _, err := conn.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if left := time.Until(under.until); left < silence || left > silence+silence/8 {
				t.Fatalf("a write may take %v", left)
			}
		}
		for range 100 {
			write()
			_ = conn.SetWriteDeadline(time.Time{}) // as net/http does after each request
			time.Sleep(time.Second)
		}
		if under.set > 100/7+1 {
			t.Errorf("100 writes have set %d deadlines", under.set)
		}
		time.Sleep(time.Hour)
		write()
		for _, set := range []func(time.Time) error{conn.SetDeadline, conn.SetWriteDeadline} {
			soon := time.Now().Add(time.Second)
			if _ = set(soon); !under.until.Equal(soon) {
				t.Errorf("a deadline at %v is %v", soon, under.until)
			}
			if _ = set(time.Time{}); !under.until.IsZero() {
				t.Errorf("no deadline is %v", under.until)
			}
			write()
		}
	})
}
