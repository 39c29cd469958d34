// Command pictures draws the pictures of docs/strategies.md. What they show is what the strategies decide: each scene is played
// on a memory store whose clock the program turns.
//
//	go run ./docs/pictures
//
// writes the files anew. The test of this folder fails while they differ from what the strategies do.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write("docs/pictures"); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// write puts every picture into the folder.
func write(folder string) error {
	for _, p := range pictures {
		svg, err := p.draw()
		if err != nil {
			return fmt.Errorf("%s: %w", p.file, err)
		}
		if err := os.WriteFile(filepath.Join(folder, p.file), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// picture is a file and how its content comes about.
type picture struct {
	file string
	draw func() ([]byte, error)
}

var pictures = []picture{
	{"overview.svg", overview},
	{"token-bucket.svg", timeline("token-bucket")},
	{"interval-bucket.svg", timeline("interval-bucket")},
	{"fixed-window.svg", timeline("fixed-window")},
	{"sliding-window-log.svg", timeline("sliding-window-log")},
	{"sliding-window-counter.svg", timeline("sliding-window-counter")},
	{"calendar-window.svg", calendar},
	{"concurrency.svg", concurrency},
	{"pacing.svg", pacing},
}
