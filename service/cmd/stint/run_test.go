package main

import (
	"strings"
	"syscall"
	"testing"
)

// The command has this program's input, output, exit code and signals; where it did not start, the exit code says why.
func TestRun(t *testing.T) {
	ownState(t)
	notExecutable := write(t, "script", "#!/bin/sh\n")
	for i, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"--key", "a", "--", "sh", "-c", "cat; echo to >&2; exit 7"}, 7, "input", "to\n"},
		{[]string{"--key", "a", "echo", "--limit", "x", "--", "y"}, 0, "--limit x -- y\n", ""},
		{[]string{"--key", "a", "--timeout", "1s", "--", "echo", "third"}, exitLate, "", "its turn did not come within 1s; try again in 3"},
		{[]string{"--key", "a", "--cost", "3", "--", "echo"}, exitOwn, "", "a cost of 3 is more than 2/hour can ever admit"},
		{[]string{"--key", "b", "--", "no-such-command"}, exitNotFound, "", "no-such-command is not found"},
		{[]string{"--key", "b", "--", notExecutable}, exitCannot, "", "permission denied"},
		{[]string{"--key", "b", "--cost", "2", "--", "true"}, 0, "", ""}, // what could not be started took nothing
		{[]string{"--key", "c", "--", "sh", "-c", "kill -TERM $$"}, -1, "", ""},
		{[]string{"--key", "c", "--"}, exitOwn, "", "there is no command"},
		{[]string{"--key", "c", "--store", "wrong", "--", "true"}, exitOwn, "", "allowed are memory"},
		{[]string{"--kye", "c", "--", "true"}, exitOwn, "", "see stint run --help"},
	} {
		stdout, stderr, code := fed(t, "input", append([]string{"run", "--limit", "2/hour"}, c.args...)...)
		if code != c.code || stdout != c.stdout || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%d: %q: exit code %d, %q, %q; want %d, %q, %q", i, c.args, code, stdout, stderr, c.code, c.stdout, c.stderr)
		}
	}
}

func TestRunSignals(t *testing.T) {
	ownState(t)
	p := startProcess(t, binary, "run", "--limit", "9/hour", "--key", "k", "--", "sh", "-c", `trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done`)
	p.waitFor("ready")
	if code := p.stop(syscall.SIGTERM); code != 9 || !strings.Contains(p.text(), "asked") {
		t.Errorf("exit code %d: %s", code, p.text())
	}
	// Before its turn it is stint that is stopped.
	if _, stderr, code := ended(t, "run", "--limit", "1/hour", "--key", "k", "--", "true"); code != 0 {
		t.Fatal(stderr)
	}
	p = startProcess(t, binary, "run", "--limit", "1/hour", "--key", "k", "--timeout", "2h", "--", "echo", "started")
	if code := p.stop(syscall.SIGINT); code == 0 || strings.Contains(p.text(), "started") {
		t.Errorf("exit code %d: %s", code, p.text())
	}
}
