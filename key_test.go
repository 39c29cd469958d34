package stint_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stint-go/stint"
)

func ExampleKey() {
	// A tenant chooses its users' names, and cannot make one that counts against another tenant.
	fmt.Println(stint.Key("acme", "x/bob") == stint.Key("acme/x", "bob"))
	fmt.Println(stint.KeyParts(stint.Key("acme", "x/bob")))
	// Output:
	// false
	// [acme x/bob]
}

func TestKeyVector(t *testing.T) {
	file, err := os.Open("limittest/testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	steps := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var vector struct {
			Algo string
			S    []json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		if vector.Algo != "key-encode" {
			continue
		}
		for _, raw := range vector.S {
			var step struct {
				A, B  []string
				Equal bool
			}
			if err := json.Unmarshal(raw, &step); err != nil {
				t.Fatal(err)
			}
			steps++
			if got := stint.Key(step.A...) == stint.Key(step.B...); got != step.Equal {
				t.Errorf("%q and %q: the same key is %v", step.A, step.B, got)
			}
		}
	}
	if steps < 3 {
		t.Errorf("only %d steps found", steps)
	}
}

// Every list of up to four parts over an alphabet that holds whatever the encoding itself uses has a key of its own.
func TestKeysNeverMeet(t *testing.T) {
	words := []string{"", "a", "\x00", "\x01", "\x00\x00", "\x00\x01", "\x01a", "\x00\x01a", "/", "\x80\x00", strings.Repeat("b", 200)}
	seen := map[string][]string{}
	var lists func(parts []string)
	lists = func(parts []string) {
		key := stint.Key(parts...)
		if other, ok := seen[key]; ok {
			t.Fatalf("%q and %q have the same key %q", other, parts, key)
		}
		seen[key] = slices.Clone(parts)
		if back := stint.KeyParts(key); !slices.Equal(back, parts) {
			t.Fatalf("%q came back as %q", parts, back)
		}
		if len(parts) == 4 {
			return
		}
		for _, w := range words {
			lists(append(parts, w))
		}
	}
	lists(nil)
}

// split makes a list of parts out of fuzzed bytes: where cuts says.
func split(bytes string, cuts []byte) []string {
	var parts []string
	for _, c := range cuts {
		n := min(int(c), len(bytes))
		parts = append(parts, bytes[:n])
		bytes = bytes[n:]
	}
	return append(parts, bytes)
}

func FuzzKey(f *testing.F) {
	f.Add("u1/2", []byte{1}, "u/12", []byte{3})
	f.Add("", []byte{0}, "", []byte{})
	f.Add("\x00\x01a", []byte{}, "a", []byte{})
	f.Add("\x00\x01\x00", []byte{1, 1}, "\x00", []byte{})
	f.Add(strings.Repeat("k", 300), []byte{130, 2}, strings.Repeat("k", 300), []byte{2, 130})
	f.Fuzz(func(t *testing.T, a string, cutsA []byte, b string, cutsB []byte) {
		x, y := split(a, cutsA), split(b, cutsB)
		for _, parts := range [][]string{x, y} {
			if back := stint.KeyParts(stint.Key(parts...)); !slices.Equal(back, parts) {
				t.Fatalf("%q came back as %q", parts, back)
			}
		}
		if (stint.Key(x...) == stint.Key(y...)) != slices.Equal(x, y) {
			t.Fatalf("%q and %q: keys %q and %q", x, y, stint.Key(x...), stint.Key(y...))
		}
		// Any string is a key: its parts make it again, or it is one part by itself.
		if parts := stint.KeyParts(a); stint.Key(parts...) != a && !slices.Equal(parts, []string{a}) {
			t.Fatalf("key %q: parts %q", a, parts)
		}
	})
}
