package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file or folder that this user may not write says what to do.
func TestTakeMayNotWrite(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { os.Chmod(dir, 0o755) }) // so that it can be removed
	file := filepath.Join(dir, "limits.db")
	if _, stderr, code := ended(t, "take", "k", "--limit", "1/hour", "--store", "sqlite:"+file); code != 0 {
		t.Fatal(stderr)
	}
	folder := filepath.Join(dir, "stint")
	if err := errors.Join(os.Mkdir(folder, 0o555), os.Chmod(file, 0o444), os.Chmod(dir, 0o555), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Dir(binary), 0o755)); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"sqlite:" + file: "the store cannot be written",
		"sqlite:" + filepath.Join(dir, "other.db"): "cannot be written; make the file and its folder",
		"": "cannot be written; make the file and its folder",
	} {
		cmd := exec.CommandContext(t.Context(), binary, "take", "k", "--limit", "1/hour", "--store", address)
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir, "STINT_STORE=")
		if os.Getuid() == 0 { // whom nothing is forbidden
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		_ = cmd.Run() // the exit code says it
		if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(stderr.String(), want) {
			t.Errorf("%q: exit code %d; it should say %q: %s", address, code, want, stderr.String())
		}
	}
}
