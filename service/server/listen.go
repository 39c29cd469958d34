package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// explain says what to do about an address that cannot be had.
func explain(address string, err error) error {
	advice := "give host:port or :port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program listens there; stop it or choose another port (0 takes a free one)"
	case errors.Is(err, syscall.EACCES):
		advice = "ports below 1024 need privileges; choose a higher one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine does not have that address"
	}
	return fmt.Errorf("cannot listen on %q: %w: %s", address, cause(err), advice)
}

// cause is the error without the operation and address that the message names already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if address, ok := errors.AsType[*net.AddrError](err); ok {
		return errors.New(address.Err)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// boundedListener accepts at most so many connections at a time.
type boundedListener struct {
	net.Listener
	places  chan struct{}
	closed  chan struct{}
	close   sync.Once
	silence time.Duration
}

func bounded(l net.Listener, connections int, silence time.Duration) net.Listener {
	return &boundedListener{
		Listener: l,
		places:   make(chan struct{}, connections),
		closed:   make(chan struct{}),
		silence:  silence,
	}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &boundedConn{Conn: conn, silence: l.silence, opened: time.Now(), leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *boundedListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// boundedConn is a connection on which no write may stand still for longer than silence and an eighth of it. Reads are bounded where it
// is known what is read: headers by the server, bodies by patientBody.
type boundedConn struct {
	net.Conn
	silence time.Duration
	leave   func()
	opened  time.Time
	until   atomic.Int64 // the deadline of writes, in nanoseconds since opened; 0 if it is not this one's
}

// Write has a new deadline only where that of an earlier write would come too soon: one for each write costs as much as the decision of
// a small request.
func (c *boundedConn) Write(p []byte) (int, error) {
	now := time.Since(c.opened)
	if time.Duration(c.until.Load())-now < c.silence {
		until := now + c.silence + c.silence/8
		if err := c.Conn.SetWriteDeadline(c.opened.Add(until)); err != nil {
			return 0, err
		}
		c.until.Store(int64(until))
	}
	return c.Conn.Write(p)
}

// SetDeadline and SetWriteDeadline hold until the next write, which sets its own.
func (c *boundedConn) SetDeadline(t time.Time) error {
	defer c.until.Store(0)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline is as SetDeadline. That there is none, which the server says after each request, leaves the one for the next write.
func (c *boundedConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.until.Load() != 0 {
		return nil
	}
	defer c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite ends one direction, which upgraded connections may use.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
