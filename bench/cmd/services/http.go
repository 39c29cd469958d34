package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// httpDoor asks with HTTP/1.1 requests that are written out beforehand, one in flight on each connection. The client shares the
// machine with the servers, so it does no more than it must.
func httpDoor(address, path, header string, body func(user int) string, wanted string) func(context.Context, int) (asker, error) {
	if header != "" {
		header += "\r\n"
	}
	requests := make([][]byte, users)
	for i := range requests {
		text := body(i)
		requests[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", path, address, header, len(text), text)
	}
	return func(ctx context.Context, inFlight int) (asker, error) {
		all := &httpAsker{}
		for i := range inFlight {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				all.close()
				return nil, err
			}
			all.lines = append(all.lines, &httpLine{conn: conn, from: bufio.NewReaderSize(conn, 16<<10), requests: requests, at: i * users / inFlight, wanted: []byte(wanted)})
		}
		return all, nil
	}
}

type httpAsker struct{ lines []*httpLine }

func (a *httpAsker) close() {
	for _, l := range a.lines {
		_ = l.conn.Close()
	}
}

func (a *httpAsker) run(span time.Duration) ([]time.Duration, error) {
	took, errs := make([][]time.Duration, len(a.lines)), make([]error, len(a.lines))
	until := time.Now().Add(span)
	var wait sync.WaitGroup
	for i, l := range a.lines {
		wait.Go(func() { took[i], errs[i] = l.run(until) })
	}
	wait.Wait()
	var all []time.Duration
	for i := range took {
		if errs[i] != nil {
			return nil, errs[i]
		}
		all = append(all, took[i]...)
	}
	return all, nil
}

// httpLine is a connection.
type httpLine struct {
	conn     net.Conn
	from     *bufio.Reader
	requests [][]byte
	at       int
	wanted   []byte
	body     []byte
}

func (l *httpLine) run(until time.Time) (took []time.Duration, err error) {
	for began := time.Now(); began.Before(until); {
		l.at++
		if _, err := l.conn.Write(l.requests[l.at%len(l.requests)]); err != nil {
			return nil, err
		}
		if err := l.answer(); err != nil {
			return nil, err
		}
		now := time.Now()
		took = append(took, now.Sub(began))
		began = now
	}
	return took, nil
}

// answer reads an answer, which has to grant everything: neither service answers 200 with a refusal but Stint to a batch.
func (l *httpLine) answer() error {
	status, err := l.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(status), "HTTP/1.1 200") {
		return fmt.Errorf("answered %q", status)
	}
	size, chunked := -1, false
	for {
		header, err := l.line()
		if err != nil {
			return err
		}
		if len(header) == 0 {
			break
		}
		if text, ok := bytes.CutPrefix(header, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(text)); err != nil {
				return err
			}
		}
		chunked = chunked || string(header) == "Transfer-Encoding: chunked"
	}
	l.body = l.body[:0]
	for chunked {
		text, err := l.line()
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(text), 16, 32)
		if err != nil {
			return err
		}
		if err := l.read(int(size)); err != nil {
			return err
		}
		if _, err := l.line(); err != nil {
			return err
		}
		chunked = size > 0
	}
	if size >= 0 {
		if err := l.read(size); err != nil {
			return err
		}
	}
	if !bytes.Contains(l.body, l.wanted) || bytes.Contains(l.body, []byte(`"allowed":false`)) {
		return fmt.Errorf("answered %q", l.body)
	}
	return nil
}

func (l *httpLine) line() ([]byte, error) {
	text, err := l.from.ReadSlice('\n')
	return bytes.TrimRight(text, "\r\n"), err
}

// read adds bytes to the body.
func (l *httpLine) read(size int) error {
	old := len(l.body)
	l.body = append(l.body, make([]byte, size)...)
	_, err := io.ReadFull(l.from, l.body[old:])
	return err
}
