package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// wireTake is the body of a take, a peek, a reservation and an explanation.
type wireTake struct {
	wireCall
	Calls   []wireCall `json:"calls"`
	DryRun  bool       `json:"dry_run"`
	Receipt bool       `json:"receipt"` // give a receipt for what is granted
}

// wireCall is one call: a claim, several, or a request that the policy decides.
type wireCall struct {
	wireClaim
	Claims  []wireClaim  `json:"claims"`
	Request *wireRequest `json:"request"`
}

// wireClaim is a limit, a key and a cost.
type wireClaim struct {
	Limit *limitName `json:"limit"`
	Key   keyParts   `json:"key"`
	Plan  string     `json:"plan"` // whose value of the limit holds
	Cost  *int64     `json:"cost"` // 1 unless said
}

// limitName is a limit of the policy by its id, or a limit of the caller's own.
type limitName struct {
	ID   string `json:"id"`
	Rate string `json:"rate"`
}

// UnmarshalJSON reads an id, or an object with id and rate.
func (l *limitName) UnmarshalJSON(text []byte) error {
	if id, ok := plain(text); ok {
		l.ID = id
		return nil
	}
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &l.ID)
	}
	type object limitName
	return strict(text, (*object)(l))
}

// keyParts are the parts of a key; most have one.
type keyParts []string

// UnmarshalJSON reads a text, or a list of texts.
func (k *keyParts) UnmarshalJSON(text []byte) error {
	if part, ok := plain(text); ok {
		*k = keyParts{part}
		return nil
	}
	if len(text) > 0 && text[0] == '"' {
		*k = make(keyParts, 1)
		return json.Unmarshal(text, &(*k)[0])
	}
	return json.Unmarshal(text, (*[]string)(k))
}

// plain is a JSON string that stands for itself, as most do: of printable ASCII, and nothing escaped.
func plain(text []byte) (string, bool) {
	last := len(text) - 1
	if last < 1 || text[0] != '"' || text[last] != '"' {
		return "", false
	}
	for _, c := range text[1:last] {
		if !stands(c) {
			return "", false
		}
	}
	return string(text[1:last]), true
}

// stands is whether a byte of a JSON string stands for itself.
func stands(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' }

// wireRequest describes a request.
type wireRequest struct {
	Method  string            `json:"method"`
	Host    string            `json:"host"`
	Path    string            `json:"path"`
	Address string            `json:"address"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	Cookies map[string]string `json:"cookies"`
	User    string            `json:"user"`
	Plan    string            `json:"plan"`
	APIKey  string            `json:"api_key"` // is looked up, and says user and plan
}

// strict reads an object that may hold no field that is not known.
func strict(text []byte, into any) error {
	from := json.NewDecoder(bytes.NewReader(text))
	from.DisallowUnknownFields()
	return from.Decode(into)
}

// decode reads an object that may hold no field that is not known, and nothing behind it.
func decode(body io.Reader, into any) error {
	from := json.NewDecoder(body)
	from.DisallowUnknownFields()
	if err := from.Decode(into); err != nil {
		return err
	}
	if _, err := from.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind the object")
	}
	return nil
}

// readTake reads the body of a request into a take.
func readTake(w http.ResponseWriter, r *http.Request) (*wireTake, error) {
	buffer := buffers.Get().(*[]byte)
	body := bytes.NewBuffer((*buffer)[:0])
	defer func() {
		if b := body.Bytes(); cap(b) <= maxKept {
			*buffer = b[:0]
			buffers.Put(buffer)
		}
	}()
	from := r.Body
	if r.ContentLength < 0 || r.ContentLength > MaxBody { // else it ends there
		from = http.MaxBytesReader(w, from, MaxBody)
	}
	if _, err := body.ReadFrom(from); err != nil {
		return nil, unreadable(err)
	}
	take := new(wireTake)
	if quick(body.Bytes(), take) {
		return take, nil
	}
	*take = wireTake{}
	if err := decode(bytes.NewReader(body.Bytes()), take); err != nil {
		return nil, unreadable(err)
	}
	return take, nil
}

// read reads the body of a request.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	if err := decode(http.MaxBytesReader(w, r.Body, MaxBody), into); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable is the refusal of a body.
func unreadable(err error) error {
	var large *http.MaxBytesError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", MaxBody))
	case errors.As(err, &syntax):
		return refuse(http.StatusBadRequest, fmt.Sprintf("the body is no JSON: %v at byte %d", err, syntax.Offset))
	case errors.As(err, &kind):
		return refuse(http.StatusBadRequest, fmt.Sprintf("the field %q is a %s, at byte %d; wanted is a %s", kind.Field, kind.Value, kind.Offset, kind.Type))
	case errors.Is(err, io.EOF):
		return refuse(http.StatusBadRequest, "there is no body; send an object such as {\"limit\": \"ID\", \"key\": \"alice\"}")
	}
	return refuse(http.StatusBadRequest, fmt.Sprintf("the body cannot be read: %v", err))
}
