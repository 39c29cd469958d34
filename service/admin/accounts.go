package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/stint-go/stint/service/accounts"
	"github.com/stint-go/stint/service/problem"
)

// api answers for accounts.
type api struct{ accounts *accounts.Accounts }

func (a *api) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/users", a.users)
	mux.HandleFunc("POST /v1/users", a.createUser)
	mux.HandleFunc("GET /v1/users/{name}", a.user)
	mux.HandleFunc("PATCH /v1/users/{name}", a.changeUser)
	mux.HandleFunc("GET /v1/keys", a.keys)
	mux.HandleFunc("POST /v1/keys", a.createKey)
	mux.HandleFunc("GET /v1/keys/{id}", a.key)
	mux.HandleFunc("DELETE /v1/keys/{id}", a.revokeKey)
	mux.HandleFunc("GET /v1/plans", a.plans)
	mux.HandleFunc("GET /v1/plans/{name}", a.plan)
	mux.HandleFunc("DELETE /v1/plans/{name}", a.deletePlan)
	mux.HandleFunc("PUT /v1/plans/{name}/values/{limit}", a.setPlanValue)
	mux.HandleFunc("DELETE /v1/plans/{name}/values/{limit}", a.unsetPlanValue)
	mux.HandleFunc("GET /v1/overrides", a.overrides)
	mux.HandleFunc("PUT /v1/overrides/{kind}/{subject}/{limit}", a.setOverride)
	mux.HandleFunc("DELETE /v1/overrides/{kind}/{subject}/{limit}", a.unsetOverride)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, http.StatusNotFound, "nothing is served under "+r.Method+" "+r.URL.Path)
	})
}

// page is what a list is asked for; a number that cannot be read is the default.
func page(r *http.Request) (after string, n int) {
	n, _ = strconv.Atoi(r.URL.Query().Get("n"))
	return r.URL.Query().Get("after"), n
}

// list is a list in an object, so that more can be said beside it later.
func list(name string, items any) map[string]any { return map[string]any{name: items} }

func (a *api) users(w http.ResponseWriter, r *http.Request) {
	after, n := page(r)
	users, err := a.accounts.Users(r.Context(), after, n)
	answer(w, http.StatusOK, list("users", users), err)
}

func (a *api) user(w http.ResponseWriter, r *http.Request) {
	u, err := a.accounts.User(r.Context(), r.PathValue("name"))
	answer(w, http.StatusOK, u, err)
}

func (a *api) createUser(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name, Plan string }
	err := read(w, r, &asked)
	var u *accounts.User
	if err == nil {
		u, err = a.accounts.CreateUser(r.Context(), asked.Name, asked.Plan)
	}
	answer(w, http.StatusCreated, u, err)
}

func (a *api) changeUser(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Plan     *string
		Disabled *bool
	}
	name := r.PathValue("name")
	err := read(w, r, &asked)
	if err == nil && asked.Plan != nil {
		err = a.accounts.SetUserPlan(r.Context(), name, *asked.Plan)
	}
	if err == nil && asked.Disabled != nil {
		change := a.accounts.EnableUser
		if *asked.Disabled {
			change = a.accounts.DisableUser
		}
		err = change(r.Context(), name)
	}
	var u *accounts.User
	if err == nil {
		u, err = a.accounts.User(r.Context(), name)
	}
	answer(w, http.StatusOK, u, err)
}

func (a *api) keys(w http.ResponseWriter, r *http.Request) {
	after, n := page(r)
	keys, err := a.accounts.Keys(r.Context(), r.URL.Query().Get("user"), after, n)
	answer(w, http.StatusOK, list("keys", keys), err)
}

func (a *api) key(w http.ResponseWriter, r *http.Request) {
	k, err := a.accounts.Key(r.Context(), r.PathValue("id"))
	answer(w, http.StatusOK, k, err)
}

func (a *api) createKey(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		User, Label string
		Scopes      []string
		ExpiresAt   time.Time `json:"expires_at"`
	}
	err := read(w, r, &asked)
	made := struct {
		*accounts.Key
		Secret string `json:"secret"`
	}{}
	o := accounts.KeyOptions{Label: asked.Label, Expires: asked.ExpiresAt}
	if err == nil {
		o.Scopes, err = accounts.ParseScopes(asked.Scopes)
	}
	if err == nil {
		made.Key, made.Secret, err = a.accounts.CreateKey(r.Context(), asked.User, o)
	}
	answer(w, http.StatusCreated, made, err)
}

func (a *api) revokeKey(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	err := a.accounts.RevokeKey(r.Context(), id)
	var k *accounts.Key
	if err == nil {
		k, err = a.accounts.Key(r.Context(), id)
	}
	answer(w, http.StatusOK, k, err)
}

func (a *api) plans(w http.ResponseWriter, r *http.Request) {
	plans, err := a.accounts.Plans(r.Context())
	answer(w, http.StatusOK, list("plans", plans), err)
}

func (a *api) plan(w http.ResponseWriter, r *http.Request) {
	p, err := a.accounts.Plan(r.Context(), r.PathValue("name"))
	answer(w, http.StatusOK, p, err)
}

func (a *api) deletePlan(w http.ResponseWriter, r *http.Request) {
	err := a.accounts.DeletePlan(r.Context(), r.PathValue("name"))
	answer(w, http.StatusOK, map[string]string{"deleted": r.PathValue("name")}, err)
}

// value is the body of a request that sets one.
type value struct{ Value string }

func (a *api) setPlanValue(w http.ResponseWriter, r *http.Request) {
	var asked value
	err := read(w, r, &asked)
	if err == nil {
		err = a.accounts.SetPlanValue(r.Context(), r.PathValue("name"), r.PathValue("limit"), asked.Value)
	}
	var p *accounts.Plan
	if err == nil {
		p, err = a.accounts.Plan(r.Context(), r.PathValue("name"))
	}
	answer(w, http.StatusOK, p, err)
}

func (a *api) unsetPlanValue(w http.ResponseWriter, r *http.Request) {
	err := a.accounts.UnsetPlanValue(r.Context(), r.PathValue("name"), r.PathValue("limit"))
	var p *accounts.Plan
	if err == nil {
		p, err = a.accounts.Plan(r.Context(), r.PathValue("name"))
	}
	answer(w, http.StatusOK, p, err)
}

func (a *api) overrides(w http.ResponseWriter, r *http.Request) {
	after, n := page(r)
	place, err := accounts.ParsePlace(after)
	var overrides []accounts.Override
	if err == nil {
		overrides, err = a.accounts.Overrides(r.Context(), r.URL.Query().Get("kind"), place, n)
	}
	answer(w, http.StatusOK, list("overrides", overrides), err)
}

func (a *api) setOverride(w http.ResponseWriter, r *http.Request) {
	var asked value
	err := read(w, r, &asked)
	o := accounts.Override{Kind: r.PathValue("kind"), Subject: r.PathValue("subject"), Limit: r.PathValue("limit"), Value: asked.Value}
	if err == nil {
		err = a.accounts.SetOverride(r.Context(), o)
	}
	answer(w, http.StatusOK, o, err)
}

func (a *api) unsetOverride(w http.ResponseWriter, r *http.Request) {
	o := accounts.Override{Kind: r.PathValue("kind"), Subject: r.PathValue("subject"), Limit: r.PathValue("limit")}
	err := a.accounts.UnsetOverride(r.Context(), o.Kind, o.Subject, o.Limit)
	answer(w, http.StatusOK, o, err)
}
