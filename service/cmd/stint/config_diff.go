package main

import (
	"context"
	"io"
	"strings"

	"github.com/stint-go/stint/policy"
)

type diffCommand struct {
	leaf
	diffArguments `positional-args:"yes" required:"yes"`
}

// diffArguments are what stands without a flag.
type diffArguments struct {
	Old string `positional-arg-name:"OLD" description:"The policy file in force." required:"yes"`
	New string `positional-arg-name:"NEW" description:"The policy file that would take its place." required:"yes"`
}

// Run prints what changes, a line each; the answer is no if anything does.
func (c *diffCommand) Run(_ context.Context, t *terminal) error {
	old, err := loadPolicy(c.Old)
	if err != nil {
		return err
	}
	p, err := loadPolicy(c.New)
	if err != nil {
		return err
	}
	changes := policy.Diff(old, p)
	if len(changes) == 0 {
		_, err := io.WriteString(t.out, "Nothing changes.\n")
		return err
	}
	var b strings.Builder
	for _, change := range changes {
		b.WriteString(change.String())
		b.WriteByte('\n')
	}
	if err := sameStore(old, p); err != nil {
		b.WriteString("A running stint serve would refuse the new file: " + err.Error() + "\n")
	}
	if _, err := io.WriteString(t.out, b.String()); err != nil {
		return err
	}
	return errNo
}
