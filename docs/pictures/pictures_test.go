package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"testing"
)

// The stored pictures show what the strategies do now.
func TestPicturesAreTrue(t *testing.T) {
	for _, p := range pictures {
		t.Run(p.file, func(t *testing.T) {
			want, err := p.draw()
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(p.file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("differs from what the strategies do now; run `go run ./docs/pictures` and look at it")
			}
			for d := xml.NewDecoder(bytes.NewReader(got)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
