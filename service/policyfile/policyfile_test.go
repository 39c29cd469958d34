package policyfile_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/policyfile"
)

var update = flag.Bool("update", false, "write the golden files")

// Every file in testdata has what is said of it beside it. Read those texts as somebody who is in a hurry.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policyfile.Parse(filepath.Base(file), data)
		text := ""
		if err != nil {
			var m *policy.Mistakes
			if !errors.As(err, &m) || len(m.List) == 0 || p != nil {
				t.Errorf("%s: %T %v", file, err, p)
			}
			text = err.Error() + "\n"
		} else {
			for i := range p.Warnings {
				text += "warning: " + p.Warnings[i].Error() + "\n"
			}
		}
		said := strings.TrimSuffix(file, ".yaml") + ".txt"
		if *update {
			if err := os.WriteFile(said, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, text, want)
		}
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	yaml := write("a.yaml", "limits: {a: 1/s}\nroutes: [{key: address, limits: [a]}]\n")
	json := write("a.JSON", `{"limits": {"a": "1/s"}, "routes": [{"key": "address", "limits": ["a"]}]}`)
	for _, file := range []string{yaml, json} {
		p, err := policyfile.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if p.File != file || len(p.Routes) != 1 || p.Limit("a") == nil || p.Store != "memory" {
			t.Errorf("%+v", p)
		}
	}
	if _, err := policyfile.Load(filepath.Join(folder, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	var path *fs.PathError
	if _, err := policyfile.Load(folder); !errors.As(err, &path) {
		t.Error(err)
	}
	var mistakes *policy.Mistakes
	large := write("large.yaml", strings.Repeat("#", policy.MaxFile+100))
	if _, err := policyfile.Load(large); !errors.As(err, &mistakes) {
		t.Error(err)
	}
}

// The same file in YAML and in JSON is the same policy.
func TestYAMLIsJSON(t *testing.T) {
	yaml := `
limits:
  a: {rate: 10/s, burst: 20}
plans: {pro: {a: 100/s}}
routes:
  - match: {path: "/users/{id}", method: [GET, POST]}
    key: [address, "path:id"]
    limits: [a]
    cost: {header: X-Cost, max: 5}
    charge-on: [2xx, 404]
    mode: off
  - respond: {status: 404, body: 'no'}
`
	json := `{"limits": {"a": {"rate": "10/s", "burst": 20}}, "plans": {"pro": {"a": "100/s"}}, "routes": [
		{"match": {"path": "/users/{id}", "method": ["GET", "POST"]}, "key": ["address", "path:id"], "limits": ["a"],
		 "cost": {"header": "X-Cost", "max": 5}, "charge-on": ["2xx", 404], "mode": "off"},
		{"respond": {"status": 404, "body": "no"}}]}`
	show := func(file, text string) string {
		p, err := policyfile.Parse(file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprint(p.Limit("a").Value, p.Limit("a").For("pro"), p.Headers, p.Plans)
		for _, r := range p.Routes {
			s += fmt.Sprint("\n", r.Name, r.Key, r.Cost, r.ChargeOn, r.Mode, r.Respond)
		}
		return s
	}
	if a, b := show("a.yaml", yaml), show("a.json", json); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestDefault(t *testing.T) {
	p, err := policyfile.Default()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) > 0 || len(p.Routes) != 1 || p.Limits[0].Value.String() != "10/s" {
		t.Errorf("%+v", p)
	}
}

// The policy that the design shows is one.
func TestPolicyOfTheDesign(t *testing.T) {
	p, err := policyfile.Parse("design.yaml", []byte(`
store: memory
limits:
  per-key:  {rate: 10/s, strategy: sliding-window-log}
  hourly:   {rate: 100/hour, strategy: token-bucket, on-store-loss: local}
  module:   {rate: 100/hour, strategy: interval-bucket}
plans:
  pro:      {hourly: 10000/hour}
clients:
  trusted-proxies: [127.0.0.0/8]
  ipv6-prefix: 64
routes:
  - {match: {path: /limit},   require: api-key, key: user, limits: [per-key]}
  - {match: {path: /api/**, method: [POST]}, key: [user, route], limits: [hourly], cost: 5, mode: shadow}
  - {match: {path: /**},      key: address, limits: [hourly], upstream: "http://127.0.0.1:5000"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 1 || p.Warnings[0].Field != "limits.module" {
		t.Errorf("%+v", p.Warnings)
	}
	if got := p.Limit("hourly").For("pro").String(); got != "10000/hour token-bucket" {
		t.Error(got)
	}
}

// What the built-in policy shows in comments works when the comment signs are taken away.
func TestDefaultComments(t *testing.T) {
	var text strings.Builder
	example := false
	for line := range strings.Lines(policyfile.DefaultText) {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "# plans:") || strings.HasPrefix(trimmed, "# clients:") {
			example = true
		} else if trimmed == "" {
			example = false
		}
		if example {
			line = strings.Replace(line, "# ", "", 1)
		}
		text.WriteString(line)
		if strings.HasPrefix(trimmed, "# Others, as examples") {
			example = true
		}
	}
	p, err := policyfile.Parse("uncommented", []byte(text.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if len(p.Warnings) > 2 || len(p.Limits) != 4 || len(p.Routes) != 4 || len(p.Plans) != 2 || p.Clients.TrustedProxies == nil {
		t.Errorf("%+v", p)
	}
}

// A few aliases of aliases do not become a tree that fills the memory.
func TestAliasesAreBounded(t *testing.T) {
	text := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	if _, err := policyfile.Parse("bomb.yaml", []byte(text)); err == nil {
		t.Error("accepted")
	}
}

func TestTenThousandRoutes(t *testing.T) {
	var b strings.Builder
	b.WriteString("limits:\n  a: 10/s\nroutes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&b, "  - {match: {path: /service%d/items/**, method: [GET, POST]}, key: address, limits: [a]}\n", i)
	}
	p, err := policyfile.Parse("many.yaml", []byte(b.String()))
	if err != nil || len(p.Routes) != 10_000 {
		t.Fatal(err)
	}
}

func BenchmarkParseTenThousandRoutes(b *testing.B) {
	var text strings.Builder
	text.WriteString("limits:\n  a: 10/s\nroutes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {match: {path: /service%d/items/**, method: [GET, POST]}, key: address, limits: [a]}\n", i)
	}
	data := []byte(text.String())
	for b.Loop() {
		if _, err := policyfile.Parse("many.yaml", data); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(policyfile.DefaultText))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policyfile.Parse("f.yaml", data)
		var m *policy.Mistakes
		if err != nil && (!errors.As(err, &m) || len(m.List) == 0 || p != nil) {
			t.Fatalf("%T %v", err, err)
		}
		if m != nil {
			for i := range m.List {
				if strings.Contains(m.List[i].Error(), "\n") {
					t.Errorf("several lines: %q", m.List[i].Error())
				}
			}
		}
	})
}

func ExampleParse() {
	p, err := policyfile.Parse("stint.yaml", []byte(`
limits:
  hourly: 100/hour
routes:
  - match: {path: /api/**}
    key: header:X-Tenant
    limits: [hourly]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Routes[0].Name, p.Limit("hourly").Value)
	// Output: /api/** 100/hour
}

func ExampleDefault() {
	p, err := policyfile.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Routes[0].Name, p.Limits[0].Value)
	// Output: GET /limit 10/s
}
