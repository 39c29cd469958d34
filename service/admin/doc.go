// Package admin is the admin API of a service: users, API keys, plans and values over HTTP, and a place for what else only operators may
// see (usage, trials, metrics, profiles).
//
//	GET    /v1/users[?after=NAME&n=100]          POST /v1/users           {"name", "plan"}
//	GET    /v1/users/{name}                      PATCH /v1/users/{name}   {"plan"} or {"disabled": true}
//	GET    /v1/keys[?user=NAME&after=ID&n=100]   POST /v1/keys            {"user", "scopes", "label", "expires_at"}: the answer holds the secret
//	GET    /v1/keys/{id}                         DELETE /v1/keys/{id}     revokes it
//	GET    /v1/plans                             GET, DELETE /v1/plans/{name}
//	PUT    /v1/plans/{name}/values/{limit}       {"value": "100/hour"}    DELETE takes it away
//	GET    /v1/overrides[?kind=user&after=KIND/SUBJECT/LIMIT]  PUT, DELETE /v1/overrides/{kind}/{subject}/{limit}
//
// Every request carries "Authorization: Bearer TOKEN", compared in constant time. Errors are problem details (RFC 9457). It is for a
// listener of its own, on this machine or a private network.
package admin
