// Package proxy hands HTTP requests on to one upstream, as a limiter in front of a service needs it: everything passes as it
// is, and nothing is kept.
//
//	p, err := proxy.New(proxy.Options{Upstream: "http://127.0.0.1:5000"})
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	http.ListenAndServe("127.0.0.1:8080", p)
//
// Bodies are streamed both ways and flushed at once, so that server-sent events arrive when they are sent; websockets and other
// upgrades pass; trailers pass both ways; Expect: 100-continue is asked of the upstream. A client that leaves cancels its
// request upstream. Over HTTP/1 an answer that begins before the request has ended ends the request: what is left of it is not
// handed on any more. (The standard library's server can do both at once, but breaks connections over it.)
//
// X-Forwarded-For, -Host and -Proto tell the upstream who asked. What a client says in such headers, in Forwarded and in
// X-Real-Ip is dropped, unless the client is a trusted proxy itself.
package proxy
