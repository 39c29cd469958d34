package httplimit

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// writer is a ResponseWriter that knows when the header goes out, to add what the exchange says of its decisions and to note
// the status. It passes on everything else; asCapable gives it the optional methods that the one underneath has.
type writer struct {
	http.ResponseWriter
	exchange *exchange // whose report is written into the header; nil for none
	status   int32     // 0 until the header is written
	implicit int32     // the status where none is set; 0 for 200
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin is called once, right before the header goes out.
func (w *writer) begin(status int) {
	w.status = int32(status)
	if w.exchange != nil {
		w.exchange.report.renderer.write(w.Header(), &w.exchange.report)
	}
}

// WriteHeader passes the status on; the informational ones before it carry no limits.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// start begins the response if nothing has yet.
func (w *writer) start() {
	switch {
	case w.status != 0:
	case w.implicit != 0:
		w.WriteHeader(int(w.implicit))
	default:
		w.begin(http.StatusOK)
	}
}

// finish is called when the handler has returned: one that wrote nothing means the implicit status.
func (w *writer) finish() { w.start() }

// Write begins the response if need be.
func (w *writer) Write(p []byte) (int, error) {
	w.start()
	return w.ResponseWriter.Write(p)
}

// WriteString is for io.WriteString.
func (w *writer) WriteString(s string) (int, error) {
	w.start()
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom is for io.Copy, so that files still go out by sendfile.
func (w *writer) ReadFrom(src io.Reader) (int64, error) {
	w.start()
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
}

// FlushError is for http.ResponseController, which must not unwrap past the header.
func (w *writer) FlushError() error {
	w.start()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// The writers with optional methods: HTTP/1 can be flushed and hijacked, HTTP/2 flushed and pushed to. Each is one pointer
// wide, so that it costs nothing to make.
type (
	flushWriter  struct{ *writer }
	hijackWriter struct{ flushWriter }
	pushWriter   struct{ flushWriter }
)

// asCapable is the writer with the optional methods of the one underneath.
func (w *writer) asCapable() http.ResponseWriter {
	if _, ok := w.ResponseWriter.(http.Flusher); !ok {
		return w
	}
	if _, ok := w.ResponseWriter.(http.Hijacker); ok {
		return hijackWriter{flushWriter{w}}
	}
	if _, ok := w.ResponseWriter.(http.Pusher); ok {
		return pushWriter{flushWriter{w}}
	}
	return flushWriter{w}
}

func (w flushWriter) Flush() {
	w.start()
	w.ResponseWriter.(http.Flusher).Flush()
}

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols // the handler writes its own response; most likely this one
	}
	return c, rw, err
}

func (w pushWriter) Push(target string, o *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, o)
}
