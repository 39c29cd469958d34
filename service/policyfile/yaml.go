package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/stint-go/stint/policy"
)

// ParseNode reads YAML into a tree that knows its places. A file holds one document. Anchors and aliases work; merging maps
// with << does not, since what holds should stand where it is read. The error is a [*policy.Mistakes].
func ParseNode(file string, data []byte) (*policy.Node, error) {
	r := reader{file: file}
	if len(data) > policy.MaxFile {
		return nil, r.mistake(0, 0, fmt.Sprintf("%d bytes or more", len(data)), fmt.Sprintf("a policy file has at most %d", policy.MaxFile))
	}
	if !utf8.Valid(data) {
		return nil, r.mistake(0, 0, "bytes that are not UTF-8", "a policy file is UTF-8 text")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, r.mistake(0, 0, "an empty file", "start from the built-in policy: stint config default")
	}
	var document yaml.Node
	if err := yaml.Load(data, &document); err != nil {
		return nil, r.syntax(err)
	}
	n := r.node(&document, 0)
	if r.err != nil {
		return nil, r.err
	}
	return n, nil
}

// reader turns YAML's nodes into the policy's.
type reader struct {
	file    string
	inside  int // aliases that the node stands in
	aliased int // nodes in them so far
	err     error
}

// Bounds on a file. With maxAliased a few aliases of aliases cannot become a tree that never ends.
const (
	maxDepth   = 32
	maxAliased = 1 << 18
)

func (r *reader) mistake(line, column int, found, allowed string) error {
	return &policy.Mistakes{List: []policy.Mistake{{File: r.file, Line: line, Column: column, Found: found, Allowed: allowed}}}
}

func (r *reader) fail(n *yaml.Node, found, allowed string) {
	if r.err == nil {
		r.err = r.mistake(n.Line, n.Column, found, allowed)
	}
}

// syntax is what the YAML library says, in one line and with its place.
func (r *reader) syntax(err error) error {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return r.mistake(0, 0, "not YAML: "+oneLine(err.Error()), "a file holds one policy")
	}
	if load.Mark.Line == 0 {
		return r.mistake(0, 0, "not one policy: "+oneLine(load.Message), "a file holds one document, with no --- in between")
	}
	return r.mistake(load.Mark.Line, max(1, load.Mark.Column), "not YAML: "+oneLine(load.Message),
		"look at the indentation (blanks, no tabs), the colons and the quotes in this line and the one before")
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (r *reader) node(n *yaml.Node, depth int) *policy.Node {
	if r.inside > 0 {
		if r.aliased++; r.aliased > maxAliased {
			r.fail(n, "aliases of aliases", fmt.Sprintf("all aliases together stand for at most %d values", maxAliased))
		}
	}
	if depth > maxDepth {
		r.fail(n, "nested too deeply", fmt.Sprintf("at most %d levels", maxDepth))
	}
	out := &policy.Node{Line: n.Line, Column: n.Column}
	if r.err != nil {
		return out
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return r.node(n.Content[0], depth)
		}
	case yaml.AliasNode:
		r.inside++
		*out = *r.node(n.Alias, depth+1)
		r.inside--
		out.Line, out.Column = n.Line, n.Column
	case yaml.ScalarNode:
		if n.ShortTag() != "!!null" {
			out.Kind, out.Text = policy.Scalar, n.Value
		}
	case yaml.SequenceNode:
		out.Kind = policy.List
		for _, item := range n.Content {
			out.Items = append(out.Items, r.node(item, depth+1))
		}
	case yaml.MappingNode:
		out.Kind = policy.Map
		for i := 0; i+1 < len(n.Content); i += 2 {
			r.field(out, n.Content[i], n.Content[i+1], depth+1)
		}
	}
	return out
}

func (r *reader) field(out *policy.Node, name, value *yaml.Node, depth int) {
	switch {
	case name.Kind != yaml.ScalarNode:
		r.fail(name, "a name that is no text", "write name: value")
	case name.ShortTag() == "!!merge":
		r.fail(name, "the merge key <<", "write the fields out, or use an alias for a whole value")
	default:
		out.Fields = append(out.Fields, policy.Field{Name: name.Value, Line: name.Line, Column: name.Column, Value: r.node(value, depth)})
	}
}
