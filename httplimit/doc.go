// Package httplimit puts limits in front of net/http handlers, and behind net/http clients. It only translates: a request
// becomes a key and a cost, the decision of a [stint.Limiter] becomes a status, headers and a body.
//
// # A handler with a limit
//
// [Handler] wraps a handler, [Middleware] is the same in the form that routers like chi take:
//
//	limiter, err := stint.New(stint.PerSecond(10).WithID("per-key"))
//	…
//	limited, err := httplimit.Handler(next, httplimit.Options{
//		Limiter: limiter,
//		Key:     policy.Header("X-API-Key"),
//	})
//
// A request over the limit is answered with 429, a Retry-After, and "Rate limit exceeded. Try again in 3 seconds". One that
// lacks the key is refused, too: with 401 if the key says who the client is, else with 400. If no decision can be had, because
// the store is lost, the answer is 503, unless Options.FailOpen says otherwise.
//
// [Options] also has a cost for each request, paths that are not counted, a shadow mode that only marks what it would refuse,
// and charges that follow from the response, such as "only failed log-ins count". Put the handler behind the router, around
// the single handler, where the key comes from the path:
//
//	mux.Handle("GET /users/{id}", middleware(users)) // policy.PathValue("id")
//
// A whole policy file with routes, plans and several limits is served by [Policy].
//
// # Who the client is
//
// Counting by address needs a choice, since X-Forwarded-For is written by anybody:
//
//	Address: httplimit.Peer()                                             // clients connect directly
//	Address: httplimit.Hops(1)                                            // one proxy in front
//	Address: httplimit.Trusted(netip.MustParsePrefix("10.0.0.0/8"))       // proxies in these networks
//
// One IPv6 client is a /64 unless you say otherwise, addresses mapped from IPv4 are the IPv4 ones, and all callers on a Unix
// socket share the key "unix".
//
// # What clients are told
//
// [Answers] chooses the headers: [IETF] (RateLimit and RateLimit-Policy, the default), [XRateLimit], [Draft6], [NoHeaders], or a
// [Dialect] of your own. What handlers and upstreams further in have said is merged, and never made looser. It also chooses the
// bodies of refusals: [Text], [JSON] and [Problem] (RFC 9457), of which the request's Accept header takes its favourite, or a
// handler of your own. Handlers find the decision by [DecisionFrom].
//
// # A client that obeys
//
// [Transport] is an http.RoundTripper that holds requests to a limiter of your own and to what servers say in Retry-After and
// RateLimit headers. It waits or refuses, as you choose, and repeats refused requests if you ask for it.
package httplimit
