package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/problem"
)

// answer answers with a value as JSON, or with what went wrong.
func answer(w http.ResponseWriter, status int, value any, err error) {
	var invalid *accounts.InvalidError
	var unread *stint.ParseError
	var body *bodyError
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(value)
	case errors.As(err, &invalid), errors.As(err, &unread):
		problem.Write(w, http.StatusUnprocessableEntity, err.Error())
	case errors.As(err, &body):
		problem.Write(w, body.status, err.Error())
	case errors.Is(err, accounts.ErrNotFound):
		problem.Write(w, http.StatusNotFound, err.Error())
	case errors.Is(err, accounts.ErrExists):
		problem.Write(w, http.StatusConflict, err.Error())
	default:
		problem.Write(w, http.StatusServiceUnavailable, "the accounts' database does not answer: "+err.Error())
	}
}

// bodyError says what is wrong with the body of a request.
type bodyError struct {
	status int
	reason string
}

func (e *bodyError) Error() string { return e.reason }

// maxBody bounds a request's body.
const maxBody = 64 << 10

// read reads a body, which may hold no field that is not known.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	from := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	from.DisallowUnknownFields()
	if err := from.Decode(into); err != nil {
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			return &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
		}
		return &bodyError{http.StatusBadRequest, fmt.Sprintf("the body cannot be read as JSON: %v", err)}
	}
	if _, err := from.Token(); !errors.Is(err, io.EOF) {
		return &bodyError{http.StatusBadRequest, "something stands behind the JSON in the body"}
	}
	return nil
}
