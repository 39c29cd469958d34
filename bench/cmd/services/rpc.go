package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rpcDoor asks envoy.service.ratelimit.v3.RateLimitService through gRPC, with messages that are written out beforehand, all in flight
// as streams of one connection. It speaks frames itself, since a whole client would cost the machine as much as the server does.
func rpcDoor(address string, descriptors int) func(context.Context, int) (asker, error) {
	messages := make([][]byte, users)
	for i := range messages {
		message := field(nil, 1, []byte("bench"))
		for k := range descriptors {
			entry := field(field(nil, 1, []byte("user")), 2, []byte(strconv.Itoa((i+k)%users)))
			message = field(message, 2, field(nil, 1, entry))
		}
		messages[i] = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	}
	return func(ctx context.Context, inFlight int) (asker, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return newRPCLine(conn, address, messages, inFlight)
	}
}

// field appends a field of a message: a text, or a message.
func field(dst []byte, number byte, value []byte) []byte {
	return append(binary.AppendUvarint(append(dst, number<<3|2), uint64(len(value))), value...)
}

// rpcLine is a connection.
type rpcLine struct {
	conn     net.Conn
	from     *bufio.Reader
	to       *bufio.Writer
	frames   *http2.Framer
	headers  []byte // of a request
	messages [][]byte
	inFlight int
	stream   uint32 // the last one
	window   int    // bytes that the server takes
	begun    map[uint32]time.Time
}

func newRPCLine(conn net.Conn, address string, messages [][]byte, inFlight int) (*rpcLine, error) {
	l := &rpcLine{
		conn: conn, from: bufio.NewReaderSize(conn, 64<<10), to: bufio.NewWriterSize(conn, 64<<10), messages: messages, inFlight: inFlight,
		window: 65535, begun: map[uint32]time.Time{},
	}
	l.frames = http2.NewFramer(l.to, l.from)
	l.frames.SetReuseFrames()
	l.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	encoder.SetMaxDynamicTableSize(0) // so that the same bytes serve every request
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"}, {":authority", address},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return nil, err
		}
	}
	l.headers = headers.Bytes()
	_, err := l.to.WriteString(http2.ClientPreface)
	return l, errors.Join(err,
		l.frames.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}),
		l.frames.WriteWindowUpdate(0, 1<<30)) // more than is answered in a run
}

func (l *rpcLine) close() { _ = l.conn.Close() }

func (l *rpcLine) run(span time.Duration) (took []time.Duration, err error) {
	until := time.Now().Add(span)
	for now := time.Now(); ; {
		for len(l.begun) < l.inFlight && now.Before(until) && l.window >= len(l.next()) {
			if err := l.begin(now); err != nil {
				return nil, err
			}
		}
		if len(l.begun) == 0 && !now.Before(until) {
			return took, nil
		}
		if l.from.Buffered() == 0 {
			if err := l.to.Flush(); err != nil {
				return nil, err
			}
		}
		ended, err := l.read()
		if err != nil {
			return nil, err
		}
		if ended != 0 {
			now = time.Now()
			took = append(took, now.Sub(l.begun[ended]))
			delete(l.begun, ended)
		}
	}
}

// next is the message of the next call.
func (l *rpcLine) next() []byte { return l.messages[(l.stream+1)/2%users] }

// begin sends the next call.
func (l *rpcLine) begin(now time.Time) error {
	message := l.next()
	if l.stream == 0 {
		l.stream = 1
	} else {
		l.stream += 2
	}
	l.begun[l.stream] = now
	l.window -= len(message)
	return errors.Join(
		l.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: l.stream, BlockFragment: l.headers, EndHeaders: true}),
		l.frames.WriteData(l.stream, true, message))
}

// read reads a frame. It tells which call it ends, if it does: each has to be granted.
func (l *rpcLine) read() (ended uint32, err error) {
	frame, err := l.frames.ReadFrame()
	if err != nil {
		return 0, err
	}
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return 0, l.frames.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return 0, l.frames.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			l.window += int(f.Increment)
		}
	case *http2.DataFrame:
		if text := f.Data(); len(text) < 7 || text[5] != 1<<3 || text[6] != 1 { // overall_code: OK
			return 0, fmt.Errorf("answered %q", text)
		}
	case *http2.MetaHeadersFrame:
		for _, h := range f.Fields {
			if h.Name == "grpc-status" && h.Value != "0" {
				return 0, fmt.Errorf("answered %v", f.Fields)
			}
		}
		if f.StreamEnded() {
			return f.StreamID, nil
		}
	case *http2.RSTStreamFrame, *http2.GoAwayFrame:
		return 0, fmt.Errorf("answered %v", f)
	}
	return 0, nil
}
