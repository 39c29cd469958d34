package policy

import (
	"fmt"
	"net/textproto"
	"strings"

	"github.com/stint-go/stint"
)

// Key takes from a call who is counted. The zero Key finds nobody. Make one with [Address] and its siblings, or [ParseKey].
type Key struct {
	text  string // as ParseKey reads it
	of    func(Call) (string, bool)
	parts []Key // of a tuple
	other *Key  // what counts where the call lacks this one

	path string // the name of a path value
	same string // the qualified key of every call, if there is only one
}

// Of is the key of the call; false if the call lacks it. It is never empty.
func (k Key) Of(c Call) (string, bool) {
	if len(k.parts) > 0 {
		return k.tuple(c, Key.Of)
	}
	if k.of == nil {
		return "", false
	}
	if v, ok := k.of(c); ok && v != "" {
		return stint.Key(v), true // a value from outside cannot imitate a tuple
	}
	if k.other != nil {
		return k.other.Of(c)
	}
	return "", false
}

// Qualified is the key of the call together with what it counts by, such as "address:192.0.2.7" or "header:X-Tenant:acme".
// Where routes that count by different things share a limit, no caller can take the place of another with it.
func (k Key) Qualified(c Call) (string, bool) {
	if len(k.parts) > 0 {
		return k.tuple(c, Key.Qualified)
	}
	if k.same != "" || k.of == nil {
		return k.same, k.same != ""
	}
	if v, ok := k.of(c); ok && v != "" {
		return k.text + ":" + v, true
	}
	if k.other != nil {
		return k.other.Qualified(c)
	}
	return "", false
}

// tuple makes one key of all parts.
func (k Key) tuple(c Call, of func(Key, Call) (string, bool)) (string, bool) {
	var some [maxParts]string
	values := some[:0]
	for _, part := range k.parts {
		v, ok := of(part, c)
		if !ok {
			return "", false
		}
		values = append(values, v)
	}
	return stint.Key(values...), true
}

// maxParts is how many parts a tuple in a text may have.
const maxParts = 8

// String is the key as [ParseKey] reads it.
func (k Key) String() string { return k.text }

// Address counts by the client's address, as the door has been told to find it.
func Address() Key { return Key{text: "address", of: Call.Address} }

// Header counts by the first value of a header.
func Header(name string) Key {
	name = canonical(name)
	return Key{text: "header:" + name, of: func(c Call) (string, bool) { return c.Header(name) }}
}

// Cookie counts by a cookie's value.
func Cookie(name string) Key {
	return Key{text: "cookie:" + name, of: func(c Call) (string, bool) { return c.Cookie(name) }}
}

// Query counts by the first value of a query parameter.
func Query(name string) Key {
	return Key{text: "query:" + name, of: func(c Call) (string, bool) { return c.Query(name) }}
}

// PathValue counts by what a {name} in the route's path matched.
func PathValue(name string) Key {
	return Key{text: "path:" + name, path: name, of: func(c Call) (string, bool) { return c.PathValue(name) }}
}

// BasicUser counts by the user of basic authentication. It is unverified here: verify it elsewhere.
func BasicUser() Key { return Key{text: "basic-user", of: Call.BasicUser} }

// Attribute counts by what the door has found out itself, such as "user", "plan" or "route".
func Attribute(name string) Key {
	return Key{text: name, of: func(c Call) (string, bool) {
		if caller := c.Caller(); caller != nil {
			switch name {
			case "user":
				return caller.User, caller.User != ""
			case "plan":
				return caller.Plan, caller.Plan != ""
			case "api-key":
				return caller.Key, caller.Key != ""
			}
		}
		return c.Attribute(name)
	}}
}

// asksCaller says whether the key is something that only a look-up of the caller tells.
func (k Key) asksCaller() bool { return k.text == "user" || k.text == "plan" || k.text == "api-key" }

// APIKeyHeader is the header that carries an API key.
const APIKeyHeader = "X-Api-Key"

// APIKey counts by the call's API key: what the door says it is, or else the header X-API-KEY.
func APIKey() Key {
	found := Attribute("api-key")
	return Key{text: found.text, of: func(c Call) (string, bool) {
		if v, ok := found.of(c); ok {
			return v, true
		}
		return c.Header(APIKeyHeader)
	}}
}

var apiKey = APIKey()

// User counts by the user that the door has found. Where it has found none, the API key stands for its user.
func User() Key {
	key := APIKey()
	user := Attribute("user")
	user.other = &key
	return user
}

// Fixed counts every call under one key.
func Fixed(name string) Key {
	k := Key{text: "fixed:" + name, of: func(Call) (string, bool) { return name, true }}
	if name != "" {
		k.same = k.text
	}
	return k
}

// Func counts by a function of your own; name is what explanations call it, and tells its keys from others'.
func Func(name string, of func(Call) (string, bool)) Key { return Key{text: name, of: of} }

// Tuple counts by several keys together. It lacks a key where any part does, and different parts never make the same key.
func Tuple(keys ...Key) Key {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.text
	}
	return Key{text: strings.Join(texts, "+"), parts: keys}
}

// bind ties the key to a route: its name, and the values of its path.
func (k Key) bind(route string, p Pattern) Key {
	switch {
	case len(k.parts) > 0:
		parts := make([]Key, len(k.parts))
		for i, part := range k.parts {
			parts[i] = part.bind(route, p)
		}
		k.parts = parts
	case k.path != "":
		name := k.path
		k.of = func(c Call) (string, bool) { return p.Value(c.Path(), name) }
	case k.text == "route":
		k.of = func(Call) (string, bool) { return route, true }
		k.same = "route:" + route
	}
	return k
}

// each calls f for the key, or for each part of a tuple.
func (k Key) each(f func(Key)) {
	if len(k.parts) == 0 {
		f(k)
		return
	}
	for _, part := range k.parts {
		part.each(f)
	}
}

// keyWords are the keys without a name, keyNames those with one.
var (
	keyWords = []string{"address", "user", "plan", "api-key", "route", "basic-user"}
	keyNames = []string{"header", "cookie", "query", "path", "fixed"}
)

const aKey = "address, user, plan, api-key, route, basic-user, header:NAME, cookie:NAME, query:NAME, path:NAME or fixed:NAME, " +
	"or several joined by +"

// KeyError says why a text is no key.
type KeyError struct {
	Text    string // the part of the text that is wrong
	Meant   string // a likely spelling, if there is one
	Allowed string
}

func (e *KeyError) Error() string {
	text := "policy: unknown key " + quote(e.Text)
	if e.Meant != "" {
		text += fmt.Sprintf(" (did you mean %s?)", quote(e.Meant))
	}
	return text + "; " + e.Allowed
}

// ParseKey reads a key: address, user, plan, api-key, route, basic-user, header:NAME, cookie:NAME, query:NAME, path:NAME,
// fixed:NAME, or several joined by +. "user" is the user that the door has found, or else the API key. The error is a
// [*KeyError].
func ParseKey(text string) (Key, error) {
	parts := strings.SplitN(text, "+", maxParts+1)
	if len(parts) > maxParts {
		return Key{}, &KeyError{Text: text, Allowed: fmt.Sprintf("at most %d are joined by +", maxParts)}
	}
	keys := make([]Key, len(parts))
	for i, part := range parts {
		var err error
		if keys[i], err = parsePart(strings.TrimSpace(part)); err != nil {
			return Key{}, err
		}
	}
	if len(keys) == 1 {
		return keys[0], nil
	}
	return Tuple(keys...), nil
}

// maxKeyName is the longest name of a header, a cookie and so on, in bytes.
const maxKeyName = 256

func parsePart(text string) (Key, error) {
	kind, name, named := strings.Cut(text, ":")
	if !named {
		switch kind {
		case "address":
			return Address(), nil
		case "user":
			return User(), nil
		case "api-key":
			return APIKey(), nil
		case "basic-user":
			return BasicUser(), nil
		case "plan", "route":
			return Attribute(kind), nil
		}
		return Key{}, &KeyError{Text: text, Meant: Nearest(text, keyWords), Allowed: "allowed is " + aKey}
	}
	if name == "" || len(name) > maxKeyName {
		return Key{}, &KeyError{Text: text, Allowed: fmt.Sprintf("the name has 1 to %d bytes", maxKeyName)}
	}
	switch kind {
	case "header":
		if !isToken(name) {
			return Key{}, &KeyError{Text: text, Allowed: "no header can have that name"}
		}
		return Header(name), nil
	case "cookie":
		if !isToken(name) {
			return Key{}, &KeyError{Text: text, Allowed: "no cookie can have that name"}
		}
		return Cookie(name), nil
	case "query":
		if strings.Contains(name, ":") {
			return Key{}, &KeyError{Text: text, Allowed: "a name with a colon could be confused with a value; rename the parameter"}
		}
		return Query(name), nil
	case "path":
		if !isName(name) {
			return Key{}, &KeyError{Text: text, Allowed: "a name in a path has letters, digits, - and _"}
		}
		return PathValue(name), nil
	case "fixed":
		return Fixed(name), nil
	}
	e := &KeyError{Text: text, Allowed: "allowed is " + aKey}
	if near := Nearest(kind, keyNames); near != "" {
		e.Meant = near + ":" + name
	}
	return Key{}, e
}

// canonical is a header's name as Go writes it.
func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// isToken says whether a text can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}
