package problem_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/stint-go/stint/service/problem"
)

func ExampleWrite() {
	w := httptest.NewRecorder()
	problem.Write(w, 404, "there is no user of that name")
	fmt.Println(w.Header().Get("Content-Type"))
	fmt.Print(w.Body)
	// Output:
	// application/problem+json
	// {"type":"about:blank","title":"Not Found","status":404,"detail":"there is no user of that name"}
}
