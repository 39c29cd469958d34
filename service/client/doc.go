// Package client asks a service of Stint for decisions, over its API. It needs the standard library alone.
//
//	c, err := client.New(client.Options{URL: "http://127.0.0.1:8080", Key: os.Getenv("STINT_API_KEY")})
//	defer c.Close()
//	d, err := c.Take(ctx, client.Call{Limit: "hourly", Key: "user:alice"})
//	if err == nil && !d.Allowed { … d.RetryAfter }
//
// Takes that come at the same time go in one request: one is under way at a time, and those that come meanwhile go with the next, first
// come first served. A lone caller pays nothing for it. What was refused is remembered until it can end, for a second at most, so that a
// caller in a loop costs no round trip; a smaller cost is asked for anew.
//
// An error is no refusal: the service could not be asked, or could not decide, and the program chooses. A [*Problem] is what the service
// answered. A call that got no answer may have been charged; with [Call.Idempotency] it is tried once more, and counts once.
//
// A client is safe for concurrent use.
package client
