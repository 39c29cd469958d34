package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/service/stores"
)

// ownState gives the test's programs a state folder of their own, and returns the file in which they count.
func ownState(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	t.Setenv("XDG_STATE_HOME", folder)
	t.Setenv("STINT_STORE", "")
	return filepath.Join(folder, "stint", "limits.db")
}

func TestTake(t *testing.T) {
	ownState(t)
	for i, c := range []struct {
		args   []string
		code   int
		stdout string // a number is the most seconds to wait; anything else is the output
	}{
		{[]string{"alice", "--limit", "2/hour"}, 0, ""},
		{[]string{"alice", "--limit", "2/1h"}, 0, ""}, // the same limit, in other words
		{[]string{"alice", "--limit", "2/hour"}, exitNo, "3600"},
		{[]string{"bob", "--limit", "2/hour"}, 0, ""},
		{[]string{"alice", "--limit", "2/hour", "--cost", "3"}, exitNo, "never"},
		{[]string{"alice", "--limit", "2/hour", "--cost", "3", "--wait"}, exitNo, "never"},
		{[]string{"alice", "--limit", "2/hour", "--wait", "--timeout", "1s"}, exitNo, "3600"},
		{[]string{"alice", "--limit", "0/hour"}, exitNo, "never"},
		{[]string{"alice", "--limit", "3/hour", "--limit", "2/hour"}, exitNo, "3600"}, // all or nothing …
		{[]string{"alice", "--limit", "3/hour", "--cost", "3"}, 0, ""},                // … so that nothing was taken here
		{[]string{"alice", "--limit", "2/hour", "--strategy", "fixed-window"}, 0, ""}, // another limit
		{[]string{"carol", "--limit", "2/hour", "--id", "hourly", "--cost", "2"}, 0, ""},
		{[]string{"carol", "--limit", "4/hour", "--id", "hourly", "--cost", "1"}, exitNo, "3600"}, // full stays full
		{[]string{"dave", "--limit", "10/s", "--wait"}, 0, ""},
		{[]string{"erin", "--limit", "1/s", "--store", "memory", "--cost", "0"}, 0, ""},
	} {
		stdout, stderr, code := ended(t, append([]string{"take"}, c.args...)...)
		got := strings.TrimSuffix(stdout, "\n")
		if most, err := strconv.Atoi(c.stdout); err == nil {
			if seconds, err := strconv.Atoi(got); err == nil && seconds > most-120 && seconds <= most {
				got = c.stdout
			}
		}
		if code != c.code || got != c.stdout || stderr != "" {
			t.Errorf("%d: %q: exit code %d, output %q, want %d and %q: %s", i, c.args, code, stdout, c.code, c.stdout, stderr)
		}
	}
}

func TestTakeJSON(t *testing.T) {
	ownState(t)
	for _, want := range []struct {
		cost      string
		allowed   bool
		reason    string
		remaining float64
		retry     bool
	}{{"3", true, "admitted", 2, false}, {"3", false, "limited", 2, true}, {"6", false, "never", 2, false}} {
		stdout, stderr, code := ended(t, "take", "alice", "--limit", "9/min", "--limit", "5/hour", "--cost", want.cost, "--json")
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || strings.Count(stdout, "\n") != 1 || (code == 0) != want.allowed {
			t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
		}
		retry, known := got["retry_after"].(float64)
		reset, _ := got["reset_after"].(float64)
		if got["allowed"] != want.allowed || got["reason"] != want.reason || got["limit"] != 5.0 || got["remaining"] != want.remaining ||
			got["by"] != "5/hour" || got["key"] != "alice" || known != want.retry || known && (retry < 3000 || retry > 3600) || reset < 3000 || reset > 3600 {
			t.Errorf("cost %s: %s", want.cost, stdout)
		}
	}
}

// Twenty processes that start at once, on a file that none has made before, are admitted exactly as often as the limit says.
func TestTakeManyProcessesAtOnce(t *testing.T) {
	ownState(t)
	for _, limit := range []string{"7/hour", "7/day burst 7"} {
		codes := make(chan int, 20)
		var all sync.WaitGroup
		for range cap(codes) {
			all.Go(func() {
				_, stderr, code := ended(t, "take", "all", "--limit", limit)
				if codes <- code; code == exitFailed {
					t.Errorf("%s", stderr)
				}
			})
		}
		all.Wait()
		close(codes)
		count := map[int]int{}
		for code := range codes {
			count[code]++
		}
		if count[0] != 7 || count[exitNo] != 13 {
			t.Errorf("%s: exit codes %v, want 7 of 0 and 13 of 1", limit, count)
		}
	}
}

// Whenever processes are killed, the file stays good: no unit is granted twice, and none is lost but those that the killed had taken.
func TestTakeKilled(t *testing.T) {
	file := ownState(t)
	const limit, processes, killed = 12, 24, 16
	var all sync.WaitGroup
	codes := make(chan int, processes)
	for i := range processes {
		p := startProcess(t, binary, "take", "k", "--limit", "12/hour")
		all.Go(func() {
			if i < killed {
				timer := time.NewTimer(rand.N(60 * time.Millisecond))
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-p.ended:
				}
				_ = p.Process.Signal(syscall.SIGKILL)
			}
			<-p.ended
			if codes <- p.ProcessState.ExitCode(); p.ProcessState.ExitCode() == exitFailed {
				t.Errorf("%s", p.text())
			}
		})
	}
	all.Wait()
	close(codes)
	admitted, lost := 0, 0
	for code := range codes {
		switch code {
		case 0:
			admitted++
		case -1:
			lost++
		}
	}
	for {
		_, stderr, code := ended(t, "take", "k", "--limit", "12/hour")
		if code == exitFailed {
			t.Fatalf("after the kills: %s", stderr)
		}
		if code == exitNo {
			break
		}
		admitted++
	}
	if admitted > limit || admitted < limit-lost {
		t.Errorf("%d were admitted, %d killed; want %d at most, less only by the killed", admitted, lost, limit)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// Processes that wait are admitted in the order in which they came.
func TestTakeWaitsInTurn(t *testing.T) {
	const gap, waiters = 2 * time.Second, 3
	file := ownState(t)
	if _, stderr, code := ended(t, "take", "k", "--limit", "1/2s pacing"); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	begun := time.Now()
	store, err := stores.Open(t.Context(), "sqlite:"+file, stores.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.Every(gap).WithStrategy(stint.Pacing{}))
	if err != nil {
		t.Fatal(err)
	}
	finished := make(chan int, waiters)
	for i := range waiters {
		p := startProcess(t, binary, "take", "k", "--limit", "1/2s pacing", "--wait")
		go func() { <-p.ended; finished <- i }()
		// The next one comes when this one's turn is booked.
		for booked := gap*time.Duration(i+1) + gap/2; ; time.Sleep(5 * time.Millisecond) {
			d, err := limiter.Peek(t.Context(), "k", 1)
			if err != nil {
				t.Fatal(err)
			}
			if d.ResetAfter+time.Since(begun) > booked {
				break
			}
			if time.Since(begun) > time.Minute {
				t.Fatalf("process %d has not booked a turn: %s", i, p.text())
			}
		}
	}
	for i := range waiters {
		if first := <-finished; first != i {
			t.Errorf("process %d ended in place %d", first, i)
		}
	}
	if took := time.Since(begun); took < gap*(waiters-1) {
		t.Errorf("it took %v for %d turns %v apart", took, waiters, gap)
	}
}

// What is stopped while it waits gives its turn back.
func TestTakeStoppedWhileWaiting(t *testing.T) {
	file := ownState(t)
	if _, stderr, code := ended(t, "take", "k", "--limit", "1/hour burst 1"); code != 0 {
		t.Fatal(stderr)
	}
	store, err := stores.Open(t.Context(), "sqlite:"+file, stores.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	limiter, err := stint.NewWith(stint.Options{Store: store}, stint.PerHour(1).WithBurst(1))
	if err != nil {
		t.Fatal(err)
	}
	reset := func() time.Duration {
		d, err := limiter.Peek(t.Context(), "k", 1)
		if err != nil {
			t.Fatal(err)
		}
		return d.ResetAfter
	}
	p := startProcess(t, binary, "take", "k", "--limit", "1/hour burst 1", "--wait")
	for reset() <= time.Hour {
		select {
		case <-p.ended:
			t.Fatalf("it ended: %s", p.text())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if code := p.stop(syscall.SIGINT); code != exitFailed || !strings.Contains(p.text(), "stopped while waiting; nothing was taken") {
		t.Errorf("exit code %d: %s", code, p.text())
	}
	if left := reset(); left > time.Hour {
		t.Errorf("its turn stays booked: the key is as good as new in %v", left)
	}
}

func TestTakeMistakes(t *testing.T) {
	ownState(t)
	text := write(t, "notes.txt", strings.Repeat("no database at all\n", 200))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"k", "--limit", "5/mni"}, `found "mni", expected a span of time`},
		{[]string{"k", "--limit", "5/min", "--strategy", "leaky"}, "--strategy: "},
		{[]string{"k"}, "the required flag \"--limit\" was not specified"},
		{[]string{"", "--limit", "1/s"}, "the key is empty"},
		{[]string{"k", "--limit", "1/s", "--cost=-1"}, "the cost is negative"},
		{[]string{"k", "--limit", "1/s", "--timeout", "1s"}, "give --wait, too"},
		{[]string{"k", "--limit", "1/s", "--wait", "--timeout=-1s"}, "cannot be negative"},
		{[]string{"k", "--limit", "1/s; 5/min", "--id", "a"}, "--id is given 1 times for 2 limits"},
		{[]string{"k", "--limit", "1/s", "--limit", "1/s"}, "is given twice"},
		{[]string{"k", "--limit", "1/s", "--store", "reddis://u:hidden@h"}, "did you mean redis?"},
		{[]string{"k", "--limit", "1/s", "--store", "redis://u:hidden@127.0.0.1:1"}, "connection refused"},
		{[]string{"k", "--limit", "1/s", "--store", "sqlite:" + text}, "is no SQLite database, and is left as it is"},
	} {
		stdout, stderr, code := ended(t, append([]string{"take"}, c.args...)...)
		if code != exitFailed || !strings.Contains(stderr, c.want) || stdout != "" || strings.Contains(stderr, "hidden") {
			t.Errorf("%q: exit code %d, output %q; it should say %q: %s", c.args, code, stdout, c.want, stderr)
		}
	}
	t.Setenv("XDG_STATE_HOME", text)
	if _, stderr, code := ended(t, "take", "k", "--limit", "1/s"); code != exitFailed || !strings.Contains(stderr, "set XDG_STATE_HOME, or give --store") {
		t.Errorf("no state folder: exit code %d: %s", code, stderr)
	}
}
