package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-go/stint"
)

// timed notes when lines come out.
type timed struct {
	bytes.Buffer
	begun time.Time
	at    []time.Duration
}

func (w *timed) Write(p []byte) (int, error) {
	w.at = append(w.at, time.Since(w.begun))
	return w.Buffer.Write(p)
}

// Lines come out at the rate, one by one or in bursts, and never before they have come in.
func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		command paceCommand
		want    []time.Duration
	}{
		"spaced":     {paceCommand{paceArguments: paceArguments{"2/s"}}, []time.Duration{0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 10 * time.Second, 10500 * time.Millisecond}},
		"in a burst": {paceCommand{paceArguments: paceArguments{"1/s"}, Burst: 3}, []time.Duration{0, 0, 0, time.Second, 10 * time.Second, 10 * time.Second}},
		"as it says": {paceCommand{paceArguments: paceArguments{"1/s burst 2"}}, []time.Duration{0, 0, time.Second, 2 * time.Second, 10 * time.Second, 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			limit, err := c.command.limit()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				limiter, err := stint.New(limit)
				if err != nil {
					t.Fatal(err)
				}
				defer limiter.Close()
				in, lines := io.Pipe()
				go func() {
					io.WriteString(lines, "1\n2\n3\n4\n")
					time.Sleep(10 * time.Second)
					io.WriteString(lines, "5\n6")
					lines.Close()
				}()
				out := &timed{begun: time.Now()}
				if err := pace(in, out, func() error { return limiter.Wait(t.Context(), "k") }); err != nil {
					t.Error(err)
				}
				if out.String() != "1\n2\n3\n4\n5\n6" || len(out.at) != len(c.want) {
					t.Fatalf("%q at %v", out.String(), out.at)
				}
				for i, at := range out.at {
					// The sleeper in front of the pipe begins when the last line is taken from it, up to a turn after the start.
					if at < c.want[i] || at > c.want[i]+2*time.Second && i < 4 {
						t.Errorf("line %d came out at %v, want %v", i+1, at, c.want[i])
					}
				}
			})
		})
	}
}

// Lines of any length and content pass unchanged, and a line costs one turn.
func TestPaceAnyLine(t *testing.T) {
	for _, text := range []string{
		"", "\n", "\n\n\n", "a", "a\r\nb\n", "\x00\xff\n\xfe", strings.Repeat("x", 64<<10), strings.Repeat("x", 64<<10-1) + "\n", strings.Repeat("long ", 1<<18) + "\nshort\n" + strings.Repeat("y", 64<<10) + "\n",
	} {
		var out bytes.Buffer
		turns := 0
		if err := pace(strings.NewReader(text), &out, func() error { turns++; return nil }); err != nil || out.String() != text {
			t.Errorf("%d bytes in, %d out, %v", len(text), out.Len(), err)
		}
		lines := strings.Count(text, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			lines++
		}
		if turns != lines {
			t.Errorf("%d lines took %d turns", lines, turns)
		}
	}
}

// A line that may not pass is not passed.
func TestPaceStops(t *testing.T) {
	var out bytes.Buffer
	no := errors.New("no")
	if err := pace(strings.NewReader("a\nb\n"), &out, func() error { return no }); !errors.Is(err, no) || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestPaceProgram(t *testing.T) {
	ownState(t)
	const text = "a\x00b\r\n\nlast"
	if stdout, stderr, code := fed(t, text, "pace", "100/s"); stdout != text || code != 0 {
		t.Errorf("exit code %d, %q: %s", code, stdout, stderr)
	}
	// Two processes with one key share the pace: the second finds the turn of the first.
	begun := time.Now()
	for range 2 {
		if stdout, stderr, code := fed(t, "a\n", "pace", "1/s", "--key", "shared"); stdout != "a\n" || code != 0 {
			t.Errorf("exit code %d, %q: %s", code, stdout, stderr)
		}
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("two lines a second apart took %v", took)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"5"}, "rate: "},
		{[]string{"0/s"}, "no line would ever pass"},
		{[]string{"5/s; 6/s"}, "give one rate"},
		{[]string{"5/s burst 2", "--burst", "3"}, "give the burst once"},
		{[]string{"5/s", "--burst=-1"}, "must be 1 or more"},
		{[]string{"5/s", "--store", "redis://h"}, "give --key, too"},
	} {
		if _, stderr, code := ended(t, append([]string{"pace"}, c.args...)...); code != exitFailed || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d; it should say %q: %s", c.args, code, c.want, stderr)
		}
	}
}

// A pace that is stopped ends, also while it waits for input that does not come.
func TestPaceStopped(t *testing.T) {
	p := &process{Cmd: exec.Command(binary, "pace", "1/hour"), t: t, ended: make(chan struct{}), said: make(chan struct{}, 1)}
	p.Stdout, p.Stderr = p, p
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p.begin(func() {})
	io.WriteString(in, "first\nsecond\n")
	p.waitFor("first\n")
	if code := p.stop(syscall.SIGTERM); code != exitFailed || !strings.Contains(p.text(), "stopped before the end of the input") || strings.Contains(p.text(), "second") {
		t.Errorf("exit code %d: %s", code, p.text())
	}
}
