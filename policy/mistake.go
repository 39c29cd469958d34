package policy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mistake is one thing that is wrong in a policy file, or doubtful.
type Mistake struct {
	File         string
	Line, Column int    // of what was found, from 1; 0 if it is the file as a whole
	Field        string // where it stands in the tree, such as routes[2].match.path
	Found        string // what stands there
	Allowed      string // what may stand there, or what to do
	Meant        string // a likely spelling, if there is one
}

// Error is one line: place, field, what was found, what is allowed.
func (m *Mistake) Error() string {
	var b strings.Builder
	b.WriteString(cmp.Or(m.File, "policy"))
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", m.Line, m.Column)
	}
	b.WriteString(": ")
	if m.Field != "" {
		b.WriteString(m.Field + ": ")
	}
	b.WriteString(m.Found)
	if m.Meant != "" {
		fmt.Fprintf(&b, " (did you mean %s?)", quote(m.Meant))
	}
	if m.Allowed != "" {
		b.WriteString("; " + m.Allowed)
	}
	return b.String()
}

// Mistakes are all that was found wrong in one file, from top to bottom.
type Mistakes struct {
	List []Mistake // at least one, at most [MaxMistakes]
	More bool      // there were others
}

// MaxMistakes is how many mistakes of a file are reported.
const MaxMistakes = 20

// Error is a line for each.
func (m *Mistakes) Error() string {
	lines := make([]string, 0, len(m.List)+1)
	for i := range m.List {
		lines = append(lines, m.List[i].Error())
	}
	if m.More {
		lines = append(lines, fmt.Sprintf("%s: and more; mend these %d first", cmp.Or(m.List[0].File, "policy"), len(m.List)))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each mistake to [errors.As].
func (m *Mistakes) Unwrap() []error {
	all := make([]error, len(m.List))
	for i := range m.List {
		all[i] = &m.List[i]
	}
	return all
}

// quote is a text from a file, in quotes, cut short if it is long.
func quote(text string) string {
	const longest = 60
	if len(text) <= longest {
		return strconv.Quote(text)
	}
	cut := longest
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}

// oneOf lists what is allowed; of a long list only the beginning.
func oneOf(words []string) string {
	const most = 20
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}

// Nearest is the word that was probably meant by a misspelt one; empty if none is near. Errors say "did you mean" with it.
func Nearest(word string, words []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", min(3, (len(word)+1)/3)+1
	for _, w := range words {
		if strings.EqualFold(w, word) {
			return w
		}
		if d := distance(word, w, least); d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is how many characters must be changed, left out, put in or swapped with their neighbour to make a into b; most, if
// it is that many or more.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most || len(b) > 64 {
		return most
	}
	var rows [3][65]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(above[j]+1, row[j-1]+1, above[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], most)
}
