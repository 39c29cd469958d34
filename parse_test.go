package stint_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stint-go/stint"
)

func ExampleParseLimit() {
	for _, text := range []string{"100 per hour", "10/s burst 20", "5/90s", "100/hour token-bucket"} {
		limit, err := stint.ParseLimit(text)
		fmt.Println(limit, err)
	}
	// Output:
	// 100/hour <nil>
	// 10/s burst 20 <nil>
	// 5/1m30s <nil>
	// 100/hour token-bucket <nil>
}

func ExampleParseLimits() {
	limits, err := stint.ParseLimits("10/s burst 20; 1000/day")
	if err != nil {
		panic(err)
	}
	limiter, err := stint.New(limits...)
	if err != nil {
		panic(err)
	}
	defer limiter.Close()
	fmt.Println(limits[0].Units, limits[1].Per, limiter.Allow("alice"))
	// Output: 10 24h0m0s true
}

func ExampleParseError() {
	_, err := stint.ParseLimit("10/minutes;")
	var wrong *stint.ParseError
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Caret())
		fmt.Println("expected", wrong.Expected)
	}
	// Output:
	// 10/minutes;
	//           ^
	// expected one limit and then the end
}

func TestParseLimit(t *testing.T) {
	bucket, log := stint.TokenBucket{}, stint.SlidingLog{}
	for _, row := range []struct {
		text  string
		want  stint.Limit
		print string // the canonical form, if it is another
	}{
		{"100/hour", stint.PerHour(100), ""},
		{"100 per hour", stint.PerHour(100), "100/hour"},
		{"\t100  per\thour ", stint.PerHour(100), "100/hour"},
		{"100 / hour", stint.PerHour(100), "100/hour"},
		{"10/s", stint.PerSecond(10), ""},
		{"10/1s", stint.PerSecond(10), "10/s"},
		{"10/m", stint.PerMinute(10), "10/min"},
		{"10/60", stint.PerMinute(10), "10/min"},
		{"100/day", stint.PerDay(100), ""},
		{"100/24h", stint.PerDay(100), "100/day"},
		{"100/7d", stint.Limit{Units: 100, Per: 7 * 24 * time.Hour}, ""},
		{"100/36h", stint.Limit{Units: 100, Per: 36 * time.Hour}, ""},
		{"1/1d12h", stint.Limit{Units: 1, Per: 36 * time.Hour}, "1/36h"},
		{"5/1m30s", stint.Limit{Units: 5, Per: 90 * time.Second}, ""},
		{"5/1h0m0s", stint.PerHour(5), "5/hour"}, // as time.Duration prints it
		{"1 per 3 hour", stint.Every(3 * time.Hour), "1/3h"},
		{"1 per 3 hours", stint.Every(3 * time.Hour), "1/3h"},
		{"1/3hours", stint.Every(3 * time.Hour), "1/3h"},
		{"7/ms", stint.Limit{Units: 7, Per: time.Millisecond}, ""},
		{"7/us", stint.Limit{Units: 7, Per: time.Microsecond}, ""},
		{"7/µs", stint.Limit{Units: 7, Per: time.Microsecond}, "7/us"}, // U+00B5
		{"7/μs", stint.Limit{Units: 7, Per: time.Microsecond}, "7/us"}, // U+03BC
		{"7/1s500ms", stint.Limit{Units: 7, Per: 1500 * time.Millisecond}, ""},
		{"100/10", stint.Limit{Units: 100, Per: 10 * time.Second}, "100/10s"},
		{"100/10 burst 5", stint.Limit{Units: 100, Per: 10 * time.Second, Burst: 5}, "100/10s burst 5"},
		{"100/10 token-bucket", stint.Limit{Units: 100, Per: 10 * time.Second, Strategy: bucket}, "100/10s token-bucket"},
		{"10/s burst 20", stint.PerSecond(10).WithBurst(20), ""},
		{"10/s burst 20 token-bucket", stint.PerSecond(10).WithBurst(20).WithStrategy(bucket), "10/s burst 20"},
		{"10/s token-bucket", stint.PerSecond(10).WithStrategy(bucket), ""},
		{"10/s sliding-window-log", stint.PerSecond(10).WithStrategy(log), "10/s"},
		{"0/minute", stint.PerMinute(0), "0/min"},
		{"9223372036854775807/day token-bucket", stint.PerDay(math.MaxInt64).WithStrategy(bucket), ""},
		{"10/s interval-bucket", stint.PerSecond(10).WithStrategy(stint.IntervalBucket{}), ""},
		{"10/s burst 20 interval-bucket", stint.PerSecond(10).WithBurst(20).WithStrategy(stint.IntervalBucket{}), ""},
		{"10/s fixed-window", stint.PerSecond(10).WithStrategy(stint.FixedWindow{}), ""},
		{"10/s sliding-window-counter", stint.PerSecond(10).WithStrategy(stint.SlidingCounter{}), ""},
		{"10/s burst 1 pacing", stint.PerSecond(10).WithBurst(1).WithStrategy(stint.Pacing{}), ""},
		{"3/min concurrency", stint.PerMinute(3).WithStrategy(stint.Concurrency{}), ""},
		{"100 per calendar day", stint.PerCalendarDay(100, nil), "100/calendar-day"},
		{"100/calendar-month", stint.PerCalendarMonth(100, nil), ""},
		{"100/calendar month in UTC ", stint.PerCalendarMonth(100, nil), "100/calendar-month"},
		{"100/calendar-week from monday", stint.PerCalendarWeek(100, nil), "100/calendar-week"},
		{"0/calendar-week from sunday", stint.PerCalendarWeek(0, nil).WithStrategy(stint.CalendarWindow{Every: stint.Week, WeekEnds: time.Saturday}), ""},
		{"unlimited", stint.Unlimited(), ""},
		{" unlimited ", stint.Unlimited(), "unlimited"},
	} {
		got, err := stint.ParseLimit(row.text)
		if err != nil || got != row.want {
			t.Errorf("ParseLimit(%q) = %+v, %v; want %+v", row.text, got, err, row.want)
			continue
		}
		if row.print == "" {
			row.print = row.text
		}
		if got.String() != row.print {
			t.Errorf("%q is printed %q, want %q", row.text, got, row.print)
		}
	}
}

func TestParseLimitRefuses(t *testing.T) {
	for _, row := range []struct {
		text   string
		offset int
		found  string
		hint   string // a part of Expected
	}{
		{"", 0, "", "100/hour"},
		{"   ", 3, "", "100/hour"},
		{"meow", 0, "meow", "100/hour"},
		{"/hour", 0, "/hour", "100/hour"},
		{"-1/hour", 0, "-1", "a limit"},
		{"+1/hour", 0, "+1", "a limit"},
		{"NaN/s", 0, "NaN", "a limit"},
		{"Inf/s", 0, "Inf", "a limit"},
		{"1e3/s", 1, "e3", `"/"`},
		{"0x10/s", 1, "x10", `"/"`},
		{"1_000/s", 1, "_000", `"/"`},
		{"1,000/s", 1, ",000", `"/"`},
		{"1.5/s", 0, "1.5", "a whole number"},
		{"1/1.5s", 2, "1.5s", "1500ms"},
		{"１００/s", 0, "１００", "a limit"},       // full-width digits
		{"10/１s", 3, "１s", "a span of time"}, // and in the period
		{"١٠/s", 0, "١٠", "a limit"},         // Arabic-Indic digits
		{"10\u00a0/s", 2, "\u00a0", `"/"`},   // a no-break space
		{"10/s\u200b", 3, "s\u200b", "a span of time"},
		{"10/s\n", 4, "\n", "a space"},
		{"10/s\x00", 4, "\x00", "a space"},
		{"10/\xff", 3, "\xff", "a span of time"},
		{"100", 3, "", `"/"`},
		{"100/", 4, "", "a span of time"},
		{"100 per", 7, "", "a span of time"},
		{"100per hour", 3, "per", `" per "`},
		{"100 perhour", 4, "perhour", `" per "`},
		{"100 hour", 4, "hour", `"/"`},
		{"100//hour", 4, "/hour", "a span of time"},
		{"10/month", 3, "month", "calendar month"},
		{"1/week", 2, "week", "calendar week"},
		{"10/year", 3, "year", "30d"},
		{"10/2 weeks", 5, "weeks", "7d"},
		{"10/1mo", 4, "mo", "30d"},
		{"5/M", 2, "M", "a span of time"},
		{"5/Hour", 2, "Hour", "a span of time"},
		{"5/1M", 3, "M", "a unit of time"},
		{"5/1H30m", 3, "H30m", "a unit of time"},
		{"5/hourly", 2, "hourly", "a span of time"},
		{"5/fortnight", 2, "fortnight", "a span of time"},
		{"5/0 minute", 2, "0", "longer than 0"},
		{"5/0", 2, "0", "longer than 0"},
		{"5/0h0m", 2, "0h0m", "longer than 0"},
		{"5/-1m", 2, "-1m", "a span of time"},
		{"5/1m1h", 5, "h", "smaller"},
		{"5/1m30", 6, "", "a unit of time"},
		{"5/1h 30m", 5, "30m", "burst"},
		{"5/1 minute 30", 11, "30", "burst"},
		{"1/second:;5/minute", 8, ":", "a space"},
		{"5/s;", 3, ";", "one limit"},
		{"5/s; 10/m", 3, ";", "one limit"},
		{"10/s burst", 10, "", "a number"},
		{"10/s burst -1", 11, "-1", "a number"},
		{"10/s burst 0", 11, "0", "1 or more"},
		{"10/s burst 2x", 12, "x", "a space"},
		{"10/s burst20", 5, "burst20", `"burst" and a number`},
		{"10/s burst 2 burst 3", 13, "burst", "the end"},
		{"10/s nonsense", 5, "nonsense", "a strategy"},
		{"10/s Token-Bucket", 5, "Token-Bucket", "a strategy"},
		{"10/s token-bucket burst 20", 18, "burst", "the end"},
		{"unlimited burst 3", 10, "burst", "the end"},
		{"unlimited/hour", 0, "unlimited", "a limit"},
		{"10/calendar", 11, "", "a hyphen"},
		{"10/calendar-", 12, "", `"day"`},
		{"10/calendarday", 11, "day", "a hyphen"},
		{"10/calendar year", 12, "year", `"day", "week" or "month"`},
		{"10/calendar months", 12, "months", `"month"`},
		{"10/calendar Day", 12, "Day", `"day"`},
		{"10/calendar-day burst 3", 16, "burst", "a time zone"},
		{"10/calendar-day from sunday", 16, "from", "a time zone"},
		{"10/calendar-week from", 21, "", "sunday"},
		{"10/calendar-week from Sunday", 22, "Sunday", "sunday"},
		{"10/calendar-day in", 18, "", "Europe/Berlin"},
		{"10/calendar-day in Local", 19, "Local", "Europe/Berlin"},
		{"10/calendar-day in Nowhere/Else", 19, "Nowhere/Else", "Europe/Berlin"},
		{"10/calendar-day in ../../etc/passwd", 19, "../../etc/passwd", "Europe/Berlin"},
		{"10/calendar-day in UTC UTC", 23, "UTC", "the end"},
		{"9223372036854775808/s", 0, "9223372036854775808", "at most 9223372036854775807"},
		{"1/9223372036854775808", 2, "9223372036854775808", "at most 9223372036854775807"},
		{"1/9223372037", 2, "9223372037", "292 years"},
		{"1/106752d", 2, "106752d", "292 years"},
		{"1/106751d24h", 9, "24h", "292 years"},
		{"1/s burst 9223372036854775808", 10, "9223372036854775808", "at most 9223372036854775807"},
		{" 5/s burst 3 sliding-window-log", 1, "5/s burst 3 sliding-window-log", "has none"}, // refused by Compile
	} {
		got, err := stint.ParseLimit(row.text)
		var wrong *stint.ParseError
		if !errors.As(err, &wrong) {
			t.Errorf("ParseLimit(%q) = %v, %v; want a ParseError", row.text, got, err)
			continue
		}
		if wrong.Text != row.text || wrong.Offset != row.offset || wrong.Found != row.found || !strings.Contains(wrong.Expected, row.hint) {
			t.Errorf("ParseLimit(%q): offset %d, found %q, expected %s\nwant offset %d, found %q, expected … %s …",
				row.text, wrong.Offset, wrong.Found, wrong.Expected, row.offset, row.found, row.hint)
		}
		if got != (stint.Limit{}) {
			t.Errorf("ParseLimit(%q) gives a limit with its error: %v", row.text, got)
		}
	}
}

func TestParseLimits(t *testing.T) {
	got, err := stint.ParseLimits("1 per 3 hour; 10/s burst 20 ;0/min;unlimited")
	want := []stint.Limit{stint.Every(3 * time.Hour), stint.PerSecond(10).WithBurst(20), stint.PerMinute(0), stint.Unlimited()}
	if err != nil || len(got) != len(want) {
		t.Fatal(got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("limit %d is %v, want %v", i, got[i], want[i])
		}
	}
	for text, offset := range map[string]int{
		"": 0, ";": 0, "1/s;": 4, "1/s;;2/m": 4, "1/s; ": 5, "1/s, 2/m": 3, "1/s; 2/month": 7, "1/s 2/m": 4,
	} {
		got, err := stint.ParseLimits(text)
		var wrong *stint.ParseError
		if !errors.As(err, &wrong) || wrong.Offset != offset || got != nil {
			t.Errorf("ParseLimits(%q) = %v, %v; want an error at %d", text, got, err, offset)
		}
	}
}

// Zones are compared by their names: each reading of a zone makes another one.
func TestParseCalendarZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	l, err := stint.ParseLimit("100 per calendar week from saturday in Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	want := stint.PerCalendarWeek(100, berlin).WithStrategy(stint.CalendarWindow{Every: stint.Week, Zone: berlin, WeekEnds: time.Friday})
	if text := "100/calendar-week from saturday in Europe/Berlin"; !same(t, l, want) || l.String() != text || want.String() != text {
		t.Errorf("%v is %+v, want %v", l, l, want)
	}
}

func TestParseStrategy(t *testing.T) {
	for _, want := range []stint.Strategy{stint.TokenBucket{}, stint.SlidingLog{}, stint.SlidingCounter{}, stint.FixedWindow{},
		stint.IntervalBucket{}, stint.Pacing{}, stint.Concurrency{}} {
		if s, err := stint.ParseStrategy(want.Name()); err != nil || s != want {
			t.Errorf("%s is %v, %v", want.Name(), s, err)
		}
	}
	for _, name := range []string{"", "bucket", "Token-Bucket", "token-bucket ", "unlimited", strings.Repeat("x", 1<<20)} {
		s, err := stint.ParseStrategy(name)
		var wrong *stint.ParseError
		if s != nil || !errors.As(err, &wrong) {
			t.Errorf("ParseStrategy(%.20q) = %v, %v", name, s, err)
		}
	}
}

// The fixtures of other limiters' texts, one of which is refused on purpose.
func TestParseVectors(t *testing.T) {
	onPurpose := map[string]string{
		"gram-limits-7": "a month has no fixed length; 30 days would be wrong in most months",
	}
	file, err := os.Open("limittest/testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var vector struct {
			ID, Algo string
			S        []json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			t.Fatal(err)
		}
		kind, ok := strings.CutPrefix(vector.Algo, "grammar:")
		if !ok {
			continue
		}
		t.Run(vector.ID, func(t *testing.T) {
			for _, raw := range vector.S {
				rows++
				var step struct {
					In  string
					Out json.RawMessage
				}
				if err := json.Unmarshal(raw, &step); err != nil {
					t.Fatal(err)
				}
				want, text := string(step.Out), step.In
				if kind == "upstash-duration" {
					want, text = "[[1,"+want+"]]", "1/"+text
				}
				if onPurpose[vector.ID] != "" {
					want = `"error"`
				}
				var pairs [][2]float64
				limits, err := stint.ParseLimits(text)
				for _, l := range limits {
					pairs = append(pairs, [2]float64{float64(l.Units), l.Per.Seconds()})
				}
				got, _ := json.Marshal(pairs)
				if err != nil {
					got = []byte(`"error"`)
				}
				if string(got) != want {
					t.Errorf("%q is %s (%v), want %s", text, got, err, want)
				}
			}
		})
	}
	if rows < 21 {
		t.Errorf("only %d grammar vectors found", rows)
	}
}

func TestParseErrorIsBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("9", 1<<20), strings.Repeat("1/s;", 1<<18), strings.Repeat(" ", 1<<20), strings.Repeat("\xff", 1<<20),
		strings.Repeat("9", 4000), strings.Repeat("1/s;", 1000) + "x", strings.Repeat("é", 2000), "1/" + strings.Repeat("\n", 4000),
	} {
		_, err := stint.ParseLimits(text)
		var wrong *stint.ParseError
		if !errors.As(err, &wrong) {
			t.Errorf("%.20q: %v", text, err)
			continue
		}
		if len(wrong.Text) > 4096 || len(wrong.Error()) > 1000 || len(wrong.Caret()) > 400 {
			t.Errorf("%.20q: a text of %d bytes, a message of %d", text, len(wrong.Text), len(wrong.Error()))
		}
	}
}

func TestParseErrorShowsThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"10/s; 10/month":                       "10/s; 10/month\n         ^",
		"１0/s":                                 "１0/s\n^",
		"1/µs\té":                              "1/µs é\n     ^",
		"1/s\x1b[31m":                          "1/s\uFFFD[31m\n   ^",
		strings.Repeat("1/s; ", 20) + "2/year": "…; 1/s; 1/s; 1/s; 1/s; 1/s; 1/s; 1/s; 2/year\n" + strings.Repeat(" ", 40) + "^",
	} {
		_, err := stint.ParseLimits(text)
		var wrong *stint.ParseError
		if !errors.As(err, &wrong) {
			t.Fatal(err)
		}
		if got := wrong.Caret(); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, got, want)
		}
	}
	_, err := stint.ParseLimit("1/µs\té/s")
	want := `stint: "1/µs\té/s", column 6: found "é", expected "burst" and a number, a strategy (token-bucket, sliding-window-log, ` +
		`sliding-window-counter, fixed-window, interval-bucket, pacing, concurrency), ";" or the end`
	if err.Error() != want {
		t.Errorf("%s\nwant\n%s", err, want)
	}
}

// same says whether two limits count alike: equal values, and the same strategy once the default is filled in.
func same(t *testing.T, a, b stint.Limit) bool {
	t.Helper()
	x, err := a.Compile()
	if err != nil {
		t.Fatalf("%+v: %v", a, err)
	}
	y, err := b.Compile()
	if err != nil {
		t.Fatalf("%+v: %v", b, err)
	}
	return x.Units == y.Units && x.Per == y.Per && x.Burst == y.Burst && x.Strategy.Name() == y.Strategy.Name()
}

func TestLimitTextRoundTrip(t *testing.T) {
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	strategies := []stint.Strategy{nil, stint.TokenBucket{}, stint.SlidingLog{}, stint.SlidingCounter{}, stint.FixedWindow{},
		stint.IntervalBucket{}, stint.Pacing{}, stint.Concurrency{}, stint.CalendarWindow{}, stint.CalendarWindow{Every: stint.Month, Zone: newYork},
		stint.CalendarWindow{Every: stint.Week, WeekEnds: time.Thursday, Zone: newYork}}
	random := rand.New(rand.NewPCG(1, 2))
	some := func() int64 { return random.Int64() >> random.IntN(63) }
	spans := []time.Duration{1, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}
	tried := 0
	for range 20000 {
		l := stint.Limit{Units: some(), Per: time.Duration(some() + 1), Strategy: strategies[random.IntN(len(strategies))]}
		if random.IntN(2) == 0 {
			l.Per = spans[random.IntN(len(spans))] * time.Duration(1+random.IntN(100))
		}
		if _, calendar := l.Strategy.(stint.CalendarWindow); !calendar && random.IntN(2) == 0 {
			l.Burst = some()
		}
		if _, err := l.Compile(); err != nil {
			continue
		}
		tried++
		back, err := stint.ParseLimit(l.String())
		if err != nil || !same(t, back, l) {
			t.Fatalf("%+v is printed %q and read back as %+v, %v", l, l, back, err)
		}
	}
	if tried < 5000 {
		t.Fatalf("only %d limits were good enough to try", tried)
	}
}

func FuzzParseLimits(f *testing.F) {
	for _, seed := range []string{
		"100/hour", "100 per hour", "10/s burst 20", "5/1m30s; 0/min", "1 per 3 hours token-bucket", "unlimited", "10/month", "100/10",
		"1/106751d23h47m16s854ms775us807ns", "9223372036854775807/ns burst 9223372036854775807", "１/s", "1/μs", "\xff", "5/1h0m0s;;",
		"100 per calendar month in Europe/Berlin", "1/calendar-week from sunday; 2/calendar-day in UTC", "10/s burst 1 pacing; 3/min concurrency",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limits, err := stint.ParseLimits(text)
		var wrong *stint.ParseError
		if err != nil {
			if !errors.As(err, &wrong) || limits != nil {
				t.Fatalf("%q: %v, %v", text, limits, err)
			}
			if !strings.HasPrefix(text, wrong.Text) || wrong.Offset < 0 || wrong.Offset > len(wrong.Text) || wrong.Expected == "" {
				t.Fatalf("%q: %+v", text, wrong)
			}
			if utf8.ValidString(text) && !utf8.ValidString(wrong.Found) {
				t.Fatalf("%q: found cut within a character: %q", text, wrong.Found)
			}
			if strings.Count(wrong.Caret(), "\n") != 1 || strings.Contains(wrong.Error(), "\n") {
				t.Fatalf("%q: %s\n%s", text, wrong, wrong.Caret())
			}
			return
		}
		var texts []string
		for _, l := range limits {
			one, err := stint.ParseLimit(l.String())
			if err != nil || !same(t, one, l) || one.String() != l.String() {
				t.Fatalf("%q: %+v is printed %q and read back as %+v, %v", text, l, l, one, err)
			}
			texts = append(texts, l.String())
		}
		if again, err := stint.ParseLimits(strings.Join(texts, ";")); err == nil && len(again) != len(limits) {
			t.Fatalf("%q: %d limits, then %d", text, len(limits), len(again))
		}
	})
}
