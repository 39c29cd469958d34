package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/redisstore"
	"github.com/stint-go/stint/service/stores"
	"github.com/stint-go/stint/sqlstore"
)

// counting are the flags of every command that counts where other processes count, too.
type counting struct {
	Store    string   `long:"store" value-name:"URL" env:"STINT_STORE" description:"Where to count: memory, sqlite:FILE, postgres://…, mysql://…, redis://…, unix://…, redis+cluster://… or redis+sentinel://…. A file of this user's unless said."`
	Strategy string   `long:"strategy" value-name:"NAME" description:"How limits count that name no strategy, such as token-bucket."`
	ID       []string `long:"id" value-name:"NAME" description:"The limit's identity, by which others share its counts, and its values can change: its text unless said. With several limits given again, in their order."`
}

const (
	// sqlTimeout and redisTimeout are how long a store may take for a call, and to be opened: longer than a service's, since many
	// scripts may start in the same moment and take turns at a file.
	sqlTimeout   = 15 * time.Second
	redisTimeout = 3 * time.Second

	// bookAhead is how long a turn may be ahead and still be booked, so that whoever comes later gets a later one.
	bookAhead = time.Hour
)

// limiter is on the store that the flags ask for, which closes with end.
func (c *counting) limiter(ctx context.Context, limits []stint.Limit, observers ...stint.Observer) (l *stint.Limiter, end func() error, err error) {
	if len(c.ID) > 0 && len(c.ID) != len(limits) {
		return nil, nil, fmt.Errorf("--id is given %d times for %d limits: give one for each, in their order", len(c.ID), len(limits))
	}
	for i := range limits {
		if len(c.ID) > 0 {
			limits[i].ID = c.ID[i]
		}
		if _, err := limits[i].Compile(); err != nil {
			return nil, nil, err
		}
	}
	store, err := openStore(ctx, c.Store)
	if err != nil {
		return nil, nil, err
	}
	l, err = stint.NewWith(stint.Options{Store: store, Observers: observers, MaxWait: bookAhead}, limits...)
	if err != nil {
		_ = store.Close()
		return nil, nil, err
	}
	return l, store.Close, nil
}

// openStore opens a store by its address; that of this user if there is none.
func openStore(ctx context.Context, address string) (stint.Store, error) {
	if address == "" {
		file, err := stateFile()
		if err != nil {
			return nil, err
		}
		address = "sqlite:" + file
	}
	store, err := stores.Open(ctx, address, stores.Options{
		SQL: sqlstore.Options{Timeout: sqlTimeout}, Redis: redisstore.Options{Timeout: redisTimeout},
	})
	if err != nil {
		return nil, fmt.Errorf("--store: %w", oneLine(err))
	}
	return store, nil
}

// oneLine is the error in one line: what drivers say may have several.
func oneLine(err error) error {
	if text := err.Error(); strings.ContainsAny(text, "\n\t") {
		return errors.New(strings.Join(strings.Fields(text), " "))
	}
	return err
}

// stateFile is the file in which this user's scripts count, in a folder that is made if need be.
func stateFile() (string, error) {
	folder, err := stateFolder()
	if err != nil {
		return "", fmt.Errorf("there is no folder for what is counted: %w; set XDG_STATE_HOME, or give --store sqlite:FILE", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("the folder for what is counted cannot be made: %w; set XDG_STATE_HOME, or give --store sqlite:FILE", err)
	}
	return filepath.Join(folder, "limits.db"), nil
}

// stateFolder is where programs keep what lasts on this system.
func stateFolder() (string, error) {
	if folder := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(folder) {
		return filepath.Join(folder, "stint"), nil
	}
	switch runtime.GOOS {
	case "darwin":
		folder, err := os.UserConfigDir() // ~/Library/Application Support
		return filepath.Join(folder, "stint"), err
	case "windows":
		folder, err := os.UserCacheDir() // %LocalAppData%
		return filepath.Join(folder, "stint"), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state", "stint"), err
}

// bounded is the context of a wait that may last d, or as long as it takes if d is 0.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc, error) {
	switch {
	case d < 0:
		return nil, nil, fmt.Errorf("--timeout %v: cannot be negative", d)
	case d == 0:
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}

// waitTurn waits until n units of the key are granted. It is granted, or says as a decision how it stands: the time would not have
// been enough, or no time is.
func waitTurn(ctx context.Context, l *stint.Limiter, key string, n int64, timeout time.Duration) (granted bool, d stint.Decision, err error) {
	waiting, cancel, err := bounded(ctx, timeout)
	if err != nil {
		return false, d, err
	}
	defer cancel()
	err = l.WaitN(waiting, key, n)
	switch {
	case err == nil && n > 0:
		return true, d, nil
	case ctx.Err() != nil:
		return false, d, errors.New("stopped while waiting; nothing was taken")
	case err == nil, errors.Is(err, stint.ErrDeadline), errors.Is(err, stint.ErrNever), waiting.Err() != nil:
		// What holds now is said by a take. It overtakes nobody: what others have booked is not free.
		d, err = l.Take(ctx, key, n)
		return d.Allowed, d, err
	}
	return false, d, err
}
