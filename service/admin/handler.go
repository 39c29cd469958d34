package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/problem"
)

// MinToken is the shortest token, in bytes.
const MinToken = 16

// Options say what the handler serves.
type Options struct {
	// Token is what requests must carry. Required, of at least MinToken bytes.
	Token string

	// Accounts are what is administered. Default: nothing is.
	Accounts *accounts.Accounts

	// Others are handlers by pattern, as http.ServeMux has it, that need the token, too; Open are those that do not.
	Others, Open map[string]http.Handler
}

// New is the handler.
func New(o Options) (http.Handler, error) {
	if len(o.Token) < MinToken {
		return nil, errors.New("admin: the token has less than 16 bytes; take a longer one, such as the output of: openssl rand -hex 32")
	}
	closed := http.NewServeMux()
	if o.Accounts != nil {
		(&api{o.Accounts}).routes(closed)
	}
	for pattern, h := range o.Others {
		closed.Handle(pattern, h)
	}
	open := http.NewServeMux()
	for pattern, h := range o.Open {
		open.Handle(pattern, h)
	}
	open.Handle("/", guarded(o.Token, closed))
	return open, nil
}

// guarded lets through who carries the token.
func guarded(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		// Hashes are of one length, whatever was sent.
		got := sha256.Sum256([]byte(sent))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 || !strings.EqualFold(scheme, "Bearer") {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stint admin"`)
			problem.Write(w, http.StatusUnauthorized, "send the admin token as Authorization: Bearer TOKEN")
			return
		}
		next.ServeHTTP(w, r)
	})
}
