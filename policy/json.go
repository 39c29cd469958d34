package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxFile is the longest policy file that is read, in bytes. Ten thousand routes take about two million.
const MaxFile = 16 << 20

// maxDepth is how deep a file may be nested; the deepest field of a policy is a third of it.
const maxDepth = 32

// Parse reads a policy written in JSON. The file's name is only for messages. The error is a [*Mistakes].
func Parse(file string, data []byte) (*Policy, error) {
	node, err := ParseNode(file, data)
	if err != nil {
		return nil, err
	}
	return FromNode(file, node)
}

// ParseNode reads JSON into a tree that knows its places. The error is a [*Mistakes].
func ParseNode(file string, data []byte) (*Node, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, which some editors write and none shows
	p := jsonParser{data: data, line: 1, column: 1}
	fail := func(found, allowed string) (*Node, error) {
		return nil, &Mistakes{List: []Mistake{{File: file, Line: p.line, Column: p.column, Found: found, Allowed: allowed}}}
	}
	if len(data) > MaxFile {
		return fail(fmt.Sprintf("%d bytes", len(data)), fmt.Sprintf("a policy file has at most %d", MaxFile))
	}
	if bad := invalidUTF8(data); bad >= 0 {
		p.advance(bad)
		return fail(fmt.Sprintf("the byte %#02x", data[bad]), "a policy file is UTF-8 text")
	}
	p.decoder = json.NewDecoder(bytes.NewReader(data))
	p.decoder.UseNumber()
	node, err := p.value(0)
	if err == nil {
		if _, err = p.next(); errors.Is(err, io.EOF) {
			return node, nil
		} else if err == nil {
			err = jsonError{"more after the end of the policy", "a file holds one policy"}
		}
	}
	var mistake jsonError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &mistake):
		return fail(mistake.found, mistake.allowed)
	case errors.As(err, &syntax):
		p.advance(max(0, int(syntax.Offset)-1))
		return fail("not JSON: "+syntax.Error(), "check for a comma or quote that is missing or too many")
	default: // io.EOF or io.ErrUnexpectedEOF
		p.advance(len(data))
		return fail("the file ends too early", "close every { [ and \"")
	}
}

// jsonParser reads tokens and keeps in mind where they begin.
type jsonParser struct {
	data         []byte
	decoder      *json.Decoder
	at           int // bytes before the cursor
	line, column int // of the cursor
}

type jsonError struct{ found, allowed string }

func (e jsonError) Error() string { return e.found }

// next is the next token, with the cursor at its beginning.
func (p *jsonParser) next() (json.Token, error) {
	start := int(p.decoder.InputOffset())
	for start < len(p.data) && bytes.IndexByte([]byte(" \t\r\n,:"), p.data[start]) >= 0 {
		start++
	}
	token, err := p.decoder.Token()
	if err == nil {
		p.advance(start)
	}
	return token, err
}

// advance moves the cursor. It never goes back, so that a file of one long line is still read once.
func (p *jsonParser) advance(to int) {
	for p.at < min(to, len(p.data)) {
		c := p.data[p.at]
		p.at++
		if c == '\n' {
			p.line, p.column = p.line+1, 1
		} else if utf8.RuneStart(c) {
			p.column++
		}
	}
}

func (p *jsonParser) value(depth int) (*Node, error) {
	token, err := p.next()
	if err != nil {
		return nil, err
	}
	n := &Node{Kind: Scalar, Line: p.line, Column: p.column}
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, jsonError{"nested too deeply", fmt.Sprintf("at most %d levels", maxDepth)}
		}
		if t == '[' {
			n.Kind = List
			return n, p.items(n, depth+1)
		}
		n.Kind = Map
		return n, p.fields(n, depth+1)
	case string:
		n.Text = t
	case json.Number:
		n.Text = t.String()
	case bool:
		n.Text = fmt.Sprint(t)
	case nil:
		n.Kind = Null
	}
	return n, nil
}

func (p *jsonParser) items(n *Node, depth int) error {
	for p.decoder.More() {
		item, err := p.value(depth)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := p.next()
	return err
}

func (p *jsonParser) fields(n *Node, depth int) error {
	for p.decoder.More() {
		token, err := p.next()
		if err != nil {
			return err
		}
		f := Field{Line: p.line, Column: p.column}
		f.Name, _ = token.(string)
		if f.Value, err = p.value(depth); err != nil {
			return err
		}
		n.Fields = append(n.Fields, f)
	}
	_, err := p.next()
	return err
}

// invalidUTF8 is where the text stops being UTF-8; -1 if it does not.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}
