package policy

import (
	"fmt"
	"strings"

	"github.com/stint-go/stint"
)

// Key takes from a call who is counted. The zero Key finds nobody. Make one with [Address] and its siblings, or [ParseKey].
type Key struct {
	text string
	of   func(Call) (string, bool)
}

// Of is the key of the call; false if the call lacks it. It is never empty.
func (k Key) Of(c Call) (string, bool) {
	if k.of == nil {
		return "", false
	}
	value, ok := k.of(c)
	return value, ok && value != ""
}

// String is the key as [ParseKey] reads it.
func (k Key) String() string { return k.text }

// Address counts by the client's address, as the door has been told to find it.
func Address() Key { return Key{"address", Call.Address} }

// Header counts by the first value of a header.
func Header(name string) Key {
	return Key{"header:" + name, func(c Call) (string, bool) { return c.Header(name) }}
}

// Cookie counts by a cookie's value.
func Cookie(name string) Key {
	return Key{"cookie:" + name, func(c Call) (string, bool) { return c.Cookie(name) }}
}

// Query counts by the first value of a query parameter.
func Query(name string) Key {
	return Key{"query:" + name, func(c Call) (string, bool) { return c.Query(name) }}
}

// PathValue counts by what a {name} in the route's path matched.
func PathValue(name string) Key {
	return Key{"path:" + name, func(c Call) (string, bool) { return c.PathValue(name) }}
}

// BasicUser counts by the user of basic authentication. It is unverified here: verify it elsewhere.
func BasicUser() Key { return Key{"basic-user", Call.BasicUser} }

// Attribute counts by what the door has found out itself, such as "user", "plan" or "route".
func Attribute(name string) Key {
	return Key{name, func(c Call) (string, bool) { return c.Attribute(name) }}
}

// Fixed counts every call under one key.
func Fixed(name string) Key {
	return Key{"fixed:" + name, func(Call) (string, bool) { return name, name != "" }}
}

// Func counts by a function of your own; name is what explanations call it.
func Func(name string, of func(Call) (string, bool)) Key { return Key{name, of} }

// Tuple counts by several keys together. It lacks a key where any part does, and different parts never make the same key.
func Tuple(keys ...Key) Key {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.text
	}
	return Key{strings.Join(texts, "+"), func(c Call) (string, bool) {
		parts := make([]string, len(keys))
		for i, k := range keys {
			value, ok := k.Of(c)
			if !ok {
				return "", false
			}
			parts[i] = value
		}
		return stint.Key(parts...), true
	}}
}

// attributes are the words that stand for what a door finds out itself.
var attributes = []string{"user", "plan", "api-key", "route"}

// ParseKey reads a key: address, basic-user, user, plan, api-key, route, header:NAME, cookie:NAME, query:NAME, path:NAME,
// fixed:NAME, or several joined by +.
func ParseKey(text string) (Key, error) {
	if strings.Contains(text, "+") {
		var keys []Key
		for _, part := range strings.Split(text, "+") {
			key, err := ParseKey(part)
			if err != nil {
				return Key{}, err
			}
			keys = append(keys, key)
		}
		return Tuple(keys...), nil
	}
	kind, name, named := strings.Cut(strings.TrimSpace(text), ":")
	if named && name != "" {
		switch kind {
		case "header":
			return Header(name), nil
		case "cookie":
			return Cookie(name), nil
		case "query":
			return Query(name), nil
		case "path":
			return PathValue(name), nil
		case "fixed":
			return Fixed(name), nil
		}
	}
	if !named {
		switch kind {
		case "address":
			return Address(), nil
		case "basic-user":
			return BasicUser(), nil
		}
		for _, a := range attributes {
			if a == kind {
				return Attribute(a), nil
			}
		}
	}
	return Key{}, fmt.Errorf("unknown key %q: use address, basic-user, user, plan, api-key, route, header:NAME, cookie:NAME, "+
		"query:NAME, path:NAME or fixed:NAME, or several joined by +", text)
}
