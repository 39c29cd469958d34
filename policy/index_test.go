package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stint-go/stint/policy"
)

// linear is what Match is defined to be.
func linear(p *policy.Policy, c policy.Call) *policy.Route {
	for _, r := range p.Routes {
		if r.Match.Fits(c) {
			return r
		}
	}
	return nil
}

var someSegments = []string{"a", "b", "c", "ab", "", "*", "a*", "*b", "{x}", "**"}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// somePath is a path, or a pattern if wild.
func somePath(r *rand.Rand, wild bool) string {
	of := someSegments
	if !wild {
		of = someSegments[:5]
	}
	path, named := "", false
	for range 1 + r.IntN(5) {
		s := pick(r, of)
		if s == "{x}" && named {
			s = "*"
		}
		named = named || s == "{x}"
		path += "/" + s
	}
	return path
}

func someRoute(r *rand.Rand) map[string]any {
	match := map[string]any{}
	if r.IntN(10) > 0 {
		match["path"] = somePath(r, true)
	}
	if r.IntN(2) == 0 {
		match["method"] = pick(r, []any{"GET", "HEAD", []string{"GET", "POST"}, "POST"})
	}
	if r.IntN(3) == 0 {
		match["host"] = pick(r, []string{"a.com", "b.com", "*.com", "*.a.com", "x.a.com"})
	}
	if r.IntN(5) == 0 {
		match["header"] = map[string]string{"X-H": pick(r, []string{"1", "2", "*"})}
	}
	if r.IntN(5) == 0 {
		match["query"] = map[string]string{"q": pick(r, []string{"1", "2", "*", "1*"})}
	}
	if r.IntN(5) == 0 {
		match["address"] = pick(r, []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32"})
	}
	return map[string]any{"match": match, "mode": "off"}
}

func someCall(r *rand.Rand) *call {
	c := get(somePath(r, false))
	c.method = pick(r, []string{"GET", "POST", "HEAD"})
	c.host = pick(r, []string{"a.com", "b.com", "x.a.com", "y.a.com", "com", ""})
	c.address = pick(r, []string{"10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8:1:2::/64", "2001:db9::/64", "unix", ""})
	for _, name := range []string{"header X-H", "query q"} {
		if v := r.IntN(4); v > 0 {
			c.values[name] = fmt.Sprint(v)
		}
	}
	return c
}

// The index finds what a look at every route finds, and no call reaches a route of which a warning says that none does.
func TestMatchIsTheFirstThatFits(t *testing.T) {
	found, covered := 0, 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		routes := make([]map[string]any, 1+r.IntN(40))
		for i := range routes {
			routes[i] = someRoute(r)
		}
		text, err := json.Marshal(map[string]any{"routes": routes})
		if err != nil {
			t.Fatal(err)
		}
		p := parse(t, string(text))
		never := map[string]bool{}
		for _, w := range p.Warnings {
			never[w.Field] = strings.Contains(w.Found, "never holds")
		}
		covered += len(never)
		for range 300 {
			c := someCall(r)
			got, want := p.Match(c), linear(p, c)
			if got != want {
				t.Fatalf("seed %d: %+v: got %+v, want %+v", seed, c, got, want)
			}
			if got == nil {
				continue
			}
			found++
			if never[fmt.Sprintf("routes[%d]", got.Number)] {
				t.Fatalf("seed %d: %+v reaches %s, which is said never to hold", seed, c, got.Name)
			}
		}
	}
	if found < 5_000 || covered < 50 {
		t.Errorf("only %d calls fitted, only %d routes were covered: the test tests little", found, covered)
	}
}

// many is a policy of n routes, as a generator would write it.
func many(n int) string {
	var b strings.Builder
	b.WriteString(`{"limits": {"a": "1000000000/s"}, "routes": [`)
	for i := range n {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, `{"match": {"path": "/service%d/items/{id}", "method": "GET"}, "key": "address", "limits": "a"},`, i)
		case 1:
			fmt.Fprintf(&b, `{"match": {"path": "/service%d/items", "method": ["POST", "PUT"]}, "key": "address", "limits": "a"},`, i)
		case 2:
			fmt.Fprintf(&b, `{"match": {"path": "/**", "host": "host%d.example.com"}, "key": ["user", "route"], "limits": ["a"], "cost": 2},`, i)
		case 3:
			fmt.Fprintf(&b, `{"match": {"path": "/*/reports/%d/**"}, "key": "header:X-Tenant", "limits": ["a"]},`, i)
		}
	}
	b.WriteString(`{"match": {"path": "/**"}, "key": "address", "limits": ["a"]}]}`)
	return b.String()
}

func TestTenThousandRoutes(t *testing.T) {
	p := parse(t, many(10_000))
	if len(p.Routes) != 10_001 || len(p.Warnings) > 0 {
		t.Fatalf("%d routes, warnings %v", len(p.Routes), p.Warnings)
	}
	for path, want := range map[string]int{
		"/service9996/items/7": 9996,
		"/x/reports/9999/y/z":  9999,
		"/service9997/items":   10_000, // another method
		"/nothing":             10_000,
	} {
		if got := p.Match(get(path)); got.Number != want {
			t.Errorf("%s: route %d, want %d", path, got.Number, want)
		}
	}
	c := get("/anything")
	c.host = "host9998.example.com"
	if got := p.Match(c); got.Number != 9998 {
		t.Errorf("by host: route %d", got.Number)
	}
	visited := testing.AllocsPerRun(100, func() { p.Match(c) })
	if visited > 0 {
		t.Errorf("%v allocations", visited)
	}
}

// Ten thousand routes that differ only in a header are compared a bounded number of times.
func TestManyRoutesOfOnePath(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"routes": [`)
	for i := range 10_000 {
		fmt.Fprintf(&b, `{"match": {"path": "/x", "header": {"X-Tenant": "%d"}}, "mode": "off"},`, i)
	}
	b.WriteString(`{"mode": "off"}]}`)
	p := parse(t, b.String())
	if got := p.Match(get("/x", "header X-Tenant=9999")); got.Number != 9999 {
		t.Errorf("route %d", got.Number)
	}
}

func BenchmarkParseTenThousandRoutes(b *testing.B) {
	text := []byte(many(10_000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := policy.Parse("", text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		p := parse(b, many(n))
		c := get(fmt.Sprintf("/service%d/items/7", n/4*4-4))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Match(c)
			}
		})
	}
}
