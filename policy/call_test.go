package policy_test

import (
	"strings"
	"testing"

	"github.com/stint-go/stint/policy"
)

// call is a call under test. Values are looked up as "header X-Name", "query q", "cookie c", "path id", "attribute user".
type call struct {
	method, host, path, address, basic string
	values                             map[string]string
	caller                             *policy.Caller
}

// get is a GET with values written as "header X-Tenant=acme".
func get(path string, values ...string) *call {
	c := &call{method: "GET", host: "example.com", path: path, address: "192.0.2.7", values: map[string]string{}}
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		c.values[name] = value
	}
	return c
}

func (c *call) Method() string { return c.method }
func (c *call) Host() string   { return c.host }
func (c *call) Path() string   { return c.path }

func (c *call) value(name string) (string, bool) { v, ok := c.values[name]; return v, ok }

func (c *call) Header(name string) (string, bool)    { return c.value("header " + name) }
func (c *call) Query(name string) (string, bool)     { return c.value("query " + name) }
func (c *call) Cookie(name string) (string, bool)    { return c.value("cookie " + name) }
func (c *call) PathValue(name string) (string, bool) { return c.value("path " + name) }
func (c *call) Caller() *policy.Caller               { return c.caller }

func (c *call) Attribute(name string) (string, bool) { return c.value("attribute " + name) }
func (c *call) BasicUser() (string, bool)            { return c.basic, c.basic != "" }
func (c *call) Address() (string, bool)              { return c.address, c.address != "" }

// parse reads a policy that has no mistakes.
func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("test.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
