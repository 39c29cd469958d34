package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version string

type versionCommand struct {
	leaf
}

// Run prints the version, the commit and the Go that built it.
func (versionCommand) Run(_ context.Context, t *terminal) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	_, err := fmt.Fprintln(t.out, versionText(version, info))
	return err
}

func versionText(version string, info *debug.BuildInfo) string {
	var commit, changed, date string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.time":
			date = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	if version == "" {
		version = info.Main.Version
	}
	if version == "" {
		version = "(development)"
	}
	text := "stint " + version
	if commit != "" {
		text += ", commit " + commit + changed + " of " + date
	}
	return text + ", " + info.GoVersion
}
