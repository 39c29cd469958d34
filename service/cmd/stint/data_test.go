package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestDataFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	first, err := openData(folder)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openData(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !first.alone() || second.alone() {
		t.Errorf("alone: %v and %v", first.alone(), second.alone())
	}
	// Whoever comes first makes the secret, and all have the same.
	var wait sync.WaitGroup
	got := make([]string, 16)
	for i := range got {
		wait.Go(func() { got[i], _ = second.secret("token") })
	}
	wait.Wait()
	for _, secret := range got {
		if secret != got[0] || len(secret) != 64 {
			t.Errorf("secrets %q and %q", got[0], secret)
		}
	}
	if info, err := os.Stat(first.file("token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(first.file("token.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if third, err := openData(folder); err != nil || !third.alone() {
		t.Errorf("after the first has ended: %v", err)
	} else if err := third.close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(first.file("short"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := first.secret("short"); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a short secret: %v", err)
	}
	if _, err := openData(filepath.Join(first.file("short"), "c")); err == nil || !strings.Contains(err.Error(), "--data FOLDER") {
		t.Errorf("a folder that cannot be: %v", err)
	}
}
