package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of a data folder.
const (
	accountsFile = "accounts.db" // users, API keys, plans and usage
	countsFile   = "counts"      // the snapshot of the memory store
	tokenFile    = "admin-token" // what the admin listener asks for
	secretFile   = "secret"      // what receipts are signed with
	lockFile     = "lock"        // is locked by the process that keeps its counts there
)

// data is the folder in which a service keeps what lasts.
type data struct {
	folder string
	lock   *os.File // nil if another process has it
}

// openData makes the folder if need be. If another process uses it, this one shares all but the counts in memory.
func openData(folder string) (*data, error) {
	if folder == "" {
		var err error
		if folder, err = stateFolder(); err != nil {
			return nil, fmt.Errorf("there is no folder for what lasts: %w; give --data FOLDER", err)
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for what lasts cannot be made: %w; give --data FOLDER", err)
	}
	d := &data{folder: folder}
	lock, err := os.OpenFile(d.file(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the folder for what lasts cannot be written to: %w; give --data FOLDER", err)
	}
	if !tryLock(lock) {
		return d, lock.Close()
	}
	d.lock = lock
	return d, nil
}

func (d *data) file(name string) string { return filepath.Join(d.folder, name) }

// alone says whether no other process uses the folder.
func (d *data) alone() bool { return d.lock != nil }

func (d *data) close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close() // which unlocks it
}

// secret is what stands in a file of the folder, made of 256 random bits at the first time. Several processes may be at it at once:
// they all get the same.
func (d *data) secret(name string) (string, error) {
	file := d.file(name)
	for range 2 {
		text, err := os.ReadFile(file)
		if err == nil && len(strings.TrimSpace(string(text))) < 32 {
			return "", fmt.Errorf("%s holds less than 32 characters; remove it, and a new one is made", file)
		}
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err := writeNew(file); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s comes and goes", file)
}

// writeNew writes a new secret, whole or not at all, unless there is one.
func writeNew(file string) error {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // which cannot fail
	whole, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(whole.Name())
	_, err = fmt.Fprintln(whole, hex.EncodeToString(bits[:]))
	if err = errors.Join(err, whole.Sync(), whole.Close()); err != nil {
		return err
	}
	return os.Link(whole.Name(), file)
}
