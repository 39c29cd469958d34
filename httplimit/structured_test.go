package httplimit

import (
	"fmt"
	"strings"
	"testing"
)

// show writes members as they were understood.
func show(members []member) string {
	var b strings.Builder
	item := func(i bareItem) {
		fmt.Fprintf(&b, "%s(%q,%d)", [...]string{"", "int", "dec", "str", "tok", "bin", "bool", "date", "disp"}[i.kind], i.text, i.integer)
	}
	for _, m := range members {
		if m.name != "" {
			b.WriteString(m.name + "=")
		}
		item(m.bareItem)
		for _, p := range m.parameters {
			b.WriteString(";" + p.name + "=")
			item(p.bareItem)
		}
		b.WriteString(" ")
	}
	return strings.TrimSuffix(b.String(), " ")
}

func TestParseList(t *testing.T) {
	const bad = "malformed"
	for in, want := range map[string]string{
		``:                               ``,
		`"burst";q=100;w=60`:             `str("burst",0);q=int("",100);w=int("",60)`,
		` "a";r=1 , "b";r=2 `:            `str("a",0);r=int("",1) str("b",0);r=int("",2)`,
		"\"a\"\t,\t\"b\"":                `str("a",0) str("b",0)`,
		`"x";pk=:c2RmamxKVU9VSD09:;w=10`: `str("x",0);pk=bin("sdfjlJUOUH==",0);w=int("",10)`,
		`"x";pk=:cw:`:                    `str("x",0);pk=bin("s",0)`,
		`"a\"b\\c"`:                      `str("a\"b\\c",0)`,
		`tok:en/*;a;b=?0`:                `tok("tok:en/*",0);a=bool("",1);b=bool("",0)`,
		`1, -2, 3.5, -0.125`:             `int("",1) int("",-2) dec("3.5",0) dec("-0.125",0)`,
		`@1659578233, %"f%c3%bc"`:        `date("",1659578233) disp("f%c3%bc",0)`,
		`999999999999999`:                `int("",999999999999999)`,
		`"a";x=1;x=2`:                    `str("a",0);x=int("",1);x=int("",2)`,
		`"a"; *x.y-z_9=1`:                `str("a",0);*x.y-z_9=int("",1)`,
		// Malformed.
		`"a",`: bad, `,`: bad, `"a" "b"`: bad, `"a`: bad, `"a\`: bad, `"a\x"`: bad, "\"\x7f\"": bad, "\"\u00fc\"": bad,
		`1000000000000000`: bad, `1.`: bad, `.5`: bad, `1.2345`: bad, `1234567890123.1`: bad, `-`: bad, `--1`: bad,
		`"a";`: bad, `"a";X=1`: bad, `"a";1=1`: bad, `"a";x=`: bad, `"a" ;x=1`: bad, `:a:`: bad, `:YQ`: bad, `:Y Q=:`: bad,
		`?2`: bad, `?`: bad, `@1.5`: bad, `@x`: bad, `%"%C3"`: bad, `%"%c"`: bad, `%a`: bad, `%"a`: bad, `("a" "b")`: bad,
		`limit=100, remaining=50`: bad, "\x00": bad, strings.Repeat(`"a", `, 10<<20/5): bad,
	} {
		members, ok := parseList(in)
		if got := show(members); ok && got != want || !ok && want != bad {
			t.Errorf("%.60q: %v %s, want %s", in, ok, got, want)
		}
	}
	if m, ok := parseDictionary(`limit=100, remaining=50, reset=5;a, on`); !ok ||
		show(m) != `limit=int("",100) remaining=int("",50) reset=int("",5);a=bool("",1) on=bool("",1)` {
		t.Errorf("dictionary: %v %s", ok, show(m))
	}
	if m, _ := parseList(`"a";x=1;x=2`); m[0].parameter("x").integer != 2 || m[0].parameter("y").kind != 0 {
		t.Error("of equal parameters the last one holds")
	}
}

func TestAppend(t *testing.T) {
	for _, row := range []struct{ got, want string }{
		{quotedString(`a"b\c`), `"a\"b\\c"`},
		{string(appendInteger(nil, 1<<62)), "999999999999999"},
		{string(appendInteger(nil, -1<<63)), "-999999999999999"},
		{string(appendBytes(nil, []byte("App-999"))), ":QXBwLTk5OQ==:"},
		{string(appendBytes(nil, nil)), "::"},
	} {
		if row.got != row.want {
			t.Errorf("%s, want %s", row.got, row.want)
		}
	}
}

// FuzzStructured checks that no field makes the parser fail, and that what is written reads back.
func FuzzStructured(f *testing.F) {
	for _, seed := range []string{`"a";q=1;w=2, "b";pk=:YQ==:`, `a=1, b=?1`, `%"x%c3"`, `@1`, `1.5`, `"\"`, "", `*a;*b=-1`} {
		f.Add(seed, int64(7), []byte("key"))
	}
	f.Fuzz(func(t *testing.T, text string, n int64, key []byte) {
		for _, parse := range []func(string) ([]member, bool){parseList, parseDictionary} {
			members, ok := parse(text)
			if !ok && members != nil {
				t.Errorf("%q: malformed, and yet %v", text, members)
			}
			for _, m := range members {
				if m.kind == 0 || m.kind == integerItem && (m.integer > maxInteger || m.integer < -maxInteger) {
					t.Errorf("%q: %v", text, m)
				}
			}
		}
		name := printable(text)
		field := appendInteger([]byte(quotedString(name)+";n="), n)
		field = appendBytes(append(field, ";pk="...), key)
		if len(field) > maxField {
			return
		}
		back, ok := parseList(string(field))
		if !ok || len(back) != 1 || back[0].kind != stringItem || back[0].text != name ||
			back[0].parameter("n").integer != min(max(n, -maxInteger), maxInteger) || back[0].parameter("pk").text != string(key) {
			t.Errorf("%s reads back as %v %s", field, ok, show(back))
		}
	})
}

// printable is the text without what a String cannot hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, text)
}
