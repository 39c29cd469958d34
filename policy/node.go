package policy

// Node is a piece of a policy file, whatever language the file is written in: a tree of scalars, lists and maps that knows
// where it stands. [Parse] makes one of JSON; the YAML reader of the service makes the same.
type Node struct {
	Kind Kind

	// Line and Column say where it begins, in characters counted from 1.
	Line, Column int

	// Text is a scalar's text. Numbers and true and false are texts here: what a field means says how to read it.
	Text string

	// Items are a list's.
	Items []*Node

	// Fields are a map's, in the order of the file.
	Fields []Field
}

// Field is one entry of a map.
type Field struct {
	Name         string
	Line, Column int
	Value        *Node
}

// Kind is what a node is.
type Kind uint8

// The kinds of node. Null is a value that is there and says nothing: null, or nothing at all after a colon in YAML.
const (
	Null Kind = iota
	Scalar
	List
	Map
)

var kinds = [...]string{"nothing", "a text or number", "a list", "a map"}

func (k Kind) String() string { return kinds[min(int(k), len(kinds)-1)] }
