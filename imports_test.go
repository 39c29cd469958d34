package stint_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/stint-go/stint"

// A room is a folder of the repository; "." is the root package. arrows says what each may import besides the standard
// library: other rooms, and "*" for packages from elsewhere. Imports go downward only.
var arrows = map[string][]string{
	".":          {},
	"policy":     {"."},
	"httplimit":  {".", "policy"},
	"record":     {"."},
	"sqlstore":   {".", "record"},
	"redisstore": {".", "record", "*"},
	"batch":      {"."},
	"deny":       {"."},
	"failover":   {"."},
	"lease":      {"."},
	"limittest":  {".", "*"},
	"storetest":  {".", "record", "sqlstore", "redisstore", "batch", "deny", "failover", "lease", "limittest", "*"},
	"service":    {".", "policy", "httplimit", "record", "sqlstore", "redisstore", "batch", "deny", "failover", "lease", "*"},
	"bench":      {".", "policy", "httplimit", "sqlstore", "redisstore", "batch", "deny", "failover", "lease", "storetest", "*"},
	"examples":   {".", "policy", "httplimit", "*"},
	"docs":       {"."},
}

// testArrows are what tests may import in addition.
var testArrows = map[string][]string{
	"limittest":  {"policy", "httplimit"},    // vectors of addresses and of keys
	"service":    {"limittest", "storetest"}, // servers that tests start
	"redisstore": {"batch"},                  // an example
}

func TestImportsGoDownward(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		checkImports(t, path)
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files read, error %v", files, err)
	}
}

// checkImports holds one file to the arrows of its room.
func checkImports(t *testing.T, path string) {
	room := roomOf(filepath.ToSlash(filepath.Dir(path)))
	allowed, known := arrows[room]
	if !known {
		t.Errorf("%s: room %q is not in the table of arrows; say there what it may import", path, room)
		return
	}
	if strings.HasSuffix(path, "_test.go") {
		allowed = append(slices.Clone(allowed), testArrows[room]...)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if to := target(imported); to != "std" && to != room && !slices.Contains(allowed, to) {
			t.Errorf("%s imports %s: %s may import the standard library and %q only", path, imported, room, allowed)
		}
	}
}

// target is the room of an import path, "std" for the standard library or "*" for any other module.
func target(imported string) string {
	if rest, ok := strings.CutPrefix(imported, module); ok && (rest == "" || rest[0] == '/') {
		return roomOf(strings.TrimPrefix(rest, "/"))
	}
	if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") {
		return "std"
	}
	return "*"
}

func roomOf(dir string) string {
	room, _, _ := strings.Cut(dir, "/")
	if room == "" {
		return "."
	}
	return room
}

// The root module requires nothing: its list of modules is itself.
func TestRootModuleStandsAlone(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "all")
	list.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := list.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != module {
		t.Errorf("go list -m all prints %q, error %v; the root module may require nothing", got, err)
	}
	if _, err := os.Stat("go.sum"); err == nil {
		t.Error("the root module has a go.sum")
	}
}
