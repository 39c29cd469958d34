package policyfile

import "testing"

func TestDefault(t *testing.T) {
	p, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(p.Routes[0].Name, p.Limits[0].Value)
}
