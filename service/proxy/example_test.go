package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/stint-go/stint/service/proxy"
)

func ExampleNew() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "asked for %s by %s", r.URL, r.Header.Get("X-Forwarded-For"))
	}))
	defer upstream.Close()

	p, err := proxy.New(proxy.Options{Upstream: upstream.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	front := httptest.NewServer(p)
	defer front.Close()

	res, err := front.Client().Get(front.URL + "/a?b=c")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(string(body))
	// Output: asked for /a?b=c by 127.0.0.1
}
