package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal is a pseudo-terminal: what is typed on the keyboard is read from the screen's end, and the other way round.
func openTerminal(t *testing.T) (keyboard, screen *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keyboard.Close(); _ = screen.Close() })
	return keyboard, screen
}

// startOnTerminal starts the program as a user does who sits at the terminal. What it prints comes out of the keyboard's end.
func startOnTerminal(t *testing.T, keyboard, screen *os.File, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(binary, args...), t: t, ended: make(chan struct{}), said: make(chan struct{}, 1)}
	p.Stdin, p.Stdout, p.Stderr = screen, screen, screen
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.begin(func() {
		_ = screen.Close()          // so that the program's end is the terminal's
		_, _ = io.Copy(p, keyboard) // ends with an error, as terminals do
	})
	return p
}

// On a terminal it asks for what was not given, and shows the progress in one line.
func TestLoadOnATerminal(t *testing.T) {
	url := service(t, func(http.ResponseWriter, *http.Request) {})
	keyboard, screen := openTerminal(t)
	p := startOnTerminal(t, keyboard, screen, "load", "-n", "2")
	p.waitFor(`Address .*: `)
	_, _ = keyboard.WriteString(strings.TrimPrefix(url, "http://") + "\n")
	p.waitFor(`Requests per minute: `)
	_, _ = keyboard.WriteString("120\n")
	p.waitFor(`\r\x1b\[K\d+\.?\d*m?s: sent \d`)
	p.waitFor(`Sent      2 in .*, at 120/min, GET ` + url)
	<-p.ended
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.text())
	}
}
