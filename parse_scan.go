package stint

import (
	"fmt"
	"strconv"
	"strings"
)

// maxText is the longest text that is read, in bytes. A hundred limits fit.
const maxText = 4096

// parser is a text and how far it is read.
type parser struct {
	text string
	at   int
}

const expectEnd = `a space, ";" or the end`

// number reads digits.
func (p *parser) number() (int64, error) {
	start := p.at
	for p.digitNext() {
		p.at++
	}
	if p.skip('.') {
		return 0, p.errorAt(start, expectWhole)
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
	if err != nil {
		return 0, p.errorAt(start, "a number of at most 9223372036854775807")
	}
	return n, nil
}

func (p *parser) digitNext() bool {
	return p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9'
}

// skip skips the character, if that is what stands there.
func (p *parser) skip(c byte) bool {
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

// word reads the word and the spaces after it, if that is what stands there as a whole.
func (p *parser) word(word string) bool {
	if !strings.HasPrefix(p.text[p.at:], word) {
		return false
	}
	ahead := parser{p.text, p.at + len(word)}
	if ahead.boundary() != nil {
		return false
	}
	*p = ahead
	return true
}

// boundary reads the spaces after a word or a number; there must be some unless a semicolon or the end follows.
func (p *parser) boundary() error {
	before := p.at
	p.spaces()
	if p.at == before && !p.over() {
		return p.errorAt(p.at, expectEnd)
	}
	return nil
}

// end checks that a limit is over.
func (p *parser) end(expected string) error {
	if p.over() {
		return nil
	}
	return p.errorAt(p.at, expected)
}

// over says that the limit is over.
func (p *parser) over() bool { return p.done() || p.text[p.at] == ';' }

// done says that the text is over.
func (p *parser) done() bool { return p.at == len(p.text) }

// spaces skips spaces and tabs.
func (p *parser) spaces() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

func (p *parser) tooLong() error {
	if len(p.text) <= maxText {
		return nil
	}
	return &ParseError{
		Text:     p.text[:maxText],
		Offset:   maxText,
		Found:    fmt.Sprintf("%d bytes in all", len(p.text)),
		Expected: fmt.Sprintf("a text of at most %d bytes", maxText),
	}
}

// errorAt says that something else was expected at the offset.
func (p *parser) errorAt(offset int, expected string) error {
	found := p.text[offset:]
	for i, r := range found {
		if i > 0 && strings.ContainsRune(" \t;/", r) {
			found = found[:i]
			break
		}
	}
	return &ParseError{Text: p.text, Offset: offset, Found: clip(found), Expected: expected}
}

// clip is the beginning of what was found, whole characters of it.
func clip(found string) string {
	for i := range found {
		if i >= 40 {
			return found[:i]
		}
	}
	return found
}
