package load_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/httplimit"
	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/load"
)

func Example() {
	limiter, err := stint.New(stint.PerHour(10))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer limiter.Close()
	service, err := httplimit.Handler(http.NotFoundHandler(), httplimit.Options{Limiter: limiter, Key: policy.Header("X-API-KEY")})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(service)
	defer server.Close()

	report, err := load.Run(context.Background(), load.Options{
		URL:      server.URL,
		Header:   http.Header{"X-Api-Key": {"alice"}},
		Rate:     stint.PerSecond(1000),
		Requests: 50,
		Expect:   []stint.Limit{stint.PerHour(10)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("admitted", report.Admitted, "refused", report.Refused, "held", report.Held)
	// Output: admitted 10 refused 40 held true
}
