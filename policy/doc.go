// Package policy is the model of a policy file: which limits hold for which calls, who is counted, and what is answered. It
// decides nothing and knows no HTTP: a door makes a [Call] out of its request, and gets a [Route] and its claims.
//
//	p, err := policy.Parse("stint.json", data)
//	…
//	route := p.Match(call) // the first that fits, found without looking at all of them
//	claims, refusal := route.Claims(call, nil)
//	…
//	decision, err := limiter.TakeAll(ctx, claims, nil)
//
// A policy in YAML is read by the package policyfile of the service module, into the same tree of [Node]s and with the same
// messages. This is one, in JSON:
//
//	{
//	  "limits": {
//	    "hourly": "100/hour",
//	    "bursty": {"rate": "10/s", "burst": 20, "on-store-loss": "open"}
//	  },
//	  "plans": {"pro": {"hourly": "10000/hour"}},
//	  "clients": {"trusted-proxies": ["10.0.0.0/8"], "ipv6-prefix": 64},
//	  "routes": [
//	    {"match": {"path": "/health"}, "mode": "off", "respond": {"body": "ok"}},
//	    {"match": {"path": "/api/**", "method": ["POST", "PUT"]}, "key": ["user", "route"], "limits": ["hourly"], "cost": 5},
//	    {"match": {"path": "/**"}, "key": "address", "limits": ["hourly", "bursty"], "upstream": "http://127.0.0.1:5000"}
//	  ]
//	}
//
// # What may stand in it
//
// Of the routes the first that fits a call holds, and no other; a call that none fits is not limited. A route that gives no
// path, method, host, header, query or address in its match fits whatever stands there. Paths are patterns, see [Pattern].
//
// All limits of a route hold together: a call takes its cost from each of them, or from none. Counts belong to a limit's id and
// a key, so routes that name the same limit share its counts; keys of different kinds never meet ([Key.Qualified]). A limit can
// have other values in a plan, which the call's attribute "plan" picks.
//
// A call that lacks the key that its route counts by is refused, unless missing-key says {use: NAME}. A cost is a number or
// comes from a header; see [Cost]. charge-on gives back what a call took if its response turns out not to count; see
// [ChargeOn].
//
// # Mistakes
//
// Whatever the file does not know is a mistake: an unknown field, a limit that is not there, a number out of its range. All of
// a file's mistakes are reported at once, as [*Mistakes]: file, line, column, what was found, what is allowed, and what was
// probably meant. What is allowed and probably not meant is in [Policy.Warnings]: a limit that no route uses, a route that an
// earlier one covers. [Policy.Explain] says which route and limits hold for a call, and why, counting nothing.
package policy
