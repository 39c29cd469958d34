package httplimit

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/stint-go/stint/policy"
)

// Call is a request as keys and policies see it: a [policy.Call]. Make one with [NewCall]; it belongs to one request and is
// not safe for concurrent use.
type Call struct {
	request *http.Request
	known   *known
	caller  *policy.Caller
	query   url.Values
	path    string // cleaned; empty until it is asked for
}

// known is how a door finds out what a request does not say itself.
type known struct {
	address   AddressSource
	attribute func(r *http.Request, name string) (string, bool) // nil: nothing
}

var _ policy.Call = (*Call)(nil)

// NewCall is the call that a request makes. attribute says what else is known of it, such as its user; it may be nil.
func NewCall(r *http.Request, address AddressSource, attribute func(r *http.Request, name string) (string, bool)) *Call {
	return &Call{request: r, known: &known{address, attribute}}
}

// By is the call as one of a caller that was looked up.
func (c *Call) By(caller *policy.Caller) *Call {
	c.caller = caller
	return c
}

// Request is the request itself.
func (c *Call) Request() *http.Request { return c.request }

// Method is the request's method.
func (c *Call) Method() string { return c.request.Method }

// Host is the host that was asked for, without its port and in lower case.
func (c *Call) Host() string {
	host := c.request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// Path is the request's path, unescaped and cleaned.
func (c *Call) Path() string {
	if c.path == "" {
		c.path = cleanPath(c.request.URL.Path)
	}
	return c.path
}

// cleanPath is a path without "." and ".." and doubled slashes, so that no detour leads around a rule.
func cleanPath(p string) string {
	if p == "" {
		return "/"
	}
	if p[0] != '/' {
		if p == "*" {
			return p
		}
		p = "/" + p
	}
	clean := path.Clean(p)
	if p[len(p)-1] == '/' && clean != "/" {
		clean += "/"
	}
	return clean
}

// Header is the first value of a header.
func (c *Call) Header(name string) (string, bool) {
	if len(name) == len("Host") && strings.EqualFold(name, "Host") {
		return c.request.Host, c.request.Host != ""
	}
	if values := c.request.Header[name]; len(values) > 0 {
		return values[0], true // keys and policies ask by the canonical name
	}
	return first(c.request.Header.Values(name))
}

// Query is the first value of a query parameter.
func (c *Call) Query(name string) (string, bool) {
	if c.query == nil {
		c.query = c.request.URL.Query()
	}
	return first(c.query[name])
}

func first(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// Cookie is the value of the first cookie of that name.
func (c *Call) Cookie(name string) (string, bool) {
	cookie, err := c.request.Cookie(name)
	if err != nil {
		return "", false
	}
	return cookie.Value, true
}

// PathValue is what a {name} in the request's pattern matched. The handler that asks must stand behind the router.
func (c *Call) PathValue(name string) (string, bool) {
	value := c.request.PathValue(name)
	return value, value != ""
}

// BasicUser is the user of basic authentication, unverified.
func (c *Call) BasicUser() (string, bool) {
	user, _, ok := c.request.BasicAuth()
	return user, ok
}

// Address is the client's address as a key.
func (c *Call) Address() (string, bool) { return c.known.address.Key(c.request) }

// Caller is who makes the request, if it was looked up.
func (c *Call) Caller() *policy.Caller { return c.caller }

// Attribute is what the attribute function says. Without one "route" is the pattern that routed the request.
func (c *Call) Attribute(name string) (string, bool) {
	if c.known.attribute != nil {
		if value, ok := c.known.attribute(c.request, name); ok {
			return value, true
		}
	}
	if name == "route" {
		return c.request.Pattern, c.request.Pattern != ""
	}
	return "", false
}
