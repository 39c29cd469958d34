package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stint-go/stint/service/database"
	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.MainWithoutLeaks(m) }

// clock is a time that tests move.
type clock struct{ second atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.second.Store(1_700_000_000)
	return c
}

func (c *clock) now() time.Time { return time.Unix(c.second.Load(), 0) }

// recorded is a recorder under test.
type recorded struct {
	*Recorder
	*clock
	db *database.DB
}

func record(t testing.TB, address string, o Options) *recorded {
	t.Helper()
	db, err := database.Open(t.Context(), address, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := newClock()
	o.Now = c.now
	r, err := New(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return &recorded{r, c, db}
}

func file(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "usage.db") }

func onEach(t *testing.T, test func(t *testing.T, r *recorded)) {
	t.Helper()
	all := map[string]string{
		"SQLite": file(t), "MariaDB": servers.MariaDB(t).Database(t), "PostgreSQL": servers.Postgres(t).Database(t),
	}
	if address := servers.MySQL(t); address != "" {
		all["MySQL"] = address
	}
	for name, address := range all {
		t.Run(name, func(t *testing.T) { test(t, record(t, address, Options{})) })
	}
}

// rows are what a query gives, as texts.
func (r *recorded) rows(t *testing.T, q Query) []string {
	t.Helper()
	if q.From.IsZero() {
		q.From, q.To = time.Unix(0, 0), time.Unix(2_000_000_000, 0)
	}
	found, err := r.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{}
	for _, row := range found {
		texts = append(texts, fmt.Sprintf("%d %s %s %s %d/%d/%d", row.At.Unix(), row.User, row.Key, row.Route, row.Admitted, row.Refused, row.Units))
	}
	return texts
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUsage(t *testing.T) {
	onEach(t, func(t *testing.T, r *recorded) {
		ctx := t.Context()
		alice, bob := Of{"alice", "k1", "GET /limit"}, Of{"bob", "k2", "GET /limit"}
		start := r.second.Load() // 1,700,000,000 is 20 seconds into a minute
		for i := range 50 {
			r.Count(alice, i%5 > 0, 2)
			if i%2 == 0 {
				r.Count(bob, true, 1)
			}
			r.second.Add(1)
			if i%7 == 0 {
				if err := r.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		minutes := []string{
			fmt.Sprintf("%d alice k1 GET /limit 32/8/64", start-20),
			fmt.Sprintf("%d bob k2 GET /limit 20/0/20", start-20),
			fmt.Sprintf("%d alice k1 GET /limit 8/2/16", start+40),
			fmt.Sprintf("%d bob k2 GET /limit 5/0/5", start+40),
		}
		want(t, "minutes, the last of them not written yet", r.rows(t, Query{Step: Minute}), minutes...)
		if err := r.Close(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, "minutes, written", r.rows(t, Query{Step: Minute}), minutes...)
		want(t, "bob's", r.rows(t, Query{Step: Minute, User: "bob"}), minutes[1], minutes[3])
		want(t, "of the key k1 from a time on", r.rows(t, Query{Step: Minute, Key: "k1", From: time.Unix(start+45, 0), To: time.Unix(start+500, 0)}), minutes[2])
		want(t, "hours", r.rows(t, Query{Step: Hour, User: "alice"}), fmt.Sprintf("%d alice k1 GET /limit 40/10/80", start-start%3600))
		want(t, "days of a route", r.rows(t, Query{Step: Day, Route: "GET /limit", User: "bob"}), fmt.Sprintf("%d bob k2 GET /limit 25/0/25", start-start%86400))
		if seconds := r.rows(t, Query{Step: Second}); len(seconds) != 75 {
			t.Errorf("%d seconds", len(seconds))
		}
		if s := r.Stats(); s.Pending != 0 || s.Lost != 0 || s.Written == 0 {
			t.Errorf("%+v", s)
		}
		// Old rows go, step by step; counts of longer steps stay.
		r.second.Add(2 * 3600)
		if err := r.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, "seconds after two hours", r.rows(t, Query{Step: Second}))
		want(t, "minutes after two hours", r.rows(t, Query{Step: Minute}), minutes...)
		r.second.Add(3 * 86400)
		if err := r.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		want(t, "minutes after three days", r.rows(t, Query{Step: Minute}))
		want(t, "hours after three days", r.rows(t, Query{Step: Hour, User: "bob"}), fmt.Sprintf("%d bob k2 GET /limit 25/0/25", start-start%3600))
	})
}

// Many instances and goroutines: nothing is lost and nothing is counted twice.
func TestUsageAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, first *recorded) {
		second, err := New(first.db, Options{Now: first.now})
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for _, r := range []*Recorder{first.Recorder, second} {
			for g := range 4 {
				wait.Go(func() {
					for i := range 500 {
						r.Count(Of{"u", fmt.Sprint("k", i%10), "r"}, true, 1)
						if i%100 == g {
							if err := r.Flush(context.Background()); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
		}
		wait.Wait()
		for _, r := range []*Recorder{first.Recorder, second} {
			for try := 0; r.Stats().Pending > 0 || try == 0; try++ {
				if err := r.Close(t.Context()); err != nil && try > 10 {
					t.Fatal(err)
				}
			}
		}
		total := int64(0)
		rows, err := first.Rows(t.Context(), Query{Step: Day, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			total += row.Admitted
		}
		if total != 4000 || len(rows) != 10 {
			t.Errorf("%d calls in %d rows, want 4000 in 10", total, len(rows))
		}
	})
}

// A writing whose answer was lost is tried again, and counts once; so it does if it was not made.
func TestFlushIsTriedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, r *recorded) {
		of := Of{"alice", "k", "r"}
		for _, made := range []bool{true, false} {
			r.Count(of, true, 1)
			r.pending.add(r.take(), 1000)
			cells, sequence := r.pending.hand()
			if made { // it is written, and nobody hears of it
				if err := r.write(t.Context(), rowsOf(cells), sequence); err != nil {
					t.Fatal(err)
				}
			}
			r.Count(of, true, 1)
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "four calls", r.rows(t, Query{Step: Day}), fmt.Sprintf("%d alice k r 4/0/4", r.second.Load()-r.second.Load()%86400))
	})
}

// While the database is lost, counts are kept, by minutes when there are many, and what passes the bound is counted as lost.
func TestDatabaseLost(t *testing.T) {
	r := record(t, file(t), Options{MaxCells: 1000})
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	of := func(i int) Of { return Of{"u", fmt.Sprint("key", i), "r"} }
	counted := int64(0)
	for range 600 { // ten minutes
		for i := range 10 {
			r.Count(of(i), true, 1)
			counted++
		}
		r.second.Add(1)
		if err := r.Flush(lost); err == nil {
			t.Fatal("a lost database took a writing")
		}
	}
	s := r.Stats()
	if s.Lost != 0 || s.Pending > 1000 || s.Failed != 600 {
		t.Errorf("%+v", s)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	rows, err := r.Rows(t.Context(), Query{Step: Minute, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		total += row.Admitted
	}
	if total != counted {
		t.Errorf("of %d calls %d are counted", counted, total)
	}
	for i := range 5000 {
		r.Count(of(i), true, 1)
		if i%20 == 0 {
			_ = r.Flush(lost)
		}
	}
	if s := r.Stats(); s.Lost == 0 || s.Pending > 1000 {
		t.Errorf("over the bound: %+v", s)
	}
}

// The sketch's counts are never too low, too high by their error at most, and who is refused most is there.
func TestTop(t *testing.T) {
	r := record(t, file(t), Options{})
	random := rand.New(rand.NewPCG(1, 2))
	exact := map[string]int64{}
	for range 200_000 {
		user := fmt.Sprint("one of many ", random.IntN(50_000))
		if random.IntN(4) == 0 {
			user = fmt.Sprint("heavy ", random.IntN(20))
		}
		exact[user]++
		r.Count(Of{User: user, Route: "r"}, false, 1)
	}
	top, err := r.Top("user", 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range top {
		if !strings.HasPrefix(h.Name, "heavy") || h.Count < exact[h.Name] || h.Count-h.Error > exact[h.Name] {
			t.Errorf("%+v, exactly %d", h, exact[h.Name])
		}
	}
	r.second.Add(60)
	if later, _ := r.Top("user", 1); later[0].Count != top[0].Count/2 {
		t.Errorf("a minute later %+v, was %+v", later[0], top[0])
	}
	r.second.Add(3600)
	if later, _ := r.Top("user", 20); len(later) != 0 {
		t.Errorf("an hour later there is still %v", later)
	}
	if route, _ := r.Top("route", 5); len(route) != 0 {
		t.Errorf("routes an hour later: %v", route)
	}
	if _, err := r.Top("plan", 5); err == nil {
		t.Error("by plan is taken")
	}
}

func TestHandlers(t *testing.T) {
	r := record(t, file(t), Options{})
	r.Count(Of{"alice", "k1", "GET /limit"}, true, 3)
	r.Count(Of{"=cmd()", "k2", "GET /limit"}, false, 3)
	get := func(h http.Handler, query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?"+query, nil))
		return w
	}
	var answer struct {
		Step int64
		Rows []Row
	}
	if w := get(r.Handler(), "user=alice&step=second"); json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer.Rows) != 1 || answer.Rows[0].Units != 3 || answer.Rows[0].Rate != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := get(r.Handler(), "format=csv"); !strings.Contains(w.Body.String(), ",'=cmd(),k2,GET /limit,0,1,0,") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for query, text := range map[string]string{
		"step=week": "allowed are second", "from=yesterday": "write a time such as", "usr=x": "not known", "format=xml": "json and csv",
		"from=10&to=5": "from must come before to", "from=-9223372036854775808": "seconds since 1970", "to=9223372036854775807": "seconds since 1970", "from=2026-01-31T00:00:00Z&to=2026-01-31T00:00:00Z": "from must come before to",
	} {
		if w := get(r.Handler(), query); w.Code != 400 || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if w := get(r.TopHandler(), "by=key&n=5"); w.Code != 200 || !strings.Contains(w.Body.String(), `{"name":"k2","count":1,"error":0}`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, query := range []string{"n=0", "n=x", "by=plan"} {
		if w := get(r.TopHandler(), query); w.Code != 400 {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
	if _, err := New(nil, Options{Every: -1}); err == nil {
		t.Error("a negative time is taken")
	}
	if _, err := r.Rows(t.Context(), Query{Step: 7}); err == nil || errors.Is(err, ErrRange) {
		t.Errorf("a step of 7 s: %v", err)
	}
}

func BenchmarkCount(b *testing.B) {
	db, err := database.Open(b.Context(), file(b), database.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	r, err := New(db, Options{})
	if err != nil {
		b.Fatal(err)
	}
	of := Of{"alice", "7CtILv3s", "GET /limit"}
	b.ReportAllocs()
	for b.Loop() {
		r.Count(of, true, 1)
	}
}

// A disk that is full costs no counts: they wait in memory, merged into minutes if need be, and are written once when there is room.
func TestFullDisk(t *testing.T) {
	db, err := database.Open(t.Context(), file(t), database.Options{MaxConnections: 1}) // the bound on pages is one connection's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := newClock()
	r, err := New(db, Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	pages := func(most int) {
		var n int
		if err := db.QueryRow(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", most)).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	pages(1) // as many as there are
	failed := 0
	for second := range 120 {
		for user := range 40 {
			r.Count(Of{User: fmt.Sprint("user", user), Route: "GET /limit"}, user%4 > 0, 1)
		}
		if err := r.Flush(t.Context()); err != nil {
			if failed++; !strings.Contains(err.Error(), "full") {
				t.Fatalf("second %d: %v", second, err)
			}
		}
		c.second.Add(1)
	}
	if failed == 0 || r.Stats().Pending == 0 {
		t.Fatalf("the disk was never full: %d writings failed, %+v", failed, r.Stats())
	}
	pages(1 << 20)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := r.Rows(t.Context(), Query{Step: Day, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)})
	if err != nil || len(rows) != 40 {
		t.Fatalf("%d users have usage, %v", len(rows), err)
	}
	for _, row := range rows {
		if row.Admitted+row.Refused != 120 {
			t.Errorf("%s was counted %d times of 120", row.User, row.Admitted+row.Refused)
		}
	}
	if s := r.Stats(); s.Lost != 0 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
}

// Names that a database would refuse spoil no writing: a name may come from whoever asks the decision API about a user.
func TestNamesNobodyTakes(t *testing.T) {
	onEach(t, func(t *testing.T, r *recorded) {
		r.Count(Of{User: "nul\x00nul", Route: "limit nul\x00"}, true, 1)
		r.Count(Of{User: strings.Repeat("é", 5000), Key: strings.Repeat("k", 5000), Route: strings.Repeat("r", 5000)}, false, 1)
		r.Count(Of{User: "not UTF-8 \xff\x80", Route: "r"}, true, 1)
		for i := range 100 { // one name, cut
			r.Count(Of{User: strings.Repeat("x", 128) + fmt.Sprint(i), Route: "r"}, true, 1)
		}
		r.Count(Of{User: "alice", Route: "r"}, true, 1)
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "alice's", r.rows(t, Query{Step: Day, User: "alice"}), fmt.Sprintf("%d alice  r 1/0/1", Day.start(r.second.Load())))
		if all := r.rows(t, Query{Step: Day, User: strings.Repeat("x", 128)}); len(all) != 1 || !strings.HasSuffix(all[0], " 100/0/100") {
			t.Errorf("a name that was cut: %q", all)
		}
		if all := r.rows(t, Query{Step: Day}); len(all) != 5 {
			t.Errorf("%q", all)
		}
	})
}

// Units stay at the greatest number there is, in memory and in the database, and do not spoil the writing.
func TestUnitsBeyondNumbers(t *testing.T) {
	onEach(t, func(t *testing.T, r *recorded) {
		most := fmt.Sprintf("%d alice  r %%d/0/%d", Day.start(r.second.Load()), int64(math.MaxInt64))
		calls := 0
		for range 3 {
			for range 700 {
				calls++
				r.Count(Of{User: "alice", Route: "r"}, true, 1<<53)
			}
			r.second.Add(1)
			if err := r.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 2000 {
			calls++
			r.Count(Of{User: "alice", Route: "r"}, true, 1<<53)
		}
		want(t, "partly in memory", r.rows(t, Query{Step: Day}), fmt.Sprintf(most, calls))
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want(t, "written", r.rows(t, Query{Step: Day}), fmt.Sprintf(most, calls))
	})
}

// What has come together while the database was lost is written in parts: one writing of it all would last longer than a writing may, be
// undone, and be tried again for ever.
func TestBacklogIsWrittenInParts(t *testing.T) {
	r := record(t, file(t), Options{})
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	const users, minutes = 200, 60
	for range minutes {
		for user := range users {
			r.Count(Of{User: fmt.Sprint("user", user), Route: "r"}, true, 1)
		}
		r.second.Add(60)
		_ = r.Flush(lost)
	}
	before := r.Stats()
	short, cutOff := context.WithCancel(t.Context())
	defer cutOff()
	ended := make(chan struct{})
	go func() {
		defer cutOff()
		for r.Stats().Written == 0 {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	err := r.Flush(short)
	close(ended)
	if err == nil {
		t.Fatal("all of it was one writing")
	}
	if after := r.Stats(); after.Pending >= before.Pending || after.Written == 0 {
		t.Errorf("a writing that was cut off after a while has come to nothing: %+v, before %+v", after, before)
	}
	if err := r.Close(t.Context()); err != nil || r.Stats().Pending > 0 {
		t.Fatalf("%v, %+v", err, r.Stats())
	}
	total, days := int64(0), r.rows(t, Query{Step: Day})
	rows, err := r.Rows(t.Context(), Query{Step: Day, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		total += row.Admitted
	}
	if total != users*minutes || len(days) != users {
		t.Errorf("%d calls in %d rows, want %d in %d", total, len(days), users*minutes, users)
	}
}

// A writing that was given up may still be under way at the database, and be made after all: the next try waits for it, and counts once.
func TestFlushIsTriedAgainTooEarly(t *testing.T) {
	onEach(t, func(t *testing.T, r *recorded) {
		r.Count(Of{"alice", "k", "r"}, true, 1)
		if err := r.Flush(t.Context()); err != nil { // so that the instance is known
			t.Fatal(err)
		}
		r.Count(Of{"alice", "k", "r"}, true, 1)
		r.Gather()
		cells, sequence := r.pending.hand()
		written, commit := make(chan struct{}), make(chan struct{})
		var first sync.WaitGroup
		first.Go(func() {
			if err := r.db.In(context.Background(), func(tx database.Doer) error {
				err := r.writeIn(context.Background(), tx, rowsOf(cells), sequence)
				close(written)
				<-commit
				return err
			}); err != nil {
				t.Error(err)
			}
		})
		<-written
		again := make(chan error, 1)
		go func() { again <- r.Flush(t.Context()) }()
		time.Sleep(200 * time.Millisecond) // the second try gets as far as it can
		close(commit)
		first.Wait()
		if err := <-again; err != nil {
			t.Fatal(err)
		}
		want(t, "two calls", r.rows(t, Query{Step: Day}), fmt.Sprintf("%d alice k r 2/0/2", Day.start(r.second.Load())))
	})
}

// Queries that wait at a slow table leave connections to those who look API keys up.
func TestQueriesLeaveConnections(t *testing.T) {
	r := record(t, servers.Postgres(t).Database(t), Options{})
	locked, unlock := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		if err := r.db.In(context.Background(), func(tx database.Doer) error {
			_, err := tx.Exec(context.Background(), "LOCK TABLE api_key_usage IN ACCESS EXCLUSIVE MODE")
			close(locked)
			<-unlock
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	<-locked
	for range 20 {
		all.Go(func() {
			if _, err := r.Rows(context.Background(), Query{Step: Day, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 20 { // however far the queries are
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var n int
		if err := r.db.QueryRow(ctx, "SELECT COUNT(*) FROM {user}").Scan(&n); err != nil {
			t.Error(err)
			cancel()
			break
		}
		cancel()
		time.Sleep(5 * time.Millisecond)
	}
	close(unlock)
	all.Wait()
}

// Before there is a database at all counts are kept as they are while one is lost.
func TestGather(t *testing.T) {
	r := record(t, file(t), Options{MaxCells: 1000})
	for range 600 {
		for i := range 10 {
			r.Count(Of{"u", fmt.Sprint("key", i), "r"}, true, 1)
		}
		r.second.Add(1)
		r.Gather()
	}
	if s := r.Stats(); s.Lost != 0 || s.Pending > 1000 {
		t.Errorf("%+v", s)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := r.rows(t, Query{Step: Day, Key: "key3"}); len(all) != 1 || !strings.HasSuffix(all[0], " 600/0/600") {
		t.Errorf("%q", all)
	}
}

// A query while counts are on their way from memory to the database misses none of them.
func TestNothingIsMissedInBetween(t *testing.T) {
	r := record(t, file(t), Options{})
	of := Of{User: "alice", Route: "r"}
	lost, cancel := context.WithCancel(t.Context())
	cancel()
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.Flush(lost) // which moves what was counted to what waits
			}
		}
	})
	for n := int64(1); n <= 3000; n++ {
		r.Count(of, true, 1)
		total := int64(0)
		for _, c := range r.unwritten(&Query{Step: Day, From: time.Unix(0, 0), To: time.Unix(2_000_000_000, 0)}) {
			total += c.Admitted
		}
		if total != n {
			t.Errorf("after %d calls there are %d", n, total)
			break
		}
	}
	close(stop)
	others.Wait()
}

// A span is kept until its end is as old as it may be, not its beginning.
func TestSweepKeepsWholeSpans(t *testing.T) {
	r := record(t, file(t), Options{Keep: map[Step]time.Duration{Hour: 2 * time.Hour}})
	start := Hour.start(r.second.Load())
	r.second.Store(start + 3599)
	r.Count(Of{User: "alice", Route: "r"}, true, 1)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sweep := func(at int64) []string {
		r.second.Store(at)
		if err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return r.rows(t, Query{Step: Hour})
	}
	want(t, "just within two hours", sweep(start+3600+7199), fmt.Sprintf("%d alice  r 1/0/1", start))
	want(t, "two hours after", sweep(start+3600+7200))
}

// An instance whose answer was lost, and that then does not reach the database for days while others do, counts once all the same.
func TestOldWritingCountsOnce(t *testing.T) {
	r := record(t, file(t), Options{})
	other, err := New(r.db, Options{Now: r.now})
	if err != nil {
		t.Fatal(err)
	}
	r.Count(Of{User: "alice", Route: "r"}, true, 1)
	r.pending.add(r.take(), 1000)
	cells, sequence := r.pending.hand()
	if err := r.write(t.Context(), rowsOf(cells), sequence); err != nil {
		t.Fatal(err)
	}
	day := Day.start(r.second.Load())
	r.second.Add(3 * 86400)
	if err := other.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, "one call", r.rows(t, Query{Step: Day}), fmt.Sprintf("%d alice  r 1/0/1", day))
}
