package policy_test

import (
	"context"
	"fmt"
	"log"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/policy"
)

func Example() {
	p, err := policy.Parse("stint.json", []byte(`{
		"limits": {"hourly": "2/hour"},
		"routes": [{"match": {"path": "/users/{id}/**"}, "key": ["address", "path:id"], "limits": ["hourly"]}]
	}`))
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := stint.NewWith(stint.Options{}) // the policy brings the limits
	if err != nil {
		log.Fatal(err)
	}
	defer limiter.Close()

	call := get("/users/7/files") // a door makes it of its request
	for range 3 {
		claims, refusal := p.Match(call).Claims(call, nil)
		if refusal != policy.NotRefused {
			fmt.Println("refused at once:", refusal)
			return
		}
		d, err := limiter.TakeAll(context.Background(), claims, nil)
		fmt.Println(d.Allowed, d.Remaining, err)
	}
	// Output:
	// true 1 <nil>
	// true 0 <nil>
	// false 0 <nil>
}

func ExampleParse_mistakes() {
	_, err := policy.Parse("stint.json", []byte(`{
  "limits": {"hourly": "100/huor"},
  "routes": [{"key": "adress", "limit": ["hourly"]}]
}`))
	fmt.Println(err)
	// Output:
	// stint.json:2:24: limits.hourly: in "100/huor" found "huor"; expected is a span of time, such as "hour", "3 hours" or "1m30s"
	// stint.json:3:22: routes[0].key: found "adress" (did you mean "address"?); allowed is address, user, plan, api-key, route, basic-user, header:NAME, cookie:NAME, query:NAME, path:NAME or fixed:NAME, or several joined by +
	// stint.json:3:32: routes[0]: unknown field "limit" (did you mean "limits"?); known: name, match, require, key, missing-key, limits, cost, mode, enforce, skip, charge-on, over-limit, respond, upstream
}

func ExamplePolicy_Explain() {
	p, err := policy.Parse("stint.json", []byte(`{
		"limits": {"bursty": {"rate": "100/hour", "strategy": "token-bucket"}},
		"routes": [
			{"match": {"path": "/health"}, "mode": "off"},
			{"match": {"path": "/**"}, "key": "address", "limits": ["bursty"]}
		]}`))
	if err != nil {
		log.Fatal(err)
	}
	e := p.Explain(get("/index.html"))
	for _, l := range e.Looked {
		fmt.Printf("%s does not hold: the %s differs\n", l.Route.Name, l.Differs)
	}
	fmt.Printf("%s holds for %s\n", e.Route.Name, e.Key)
	for _, l := range e.Limits {
		fmt.Printf("%s: %d at once, at most %d in any %v\n", l.ID, l.AtOnce, l.Most, l.Window)
	}
	// Output:
	// /health does not hold: the path differs
	// /** holds for address:192.0.2.7
	// bursty: 100 at once, at most 200 in any 1h0m0s
}

func ExampleParseKey() {
	key, err := policy.ParseKey("address+header:X-Tenant")
	if err != nil {
		log.Fatal(err)
	}
	_, ok := key.Of(get("/")) // the call has no such header
	fmt.Println(key, ok)
	// Output: address+header:X-Tenant false
}

func ExamplePattern() {
	p, err := policy.ParsePattern("/users/{id}/**")
	if err != nil {
		log.Fatal(err)
	}
	id, ok := p.Value("/users/7/files/a.txt", "id")
	fmt.Println(id, ok, p.Match("/groups/7"))
	// Output: 7 true false
}
