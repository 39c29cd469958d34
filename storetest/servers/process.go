package servers

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child that dies with the test process.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
}

// spawn starts a program whose output goes to a file.
func spawn(c *exec.Cmd, output string) (*process, error) {
	log, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{c, make(chan struct{})}
	begun := make(chan error)
	go func() {
		// The child dies with the thread that has started it, so that thread stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.Start()
		begun <- err
		if err == nil {
			_ = c.Wait() // it is killed, which is an error
		}
		close(p.ended)
	}()
	return p, <-begun
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended by itself
	<-p.ended
}

// signal sends a signal: SIGSTOP makes a server hang, SIGCONT go on.
func (p *process) signal(s syscall.Signal) { _ = p.command.Process.Signal(s) }
