package policy_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stint-go/stint/policy"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern string
		matches string // separated by blanks
		not     string
	}{
		{"/", "/ ", "/a //"},
		{"/users", "/users", "/users/ /users/x /Users /user /usersx"},
		{"/users/", "/users/", "/users /users/x"},
		{"/users/*", "/users/x /users/*", "/users /users/ /users/x/y"},
		{"/img/*.png", "/img/a.png /img/.png /img/a.b.png", "/img/a.jpg /img/a.png/x /img/"},
		{"/a*b*c", "/abc /axxbxxc /abbcc", "/ab /abcd /acb"},
		{"/users/{id}/files", "/users/7/files", "/users//files /users/7/8/files"},
		{"/api/**", "/api /api/ /api/x /api/x/y/", "/apix / /x/api"},
		{"/**", "/ /a /a/b * ", ""},
		{"/**/edit", "/edit /a/edit /a/b/edit", "/edit/ /a/edit/b /aedit"},
		{"/a/**/b/**/c", "/a/b/c /a/x/b/y/c /a/b/b/c/c /a/b/c/b/c", "/a/c /a/b /a/b/c/d /b/c"},
		{"/**/{id}/x", "/1/x /a/1/x", "/x //x"},
	} {
		p, err := policy.ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(c.pattern, err)
		}
		for _, path := range strings.Split(c.matches, " ") {
			if !p.Match(path) {
				t.Errorf("%s does not match %q", c.pattern, path)
			}
		}
		for _, path := range strings.Fields(c.not) {
			if p.Match(path) {
				t.Errorf("%s matches %q", c.pattern, path)
			}
		}
	}
}

func TestPatternValues(t *testing.T) {
	for _, c := range []struct{ pattern, path, name, want string }{
		{"/users/{id}/files/{file}", "/users/7/files/x.txt", "id", "7"},
		{"/users/{id}/files/{file}", "/users/7/files/x.txt", "file", "x.txt"},
		{"/**/{id}/x", "/a/b/c/x", "id", "c"},
		{"/**/{id}/**/x", "/a/b/c/x", "id", "a"},
		{"/users/{id}", "/users/7", "name", ""},
		{"/users/{id}", "/groups/7", "id", ""},
	} {
		p, err := policy.ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Value(c.path, c.name); got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %s: {%s} is %q, %v", c.pattern, c.path, c.name, got, ok)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, text := range []string{"", "users", "*", "/a/**b", "/a{id}", "/{}", "/{a b}", "/{id", "/id}", "/{id}/{id}", "/a/../b", "/.",
		"/a?x=1", "/a#b", "/" + strings.Repeat("a", 2000), strings.Repeat("/a", 100)} {
		if _, err := policy.ParsePattern(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// A pattern that makes a naive matcher take for ever.
func TestPatternIsQuick(t *testing.T) {
	p, err := policy.ParsePattern("/" + strings.Repeat("**/a*a*a*a*b/", 8) + "end")
	if err != nil {
		t.Fatal(err)
	}
	if p.Match("/" + strings.Repeat(strings.Repeat("a", 40)+"/", 1000)) {
		t.Error("matched")
	}
}

// expression is the pattern as a regular expression, written without regard for speed.
func expression(pattern string) *regexp.Regexp {
	text := ""
	for _, part := range strings.Split(pattern[1:], "/") {
		switch {
		case part == "**":
			text += "(?:/[^/]*)*"
		case part == "*" || strings.HasPrefix(part, "{"):
			text += "/[^/]+"
		case strings.Contains(part, "*"):
			// A star may stand for nothing, but the segment is not empty, as long as the rest of it is not.
			text += "/" + strings.ReplaceAll(regexp.QuoteMeta(part), `\*`, "[^/]*")
		default:
			text += "/" + regexp.QuoteMeta(part)
		}
	}
	return regexp.MustCompile("(?s)^" + text + "$")
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{"/", "/a", "/**/a/*b/{c}", "/a/**", "/*a*/**/**/b", "/***"} {
		f.Add(p, "/a/b/c")
		f.Add(p, "/")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := policy.ParsePattern(pattern)
		if err != nil || !utf8.ValidString(pattern) || !utf8.ValidString(path) {
			return // the expression cannot be written
		}
		if p.String() != pattern {
			t.Errorf("%q reads back as %q", pattern, p)
		}
		slashed := "/" + strings.TrimPrefix(path, "/")
		if got, want := p.Match(path), expression(pattern).MatchString(slashed); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, path, got, want)
		}
		for _, name := range p.Names() {
			if v, ok := p.Value(path, name); ok != p.Match(path) || ok && (v == "" || strings.Contains(v, "/")) {
				t.Errorf("%q of %q: {%s} is %q, %v", pattern, path, name, v, ok)
			}
		}
	})
}
