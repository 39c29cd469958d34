package policy_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-go/stint/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file; with -update it writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// Every file in testdata/mistakes has what is said of it beside it. Read those texts as somebody who is in a hurry.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(filepath.Base(file), data)
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
		golden(t, strings.TrimSuffix(file, ".json")+".txt", text)
	}
}

func TestMistakesAreData(t *testing.T) {
	_, err := policy.Parse("f.json", []byte("{\"limits\": {\"a\": \"1/s\"},\n  \"routes\": [{\"key\": \"adress\", \"limits\": \"a\"}]}"))
	var m *policy.Mistake
	if !errors.As(err, &m) {
		t.Fatal(err)
	}
	if m.File != "f.json" || m.Line != 2 || m.Column != 22 || m.Field != "routes[0].key" || m.Meant != "address" {
		t.Errorf("%+v", m)
	}
}

func TestMistakesAreBounded(t *testing.T) {
	_, err := policy.Parse("f.json", []byte(`{"routes": [`+strings.Repeat(`{"x": 1},`, 50_000)+`{}]}`))
	var m *policy.Mistakes
	if !errors.As(err, &m) || len(m.List) != policy.MaxMistakes || !m.More {
		t.Fatalf("%v", m)
	}
	if !strings.HasSuffix(err.Error(), "f.json: and more; mend these 20 first") {
		t.Error(err)
	}
}

func TestBadFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":      {"", "f.json:1:1: the file ends too early"},
		"blanks":       {" \n ", "f.json:2:2: the file ends too early"},
		"deep":         {strings.Repeat("[", 100_000), "f.json:1:33: nested too deeply"},
		"not UTF-8":    {"{\"store\":\n \"\xff\"}", "f.json:2:3: the byte 0xff; a policy file is UTF-8 text"},
		"more":         {`{"routes": [{"mode": "off"}]} {}`, "f.json:1:31: more after the end"},
		"mark":         {"\ufeff{\"a\": 1}", "f.json:1:2: unknown field"},
		"two of x":     {`{"headers": ["x", "x-seconds"]}`, "f.json:1:19: headers[1]: found x-seconds beside x"},
		"comma":        {`{"routes": [{"mode": "off"},]}`, "f.json:1:28: not JSON"},
		"large":        {strings.Repeat(" ", policy.MaxFile+1), "a policy file has at most"},
		"null":         {`null`, "f.json:1:1: found nothing; allowed is a map"},
		"huge number":  {`{"routes": [{"mode": "off", "limits": 1e999}]}`, `unknown limit "1e999"`},
		"line breaks":  {`{"a\nb": 1}`, `f.json:1:2: unknown field "a\nb"`},
		"long names":   {`{"` + strings.Repeat("x", 5000) + `": 1}`, `…; known`},
		"many columns": {"{\"ä€😀\": 1, \"y\": 2}", "f.json:1:12: unknown field \"y\""},
	} {
		_, err := policy.Parse("f.json", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		} else if len(err.Error()) > 2000 {
			t.Errorf("%s: %d bytes of message", name, len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/mistakes/*.json")
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
	f.Add([]byte(many(8)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("f.json", data)
		if err != nil {
			var m *policy.Mistakes
			if !errors.As(err, &m) || len(m.List) == 0 || len(m.List) > policy.MaxMistakes || p != nil {
				t.Fatalf("%T %v", err, err)
			}
			lines := 1 + strings.Count(string(data), "\n")
			for _, one := range m.List {
				if one.Line < 0 || one.Line > lines || one.Line > 0 && one.Column < 1 || strings.Contains(one.Error(), "\n") {
					t.Errorf("%+v", one)
				}
			}
			return
		}
		for _, c := range []*call{get("/"), get("/a/b", "header X-Api-Key=k", "query q=1")} {
			r := p.Match(c)
			if r != linear(p, c) {
				t.Error("not the first route that fits")
			}
			if e := p.Explain(c); e.Route != r {
				t.Error("explained another route")
			}
			if r != nil {
				r.Claims(c, nil)
			}
		}
	})
}
