package stores_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/failover"
	"github.com/stint-go/stint/service/stores"
)

func TestDeadlines(t *testing.T) {
	for address, want := range map[string]time.Duration{
		"redis://h": 25 * time.Millisecond, "rediss+sentinel://h/m": 25 * time.Millisecond, "unix:///s": 25 * time.Millisecond,
		"postgres://h/d": 250 * time.Millisecond, "sqlite:f": 250 * time.Millisecond, "mysql://h/d": 250 * time.Millisecond,
	} {
		if got := stores.Deadline(address); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

// An address is wrong whether or not the store is there, and not wrong because it is not.
func TestCheck(t *testing.T) {
	for address, good := range map[string]bool{
		"redis://:p@127.0.0.1:1": true, "redis+cluster://127.0.0.1:1,127.0.0.1:2": true, "redis+sentinel://127.0.0.1:1/m": true,
		"unix:///nowhere": true, "postgres://postgres:canceled@127.0.0.1:1/d": true, "mysql://u:p@127.0.0.1:1/d": true, "memory": true,
		"sqlite:" + filepath.Join(t.TempDir(), "f"): true,
		"redis://h:port": false, "redis://h?a=b": false, "redis:h": false, "redsi://h": false, "sqlite:/nowhere/f": false,
		"postgres://u:%zz@h/d": false, "redis+sentinel://h": false, "rediss://h?ca=/nowhere": false,
	} {
		begun := time.Now()
		if err := stores.Check(address); (err == nil) != good {
			t.Errorf("%s: %v", address, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: it took %v", address, took)
		}
	}
}

// The file is not there until the folder is, and the limit lives in it then.
func TestStack(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "f")
	l, err := stint.PerHour(3).WithID("hourly").Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{2, 1} {
		s, err := stores.NewStack(t.Context(), address, stores.StackOptions{Deadline: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if a, _, err := s.One(t.Context(), l, "k", stint.TakeOp(1)); err != nil || a.Remaining != want {
			t.Errorf("%+v, %v; want %d left", a, err, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// lines is a log that hands over what is written to it.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// Where nobody listens, each limit has its choice at once, and the log says so without the password.
func TestStackWithoutItsStore(t *testing.T) {
	log := make(lines, 10)
	s, err := stores.NewStack(t.Context(), "redis://:hush@127.0.0.1:1", stores.StackOptions{
		Choices: map[string]failover.Choice{"open": failover.Open}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, granted := range map[string]int64{"open": 1, "closed": 0} {
		l, err := stint.PerHour(3).WithID(id).Compile()
		if err != nil {
			t.Fatal(err)
		}
		if a, _, err := s.One(t.Context(), l, "k", stint.TakeOp(1)); err != nil || a.Granted != granted {
			t.Errorf("%s: %+v, %v", id, a, err)
		}
	}
	if line := <-log; !strings.Contains(line, "the store is lost") || !strings.Contains(line, "redis://…@127.0.0.1:1") || strings.Contains(line, "hush") {
		t.Errorf("the log is %s", line)
	}
	if err := s.Close(); err != nil || len(log) > 0 {
		t.Errorf("%v, and %d lines more", err, len(log))
	}
	if _, err := stores.NewStack(t.Context(), "redis://127.0.0.1:1", stores.StackOptions{Default: failover.Local}); err == nil {
		t.Error("shares of unknown size are accepted")
	}
	if _, err := stores.NewStack(t.Context(), "redis://h?a=b", stores.StackOptions{}); err == nil {
		t.Error("a wrong address is accepted")
	}
}
