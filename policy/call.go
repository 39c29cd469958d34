package policy

// Call is what a door knows of the call it was asked about. The door makes one out of its request; the policy reads from it
// which route holds and who is counted.
//
// Names of headers are case-insensitive, all others are not. The second result says whether the call has such a value at all;
// an empty value is a value.
type Call interface {
	Method() string
	Host() string // without a port, in lower case
	Path() string // as the client sent it, unescaped, cleaned of "." and ".."
	Header(name string) (string, bool)
	Query(name string) (string, bool)
	Cookie(name string) (string, bool)
	PathValue(name string) (string, bool) // of a {name} in the pattern that routed the call
	BasicUser() (string, bool)            // the user of basic authentication, unverified
	Address() (string, bool)              // the client's address as a key: an IPv4 address, or an IPv6 prefix
	Caller() *Caller                      // who makes the call, once the door has looked it up; nil if it has not

	// Attribute is what the door has found out itself where it knows no Caller: "user", "plan", "api-key", and "route" for the name
	// of the route.
	Attribute(name string) (string, bool)
}
