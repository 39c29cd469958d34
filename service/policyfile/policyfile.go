package policyfile

import (
	_ "embed" // for the built-in policy
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stint-go/stint/policy"
)

// Load reads the policy in a file: JSON if its name ends in .json, else YAML. The error is a [*policy.Mistakes] for what the
// file says, and an [*fs.PathError] for what the system says. On an error the caller keeps the policy that it has.
func Load(file string) (*policy.Policy, error) {
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, data)
}

// read reads no more than a policy may have, so that a name given by mistake does not fill the memory.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // of no consequence, since nothing was written
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: file, Err: errors.New("is a directory, not a policy file")}
	}
	return io.ReadAll(io.LimitReader(f, policy.MaxFile+1))
}

// Parse reads a policy from its text: JSON if the file's name ends in .json, else YAML. The error is a [*policy.Mistakes].
func Parse(file string, data []byte) (*policy.Policy, error) {
	if strings.EqualFold(filepath.Ext(file), ".json") {
		return policy.Parse(file, data)
	}
	node, err := ParseNode(file, data)
	if err != nil {
		return nil, err
	}
	return policy.FromNode(file, node)
}

// DefaultName is what messages call the built-in policy.
const DefaultName = "built-in"

// DefaultText is the built-in policy as a file, with comments.
//
//go:embed default.yaml
var DefaultText string

// Default is the built-in policy: GET /limit, 10 requests a second for each X-API-KEY, 401 without one.
func Default() (*policy.Policy, error) {
	p, err := Parse(DefaultName, []byte(DefaultText))
	if err != nil {
		return nil, fmt.Errorf("the built-in policy is damaged: %w", err)
	}
	return p, nil
}
