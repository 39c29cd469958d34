package httplimit_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
)

// show prints what a handler answers.
func show(h http.Handler, r *http.Request, headers ...string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
	for _, name := range headers {
		fmt.Printf("  %s: %s\n", name, w.Header().Get(name))
	}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })

func Example() {
	limiter, err := stint.New(stint.PerHour(1).WithID("hourly"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = limiter.Close() }()
	limited, err := httplimit.Handler(hello, httplimit.Options{Limiter: limiter, Key: policy.Header("X-API-Key")})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest("GET", "/", nil)
	show(limited, r, "WWW-Authenticate")
	r.Header.Set("X-API-Key", "ann")
	show(limited, r, "RateLimit-Policy", "RateLimit")
	show(limited, r, "Retry-After", "Cache-Control")
	// Output:
	// 401 The request lacks what it is counted by: header:X-Api-Key
	//   WWW-Authenticate: ApiKey in="header:X-Api-Key"
	// 200 hello
	//   RateLimit-Policy: "hourly";q=1;w=3600
	//   RateLimit: "hourly";r=0;t=3600
	// 429 Rate limit exceeded. Try again in 3600 seconds
	//   Retry-After: 3600
	//   Cache-Control: no-store
}

// Behind the router the key can come from the path.
func ExampleMiddleware() {
	limiter, err := stint.New(stint.PerHour(1))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = limiter.Close() }()
	perUser, err := httplimit.Middleware(httplimit.Options{Limiter: limiter, Key: policy.PathValue("id")})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", perUser(hello))

	show(mux, httptest.NewRequest("GET", "/users/1", nil))
	show(mux, httptest.NewRequest("GET", "/users/1", nil))
	show(mux, httptest.NewRequest("GET", "/users/2", nil))
	// Output:
	// 200 hello
	// 429 Rate limit exceeded. Try again in 3600 seconds
	// 200 hello
}

// Clients behind proxies are counted by the address that the proxies saw, not by what the client claims.
func ExampleTrusted() {
	source := httplimit.Trusted(netip.MustParsePrefix("10.0.0.0/8"))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.2:4711"
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 2001:db8::1, 10.0.0.1")

	address, _ := source.Of(r)
	key, _ := source.Key(r)
	fmt.Println(address, key)
	// Output: 2001:db8::1 2001:db8::/64
}

// Programs get JSON, people get text.
func ExampleAnswers() {
	limiter, err := stint.New(stint.PerHour(0).WithID("closed"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = limiter.Close() }()
	limited, err := httplimit.Handler(hello, httplimit.Options{
		Limiter: limiter,
		Key:     policy.Fixed("all"),
		Answers: httplimit.Answers{
			Headers: []httplimit.Dialect{httplimit.XRateLimit{Seconds: true}},
			Bodies:  []httplimit.Body{httplimit.Text{}, httplimit.Problem{}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	show(limited, r, "Content-Type")
	r.Header.Set("Accept", "text/*;q=0.5, application/problem+json")
	show(limited, r, "Content-Type", "X-RateLimit-Limit")
	// Output:
	// 429 Rate limit exceeded. The request is larger than the limit will ever admit
	//   Content-Type: text/plain; charset=utf-8
	// 429 {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"detail":"Rate limit exceeded. The request is larger than the limit will ever admit","violated-policies":["closed"]}
	//   Content-Type: application/problem+json
	//   X-RateLimit-Limit: 0
}

// Only failed log-ins count, and guesses made at the same time do not slip through together.
func ExampleChargeStatus() {
	limiter, err := stint.New(stint.PerHour(2).WithID("failed log-ins"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = limiter.Close() }()
	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("password") != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	limited, err := httplimit.Handler(login, httplimit.Options{
		Limiter: limiter,
		Key:     policy.Address(),
		Address: httplimit.Peer(),
		Charge:  httplimit.ChargeStatus(func(status int) bool { return status == http.StatusUnauthorized }),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, password := range []string{"secret", "secret", "guess", "secret", "guess", "secret"} {
		show(limited, httptest.NewRequest("POST", "/login?password="+password, nil))
	}
	// Output:
	// 200
	// 200
	// 401
	// 200
	// 401
	// 429 Rate limit exceeded. Try again in 3600 seconds
}

func ExampleDecisionFrom() {
	limiter, err := stint.New(stint.PerHour(10))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = limiter.Close() }()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := httplimit.DecisionFrom(r.Context())
		_, _ = fmt.Fprintf(w, "%d of %d left", d.Remaining, d.Limit)
	})
	limited, err := httplimit.Handler(next, httplimit.Options{Limiter: limiter, Key: policy.Fixed("all")})
	if err != nil {
		log.Fatal(err)
	}
	show(limited, httptest.NewRequest("GET", "/", nil))
	// Output: 200 9 of 10 left
}

// A client that sends nothing while the server has asked for quiet.
func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()

	transport, err := httplimit.NewTransport(httplimit.TransportOptions{Refuse: true})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	response, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	_ = response.Body.Close()
	fmt.Println(response.StatusCode)

	_, err = client.Get(server.URL)
	var limited *httplimit.LimitedError
	fmt.Println(errors.As(err, &limited), limited.ByServer, stint.Seconds(limited.RetryAfter))
	// Output:
	// 429
	// true true 120
}
