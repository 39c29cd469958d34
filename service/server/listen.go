package server

import (
	"errors"
	"fmt"
	"net"
	"sync"
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
	return &boundedConn{Conn: conn, silence: l.silence, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *boundedListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// boundedConn is a connection on which no write may stand still for longer than silence. Reads are bounded where it is known
// what is read: headers by the server, bodies by patientBody.
type boundedConn struct {
	net.Conn
	silence time.Duration
	leave   func()
}

func (c *boundedConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
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
