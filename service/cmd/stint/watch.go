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

// watch calls changed when the file has changed, and on SIGHUP, until ctx ends. The file is found by its name each time, so
// that replacing it is a change like writing to it.
func watch(ctx context.Context, file string, changed func()) {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	seen := look(file)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangUp:
			seen = look(file)
			changed()
		case <-tick.C:
			if now := look(file); now != seen {
				seen = now
				changed()
			}
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
