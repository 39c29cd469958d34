package httplimit_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

func TestAddressKey(t *testing.T) {
	for _, row := range []struct {
		in   string
		bits int
		want string
		why  string
	}{
		{"1.2.3.4", 64, "1.2.3.4", "IPv4 whole"},
		{"::ffff:1.2.3.4", 64, "1.2.3.4", "mapped into IPv6"},
		{"::ffff:102:304", 64, "1.2.3.4", "the same in hexadecimal"},
		{"64:ff9b::1.2.3.4", 56, "1.2.3.4", "NAT64: not all of its users are one"},
		{"64:ff9b:1::1.2.3.4", 64, "64:ff9b:1::/64", "not the well-known prefix"},
		{"::1", 56, "::1", "loopback whole"},
		{"2001:db8:1234:5678::1", 64, "2001:db8:1234:5678::/64", "a subscriber's network"},
		{"2001:db8:1234:5678::1.2.3.4", 56, "2001:db8:1234:5600::/56", "IPv4 at the end of another address"},
		{"0123:4567:89ab:cdef:0123:4567:89ab:cdef", 63, "123:4567:89ab:cdee::/63", "an odd prefix"},
		{"0123:4567:89ab:cdef:0123:4567:89ab:cdef", 128, "123:4567:89ab:cdef:123:4567:89ab:cdef/128", "whole"},
		{"fe80::1%eth0", 64, "fe80::/64", "zones are anybody's to make up"},
		{"fe80::1%eth1", 64, "fe80::/64", "the same client"},
	} {
		address, err := netip.ParseAddr(row.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := httplimit.AddressKey(address, row.bits); got != row.want {
			t.Errorf("%s /%d: %s, want %s (%s)", row.in, row.bits, got, row.want, row.why)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "1.2.3.4:5678": "1.2.3.4", " 1.2.3.4\t": "1.2.3.4", "[2001:db8::1]:443": "2001:db8::1",
		"[2001:db8::1]": "2001:db8::1", "2001:db8::1": "2001:db8::1", "[fe80::1%eth0]:80": "fe80::1", "fe80::1%eth0": "fe80::1",
		"::ffff:1.2.3.4": "1.2.3.4", "[::ffff:1.2.3.4]:80": "1.2.3.4", "::": "::",
		// Not addresses.
		"": "", "@": "", "unknown": "", "_hidden": "", "garbage": "", "1.2.3": "", "1.2.3.4.5": "", "01.2.3.4": "", "1.2.3.4:": "",
		"1.2.3.4:x": "", "1.2.3.4:123456": "", "[1.2.3.4]": "", "[::1": "", "[::1]x": "", "[::1]:": "", "::1]": "", "1.2.3.4, 5.6.7.8": "",
		"1.2.3.4%eth0": "", "localhost:80": "", "[]": "", strings.Repeat("1", 10<<20): "",
	} {
		got, ok := httplimit.ParseAddress(in)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%.60q: %v %v, want %q", in, got, ok, want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	proxies := httplimit.Trusted(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48"))
	mapped := httplimit.Trusted(netip.MustParsePrefix("::ffff:10.0.0.0/104"))
	const x, f = "X-Forwarded-For: ", "Forwarded: "
	for _, row := range []struct {
		from    httplimit.AddressSource
		peer    string
		headers []string
		want    string
		why     string
	}{
		{httplimit.Peer(), "203.0.113.9:1234", []string{x + "6.6.6.6"}, "203.0.113.9", "the peer, whatever it says"},
		{httplimit.Peer(), "[2001:db8::7]:1234", nil, "2001:db8::7", ""},

		{httplimit.Hops(1), "10.0.0.1:1", []string{x + "6.6.6.6, 1.2.3.4"}, "1.2.3.4", "what the one proxy saw"},
		{httplimit.Hops(2), "10.0.0.1:1", []string{x + "6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4", "what the outer proxy saw"},
		{httplimit.Hops(2), "10.0.0.1:1", []string{x + "6.6.6.6, 1.2.3.4", x + "10.0.0.2"}, "1.2.3.4", "over two lines"},
		{httplimit.Hops(3), "10.0.0.1:1", []string{x + "1.2.3.4"}, "1.2.3.4", "fewer hops than said: the outermost there is"},
		{httplimit.Hops(1), "203.0.113.9:1", nil, "203.0.113.9", "no header: the peer"},
		{httplimit.Hops(2), "10.0.0.1:1", []string{x + "1.2.3.4, junk"}, "10.0.0.1", "junk from a proxy: the last verified hop"},
		{httplimit.Hops(1), "@", []string{x + "6.6.6.6, 1.2.3.4"}, "1.2.3.4", "a proxy on a Unix socket is a hop"},

		{proxies, "10.0.0.1:1", []string{x + "6.6.6.6, 1.2.3.4"}, "1.2.3.4", "never the leftmost"},
		{proxies, "203.0.113.9:1", []string{x + "6.6.6.6"}, "203.0.113.9", "a stranger's header is not read"},
		{proxies, "10.0.0.1:1", []string{x + "1.2.3.4:5678"}, "1.2.3.4", "a port makes no new client"},
		{proxies, "10.0.0.1:1", []string{x + "[2001:db8::1]:443"}, "2001:db8::1", "brackets"},
		{proxies, "10.0.0.1:1", []string{x + "10.0.0.7, 10.0.0.8"}, "10.0.0.7", "all trusted: the outermost"},
		{proxies, "10.0.0.1:1", []string{x + "garbage"}, "10.0.0.1", "the last verified hop, never an empty key"},
		{proxies, "10.0.0.1:1", []string{x + "6.6.6.6, , 10.0.0.2"}, "10.0.0.2", "an empty entry ends the walk"},
		{proxies, "10.0.0.1:1", []string{x + "1.2.3.4", x}, "1.2.3.4", "an empty line is none"},
		{proxies, "[2001:db8:ffff::1%eth0]:1", []string{x + "1.2.3.4"}, "1.2.3.4", "a zone does not hide a trusted proxy"},
		{proxies, "[::ffff:10.0.0.1]:1", []string{x + "1.2.3.4"}, "1.2.3.4", "nor does mapping"},
		{mapped, "10.0.0.1:1", []string{x + "1.2.3.4"}, "1.2.3.4", "a mapped network"},
		{proxies, "[64:ff9b::10.0.0.1]:1", []string{x + "6.6.6.6"}, "64:ff9b::a00:1", "NAT64 makes nobody trusted"},
		{proxies, "@", []string{x + "1.2.3.4"}, "", "a Unix peer is in no network"},
		{proxies.WithUnixPeer(), "@", []string{x + "1.2.3.4"}, "1.2.3.4", "unless said"},
		{proxies.WithUnixPeer(), "@", []string{x + "1.2.3.4, 10.0.0.3"}, "1.2.3.4", "and on from there"},

		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `for=6.6.6.6, for=1.2.3.4;proto=https`, x + "9.9.9.9"}, "1.2.3.4", "Forwarded"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `proto=http;For="[2001:db8:cafe::17]:4711"`}, "2001:db8:cafe::17", "quoted, with a port"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `for="6.6.6.6, for=1.2.3.4`}, "1.2.3.4", "an open quote at the left swallows nothing"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `for=", for=1.2.3.4;host="a,b;for=7.7.7.7"`}, "1.2.3.4", "commas inside quotes"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `for=6.6.6.6, for=unknown`}, "10.0.0.1", "an unknown hop"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{f + `for=6.6.6.6, by=10.0.0.1`}, "10.0.0.1", "no for"},
		{proxies.WithForwarded(), "10.0.0.1:1", []string{x + "6.6.6.6"}, "10.0.0.1", "only the header that was chosen"},

		{httplimit.AddressSource{}, "1.2.3.4:1", nil, "", "no choice, no address"},
	} {
		r := request("/", row.headers...)
		r.RemoteAddr = row.peer
		got, ok := row.from.Of(r)
		if ok != (row.want != "") || ok && got.String() != row.want {
			t.Errorf("peer %s %v: %v %v, want %q (%s)", row.peer, row.headers, got, ok, row.want, row.why)
		}
	}
}

func TestHugeForwardedFor(t *testing.T) {
	from := httplimit.Trusted(netip.MustParsePrefix("0.0.0.0/0"))
	for _, entry := range []string{"10.0.0.1,", ",", `"`, "x"} {
		for _, source := range []httplimit.AddressSource{from, from.WithForwarded()} {
			huge := strings.Repeat(entry, 10<<20/len(entry))
			r := request("/", "X-Forwarded-For: "+huge, "Forwarded: "+huge)
			r.RemoteAddr = "10.9.9.9:1"
			if _, ok := source.Of(r); !ok {
				t.Errorf("%q repeated: no address", entry)
			}
		}
	}
}

func TestUnixPeers(t *testing.T) {
	c := newClock()
	h := handler(t, answer(204), httplimit.Options{
		Limiter: c.limiter(t, stint.PerHour(1).WithBurst(1)), Key: policy.Address(), Address: httplimit.Peer(),
	})
	from := func(peer string) int {
		r := request("/")
		r.RemoteAddr = peer
		return ask(h, r).StatusCode
	}
	for i, row := range []struct {
		peer   string
		status int
		why    string
	}{
		{"@", 204, "a Unix socket has a named key"},
		{"", 429, "which all of them share"},
		{"@abstract", 429, ""},
		{"/run/client.sock", 429, ""},
		{"garbage", 400, "what is no address at all is no free pass"},
		{"1.2.3.4:1", 204, ""},
		{"1.2.3.4:2", 429, "another port is the same client"},
		{"[2001:db8::1]:1", 204, ""},
		{"[2001:db8::2]:1", 429, "the same /64"},
		{"[2001:db8:0:1::2]:1", 204, "another /64"},
	} {
		if got := from(row.peer); got != row.status {
			t.Errorf("%d from %q: %d, want %d (%s)", i, row.peer, got, row.status, row.why)
		}
	}
}

func TestAddressChoicesAreChecked(t *testing.T) {
	for _, s := range []httplimit.AddressSource{
		httplimit.Hops(-1), httplimit.Hops(0), httplimit.Hops(33), httplimit.Trusted(netip.Prefix{}),
		httplimit.Peer().WithIPv6Prefix(0), httplimit.Peer().WithIPv6Prefix(129),
	} {
		if s.Err() == nil {
			t.Errorf("%+v was accepted", s)
		}
		if _, ok := s.Of(request("/")); ok {
			t.Errorf("%+v finds an address", s)
		}
	}
	if err := httplimit.Peer().WithIPv6Prefix(48).Err(); err != nil {
		t.Error(err)
	}
}

// FuzzClientAddress checks that whatever a client writes to the left of what its proxy wrote changes nothing.
func FuzzClientAddress(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", `for="`, "for=1.2.3.4;", "a,b", `"\"`, "\x00", "[::1]:1,", `for="a\`, ";;;==,,"} {
		f.Add(seed)
	}
	x := httplimit.Trusted(netip.MustParsePrefix("10.0.0.0/8"))
	f.Fuzz(func(t *testing.T, left string) {
		for _, row := range []struct {
			from  httplimit.AddressSource
			name  string
			proxy string
		}{
			{x, "X-Forwarded-For", "198.51.100.7"},
			{httplimit.Hops(1), "X-Forwarded-For", "198.51.100.7"},
			{x.WithForwarded(), "Forwarded", "for=198.51.100.7"},
			{httplimit.Hops(1).WithForwarded(), "Forwarded", `proto=http;for="198.51.100.7:80"`},
		} {
			for _, lines := range [][]string{{left + ", " + row.proxy}, {left, row.proxy}} {
				r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{row.name: lines}}
				if got, ok := row.from.Of(r); !ok || got.String() != "198.51.100.7" {
					t.Errorf("%s %q: %v %v", row.name, lines, got, ok)
				}
			}
		}
		if a, ok := httplimit.ParseAddress(left); ok {
			if a.Zone() != "" || a.Is4In6() {
				t.Errorf("%q: %v is not in its plain form", left, a)
			}
			if again, ok := httplimit.ParseAddress(a.String()); !ok || again != a {
				t.Errorf("%q: %v reads as %v", left, a, again)
			}
		}
	})
}
