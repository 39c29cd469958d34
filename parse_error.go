package stint

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseError says where a text is wrong, what stands there, and what could stand there instead.
type ParseError struct {
	Text     string // the text, or its beginning if it is too long to be read at all
	Offset   int    // bytes of Text before the place
	Found    string // what stands there, cut short if it is long; empty at the end of the text
	Expected string // what was expected there
}

// Error is one line, whatever the text holds.
func (e *ParseError) Error() string {
	found := "the end"
	if e.Found != "" {
		found = fmt.Sprintf("%q", e.Found)
	}
	excerpt, _ := e.excerpt()
	return fmt.Sprintf("stint: %q, column %d: found %s, expected %s", excerpt, e.Column(), found, e.Expected)
}

// Column is the place in characters, counted from 1.
func (e *ParseError) Column() int { return utf8.RuneCountInString(e.Text[:e.Offset]) + 1 }

// Caret is two lines for people to look at: the text around the place, and a caret below the place.
func (e *ParseError) Caret() string {
	excerpt, column := e.excerpt()
	// One printable character for each, so that the caret stands where it should.
	line := strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, excerpt)
	return line + "\n" + strings.Repeat(" ", column) + "^"
}

// excerpt is the text around the place, at most about 70 characters, and how many of them come before the place.
func (e *ParseError) excerpt() (string, int) {
	before, after := []rune(e.Text[:e.Offset]), []rune(e.Text[e.Offset:])
	if len(before) > 40 {
		before = append([]rune("…"), before[len(before)-39:]...)
	}
	if len(after) > 30 {
		after = append(after[:29:29], '…')
	}
	return string(before) + string(after), len(before)
}
