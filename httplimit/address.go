package httplimit

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/stint-go/stint/policy"
)

// AddressSource says where a request's client address comes from. Anybody can write an X-Forwarded-For header, so the choice
// is yours to make: [Peer] if clients connect directly, [Hops] or [Trusted] if proxies stand in front. The zero value is no
// choice at all and finds no address.
//
// Addresses are read from the right, from the nearest hop outwards, and never further than the trust reaches; the leftmost
// entry is whatever the client liked to send. Where a proxy wrote something that is no address, the last verified hop counts.
type AddressSource struct {
	from      source
	hops      int
	trusted   []netip.Prefix
	bits      int // of an IPv6 address that make one client; 0 means defaultIPv6Bits
	forwarded bool
	unix      bool
	err       error
}

type source uint8

const (
	fromNowhere source = iota
	fromPeer
	fromHops
	fromTrusted
)

// defaultIPv6Bits is the prefix that one subscriber usually has to himself.
const defaultIPv6Bits = 64

// maxHops bounds how many entries of a header are read.
const maxHops = 64

// Peer takes the address that the connection comes from, and no header.
func Peer() AddressSource { return AddressSource{from: fromPeer} }

// Hops takes the address that so many proxies in front report: with 1 the last entry of X-Forwarded-For, with 2 the last but
// one. Clients must not be able to reach the server past those proxies. From 1 to 32.
func Hops(n int) AddressSource {
	s := AddressSource{from: fromHops, hops: n}
	if n < 1 || n > maxHops/2 {
		s.err = fmt.Errorf("httplimit: %d trusted hops: give 1 to %d, or use Peer", n, maxHops/2)
	}
	return s
}

// Trusted takes the first address from the right that is in none of the networks; a peer outside them is the client itself,
// and its headers are not read.
func Trusted(networks ...netip.Prefix) AddressSource {
	s := AddressSource{from: fromTrusted, trusted: make([]netip.Prefix, 0, len(networks))}
	for _, network := range networks {
		if !network.IsValid() {
			s.err = fmt.Errorf("httplimit: a trusted network is not valid: make it with netip.ParsePrefix")
			continue
		}
		if a := network.Addr(); a.Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
		}
		s.trusted = append(s.trusted, network.Masked())
	}
	return s
}

// WithIPv6Prefix makes so many leading bits of an IPv6 address one client, 1 to 128. Default: 64.
func (s AddressSource) WithIPv6Prefix(bits int) AddressSource {
	s.bits = bits
	if bits < 1 || bits > 128 {
		s.err = fmt.Errorf("httplimit: IPv6 prefix of %d bits: give 1 to 128", bits)
	}
	return s
}

// WithForwarded reads the Forwarded header (RFC 7239) in place of X-Forwarded-For. Take the one that your proxies write.
func (s AddressSource) WithForwarded() AddressSource { s.forwarded = true; return s }

// WithUnixPeer makes [Trusted] trust a peer on a Unix socket, which belongs to no network. Hops counts it as a hop anyway.
func (s AddressSource) WithUnixPeer() AddressSource { s.unix = true; return s }

// Chosen says whether a choice was made.
func (s AddressSource) Chosen() bool { return s.from != fromNowhere }

// Err says what is wrong with the choice.
func (s AddressSource) Err() error { return s.err }

// UnixPeer is the key of all who come over a Unix socket with no address to tell them apart.
const UnixPeer = "unix"

// Key is the client as a key, see [AddressKey]; [UnixPeer] for a Unix socket. False if there is no address to be had.
func (s AddressSource) Key(r *http.Request) (string, bool) {
	if address, ok := s.Of(r); ok {
		bits := s.bits
		if bits == 0 {
			bits = defaultIPv6Bits
		}
		return AddressKey(address, bits), true
	}
	return UnixPeer, s.Chosen() && isUnix(r.RemoteAddr)
}

// Of is the client's address; false if there is none, as on a Unix socket.
func (s AddressSource) Of(r *http.Request) (netip.Addr, bool) {
	if !s.Chosen() || s.err != nil {
		return netip.Addr{}, false
	}
	at, known := ParseAddress(r.RemoteAddr)
	if s.from == fromPeer || !known && !isUnix(r.RemoteAddr) {
		return at, known
	}
	entries := s.entries(r)
	for hop := 1; hop <= maxHops && s.trusts(at, known, hop); hop++ {
		entry, more := entries.next()
		if !more {
			break
		}
		next, ok := ParseAddress(entry)
		if !ok {
			break
		}
		at, known = next, true
	}
	return at, known
}

// trusts says whether the hop-th hop from the right, which has this address, is believed about the one before it.
func (s AddressSource) trusts(at netip.Addr, known bool, hop int) bool {
	if s.from == fromHops {
		return hop <= s.hops
	}
	if !known {
		return s.unix
	}
	for _, network := range s.trusted {
		if network.Contains(at) {
			return true
		}
	}
	return false
}

func (s AddressSource) entries(r *http.Request) hopList {
	if s.forwarded {
		return hopList{lines: r.Header["Forwarded"], forwarded: true}
	}
	return hopList{lines: r.Header["X-Forwarded-For"]}
}

// isUnix says whether a peer's address is that of a Unix socket: unnamed, abstract or a path.
func isUnix(remote string) bool {
	return remote == "" || remote[0] == '@' || remote[0] == '/'
}

// ParseAddress reads an address as peers and proxies write it: with or without a port, brackets or a zone. An IPv4 address
// that is mapped into IPv6 becomes IPv4 again; zones are dropped, since anybody can make them up.
func ParseAddress(text string) (netip.Addr, bool) {
	text = strings.Trim(text, " \t")
	if len(text) > len("[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535")+maxZone {
		return netip.Addr{}, false
	}
	if inside, ok := strings.CutPrefix(text, "["); ok {
		address, port, closed := strings.Cut(inside, "]")
		if !closed || port != "" && !isPort(port) || !strings.Contains(address, ":") {
			return netip.Addr{}, false
		}
		text = address
	} else if colon := strings.IndexByte(text, ':'); colon >= 0 && strings.IndexByte(text[colon+1:], ':') < 0 {
		if !isPort(text[colon:]) {
			return netip.Addr{}, false
		}
		text = text[:colon]
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return address.WithZone("").Unmap(), true
}

// maxZone is the longest zone that is looked at.
const maxZone = 32

// isPort reads a colon and up to five digits.
func isPort(text string) bool {
	if len(text) < 2 || len(text) > 6 || text[0] != ':' {
		return false
	}
	for _, c := range []byte(text[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// nat64 is the well-known prefix (RFC 6052) under which an IPv4 client reaches an IPv6 server.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// AddressKey is an address as a key: an IPv4 address whole, also one that is mapped into IPv6 or comes through NAT64; of an
// IPv6 address the leading bits, as a prefix, since one client has all of them. The loopback address stays whole.
func AddressKey(address netip.Addr, ipv6Bits int) string {
	address = address.WithZone("").Unmap()
	if nat64.Contains(address) {
		bytes := address.As16()
		address = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if address.Is4() || address.IsLoopback() {
		return address.String()
	}
	prefix, err := address.Prefix(ipv6Bits)
	if err != nil {
		return address.String()
	}
	return prefix.String()
}

// needsAddress says whether a key counts by the client's address.
func needsAddress(k policy.Key) bool {
	for _, part := range strings.Split(k.String(), "+") {
		if part == "address" {
			return true
		}
	}
	return false
}
