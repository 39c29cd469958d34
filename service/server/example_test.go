package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/stint-go/stint/service/server"
)

func ExampleServer_Serve() {
	s, err := server.Listen(server.Options{
		Address: "127.0.0.1:0",
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()

	res, err := http.Get(s.URL())
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	fmt.Println(string(body))

	stop()
	fmt.Println(<-ended)
	// Output:
	// hello
	// <nil>
}
