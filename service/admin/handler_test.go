package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/admin"
	"github.com/stint-go/stint/service/database"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of 32 bytes for the test"

func handler(t *testing.T) http.Handler {
	t.Helper()
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a.db"), database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h, err := admin.New(admin.Options{
		Token: token, Accounts: accounts.New(db),
		Open: map[string]http.Handler{"GET /healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// do sends a request, and reads the answer's object.
func do(t *testing.T, h http.Handler, method, path, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s: %d %q", method, path, w.Code, w.Body)
		}
	}
	if problem := w.Code >= 400; problem != (w.Header().Get("Content-Type") == "application/problem+json") {
		t.Errorf("%s %s: %d as %s", method, path, w.Code, w.Header().Get("Content-Type"))
	}
	return w.Code, answer
}

func TestToken(t *testing.T) {
	h := handler(t)
	for _, sent := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + token, token, "Bearer " + token + "x"} {
		if code, answer := do(t, h, "GET", "/v1/users", "", "Authorization", sent); code != 401 || answer["detail"] == nil {
			t.Errorf("%q: %d %v", sent, code, answer)
		}
	}
	for path, want := range map[string]int{"/v1/users": 200, "/healthz": 200, "/v1/nothing": 404} {
		if code, _ := do(t, h, "GET", path, ""); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := do(t, h, "GET", "/healthz", "", "Authorization", ""); code != 200 {
		t.Errorf("health without a token: %d", code)
	}
	if _, err := admin.New(admin.Options{Token: "short"}); err == nil {
		t.Error("a short token is taken")
	}
}

func TestAccountsOverHTTP(t *testing.T) {
	h := handler(t)
	for i, c := range []struct {
		method, path, body string
		code               int
		want               string // in the answer, as Go prints it
	}{
		{"POST", "/v1/users", `{"name": "alice", "plan": "pro"}`, 201, "plan:pro"},
		{"POST", "/v1/users", `{"name": "alice"}`, 409, "exists already"},
		{"POST", "/v1/users", `{"name": "team-*"}`, 422, "allowed is"},
		{"POST", "/v1/users", `{"nam": "x"}`, 400, `unknown field`},
		{"POST", "/v1/users", `{"name": "x"} {}`, 400, "behind the JSON"},
		{"POST", "/v1/users", strings.Repeat(" ", 70_000) + `{"name": "x"}`, 413, "larger than"},
		{"GET", "/v1/users?n=1", "", 200, "name:alice"},
		{"GET", "/v1/users/nobody", "", 404, "none of that name"},
		{"PATCH", "/v1/users/alice", `{"plan": "free", "disabled": true}`, 200, "plan:free"},
		{"PATCH", "/v1/users/alice", `{"disabled": false}`, 200, "disabled_at:<nil>"},
		{"PUT", "/v1/plans/free/values/hourly", `{"value": "10/hour"}`, 200, "hourly:10/hour"},
		{"PUT", "/v1/plans/free/values/hourly", `{"value": "10/month"}`, 422, "column 4"},
		{"GET", "/v1/plans", "", 200, "name:free"},
		{"DELETE", "/v1/plans/free/values/hourly", "", 200, "name:free"},
		{"DELETE", "/v1/plans/free/values/hourly", "", 404, "none"},
		{"DELETE", "/v1/plans/free", "", 200, "deleted:free"},
		{"GET", "/v1/plans/free", "", 404, "none"},
		{"PUT", "/v1/overrides/user/alice/hourly", `{"value": "7/hour"}`, 200, "value:7/hour"},
		{"PUT", "/v1/overrides/wildcard/team-*/hourly", `{"value": "7/hour"}`, 200, "subject:team-*"},
		{"PUT", "/v1/overrides/key/nothing/hourly", `{"value": "7/hour"}`, 404, "none"},
		{"PUT", "/v1/overrides/team/x/hourly", `{"value": "7/hour"}`, 422, "kind"},
		{"GET", "/v1/overrides?kind=user", "", 200, "subject:alice"},
		{"GET", "/v1/overrides?after=user/alice/hourly", "", 200, "[map[kind:wildcard"},
		{"GET", "/v1/overrides?after=alice", "", 422, "KIND/SUBJECT/LIMIT"},
		{"DELETE", "/v1/overrides/user/alice/hourly", "", 200, "alice"},
		{"POST", "/v1/keys", `{"user": "nobody"}`, 404, "none"},
		{"POST", "/v1/keys", `{"user": "alice", "scopes": ["all"]}`, 422, "scope"},
		{"DELETE", "/v1/keys/nothing", "", 404, "none"},
	} {
		code, answer := do(t, h, c.method, c.path, c.body)
		if code != c.code || !strings.Contains(fmt.Sprint(answer), c.want) {
			t.Errorf("%d: %s %s: %d %v, want %d and %s", i, c.method, c.path, code, answer, c.code, c.want)
		}
	}
	code, made := do(t, h, "POST", "/v1/keys", `{"user": "alice", "scopes": ["routes", "decide"], "label": "x", "expires_at": "2999-01-01T00:00:00Z"}`)
	id, _ := made["id"].(string)
	if secret, _ := made["secret"].(string); code != 201 || !strings.HasPrefix(secret, "stint_"+id) || len(id) != 8 {
		t.Fatalf("%d %v", code, made)
	}
	if code, shown := do(t, h, "GET", "/v1/keys/"+id, ""); code != 200 || shown["secret"] != nil || shown["user"] != "alice" {
		t.Errorf("%d %v", code, shown)
	}
	if code, revoked := do(t, h, "DELETE", "/v1/keys/"+id, ""); code != 200 || revoked["revoked_at"] == nil {
		t.Errorf("%d %v", code, revoked)
	}
	if code, keys := do(t, h, "GET", "/v1/keys?user=alice", ""); code != 200 || len(keys["keys"].([]any)) != 1 {
		t.Errorf("%d %v", code, keys)
	}
}

func ExampleNew() {
	_, err := admin.New(admin.Options{Token: "too short"})
	fmt.Println(err)
	// Output: admin: the token has less than 16 bytes; take a longer one, such as the output of: openssl rand -hex 32
}
