// Package docs holds the project's pages, and checks that they hang together.
package docs

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// TestLinks finds links that lead nowhere: to files that are not there, and to sections that no heading makes.
func TestLinks(t *testing.T) {
	pages := map[string]*page{}
	for _, pattern := range []string{"../*.md", "*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			pages[file] = readPage(t, file)
		}
	}
	for file, p := range pages {
		for _, link := range p.links {
			u, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: %q is no link: %v", file, link, err)
				continue
			}
			if u.Scheme != "" {
				continue // elsewhere
			}
			target := file
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(file), filepath.FromSlash(u.Path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %q leads to no file", file, link)
				continue
			}
			if to := pages[target]; u.Fragment != "" && (to == nil || !to.anchors[u.Fragment]) {
				t.Errorf("%s: %q leads to no section", file, link)
			}
		}
	}
}

// page is what a Markdown file links to, and what can be linked to in it.
type page struct {
	links   []string
	anchors map[string]bool
}

var (
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
)

func readPage(t *testing.T, file string) *page {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{anchors: map[string]bool{}}
	inCode := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			inCode = !inCode
		}
		if inCode {
			continue
		}
		if title := strings.TrimLeft(line, "#"); title != line && strings.HasPrefix(title, " ") {
			p.anchors[anchor(title)] = true
		}
		for _, found := range linkTarget.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, "x"), -1) {
			p.links = append(p.links, found[1])
		}
	}
	if inCode {
		t.Errorf("%s: a code block is not closed", file)
	}
	return p
}

// anchor is what GitHub makes of a heading that stands once: lower case, hyphens for blanks, letters and digits alone.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(title))
}
