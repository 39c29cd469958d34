package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/policyfile"
)

// loadPolicy reads a policy file. A file that is not there is an error that says what to do.
func loadPolicy(file string) (*policy.Policy, error) {
	p, err := policyfile.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %q; to start from the built-in policy: stint config default > %s", file, file)
	}
	return p, err
}

// watchEvery is how often a file is looked at.
const watchEvery = time.Second

// watcher notices that a file changes. The file is found by its name each time, so that replacing it is a change like writing
// to it.
type watcher struct {
	file   string
	seen   glance
	hangUp chan os.Signal
}

// newWatcher watches from now on. SIGHUP counts as a change from now on, too, and no longer ends the program.
func newWatcher(file string) *watcher {
	w := &watcher{file: file, seen: look(file), hangUp: make(chan os.Signal, 1)}
	signal.Notify(w.hangUp, syscall.SIGHUP)
	return w
}

func (w *watcher) stop() { signal.Stop(w.hangUp) }

// watch calls changed when the file has changed, until ctx ends.
func (w *watcher) watch(ctx context.Context, changed func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-w.hangUp:
			asked = true
		case <-tick.C:
		}
		if now := look(w.file); asked || now != w.seen {
			w.seen = now
			changed()
		}
	}
}

// glance is what is seen of a file without reading it. The zero glance is no file.
type glance struct {
	modified time.Time
	size     int64
}

func look(file string) glance {
	info, err := os.Stat(file)
	if err != nil {
		return glance{}
	}
	return glance{info.ModTime(), info.Size()}
}
