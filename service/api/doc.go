// Package api is the decision API of a service: decisions for programs in any language, as JSON over HTTP.
//
//	POST /v1/take      one call, or {"calls": [...]}, each all or nothing      dry_run looks only
//	POST /v1/peek      the same, and nothing is taken
//	POST /v1/explain   which route and limits hold for a request, and why, and how they stand
//	POST /v1/reserve   takes what a call may cost, for /v1/commit (the actual cost) or /v1/cancel
//	POST /v1/refund    gives back what a receipt proves
//	POST /v1/block     refuses a key for a time
//	POST /v1/reset     makes a key a new one
//	GET  /v1/openapi.yaml
//
// A call names a limit of the policy and a key, or several, or describes a request that the policy decides; a caller never sends limits of
// its own, unless the policy lets its user. Callers show an API key whose scopes say decide, or manage for blocks and resets.
//
// A decision is answered 200 whatever it says. Everything else is a problem detail (RFC 9457): 400 and 422 for what cannot be meant, with
// the place and what is allowed, 401, 403, 409 for what was settled already, 413, and 503 where no decision could be had.
//
// Receipts and reservations are opaque texts that are signed, so that they may come back to any instance with the same secret, once.
package api
