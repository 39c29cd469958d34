package stores

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// fileOf is the file that a sqlite address names; empty if it is a name of the driver's own, as file:… or :memory:.
func fileOf(address string) string {
	_, file, _ := strings.Cut(address, ":")
	file = strings.TrimPrefix(file, "//")
	if strings.HasPrefix(file, "file:") || file == ":memory:" {
		return ""
	}
	return file
}

// checkFile finds what SQLite would only call a failure to open.
func checkFile(file string) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("the store %s is a folder; name a file in it, such as sqlite:%s", file, filepath.Join(file, "limits.db"))
	case err == nil:
		return writable(file)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the store cannot be opened: %w; check who may read the folder", err)
	}
	folder := filepath.Dir(file)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the store %s cannot be made: there is no folder %s; make it, or name a file elsewhere", file, folder)
	}
	return nil
}

// writable says whether the file can be written, without changing it.
func writable(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("the store cannot be written: %w; every take is written: make the file and its folder writable for this user, or name another file", err)
	}
	return f.Close()
}

// fileError says what to do about an error of SQLite's.
func fileError(file string, err error) error {
	if err == nil || file == "" {
		return err
	}
	switch text := err.Error(); {
	case strings.Contains(text, "not a database"):
		return fmt.Errorf("the store %s is no SQLite database, and is left as it is; name another file: %w", file, err)
	case strings.Contains(text, "malformed"):
		return fmt.Errorf("the store %s is damaged; move it away and the counts begin anew: %w", file, err)
	case strings.Contains(text, "unable to open"), strings.Contains(text, "readonly"):
		return fmt.Errorf("the store %s cannot be written; make the file and its folder %s writable for this user, or name another file: %w", file, filepath.Dir(file), err)
	case strings.Contains(text, "disk is full"):
		return fmt.Errorf("the store %s cannot be written: the disk is full: %w", file, err)
	}
	return fmt.Errorf("the store %s: %w", file, err)
}
