package api

import (
	"reflect"
	"strings"
	"testing"
)

// What the quick reader reads, encoding/json reads as the same; and it does read what most send.
func FuzzQuick(f *testing.F) {
	const one = `{"limit": "hourly", "key": "user:a", "cost": 12}`
	for body, quickly := range map[string]bool{
		one:    true,
		" {} ": true,
		`{"key":"","limit":"","plan":"gold","cost":0,"dry_run":true,"receipt":false}`:                                             true,
		`{"calls": [` + one + `, {}, ` + one + `], "receipt": true}` + "\n":                                                       true,
		`{"calls": [` + strings.Repeat(one+`,{"limit":"daily","key":"b"},{"plan":"gold","cost":3},`, 40) + `{"limit":"hourly"}]}`: true,
		`{"calls": [{"key": "{{{{"}]}`:   true,
		`{"calls": []}`:                  false,
		`{"calls": null}`:                false,
		one + one:                        false,
		one + "x":                        false,
		`{"limit": "a", "limit": "b"}`:   false,
		`{"Limit": "a"}`:                 false,
		`{"limit": {"id": "a"}}`:         false,
		`{"key": ["a", "b"]}`:            false,
		`{"key": "a\n"}`:                 false,
		`{"key": "ä"}`:                   false,
		"{\"key\": \"a\x7f\"}":           false,
		`{"cost": 01}`:                   false,
		`{"cost": 1.0}`:                  false,
		`{"cost": -1}`:                   false,
		`{"cost": 1e3}`:                  false,
		`{"cost": 9007199254740993}`:     false,
		`{"cost": null}`:                 false,
		`{"dry_run": truefalse}`:         false,
		`{"key": "a",}`:                  false,
		`{"claims": [{"key": "a"}]}`:     false,
		`{"calls": [{"receipt": true}]}`: false,
		`{"key": "a`:                     false,
		"{}\x00":                         false,
		``:                               false,
	} {
		f.Add(body)
		if quick([]byte(body), new(wireTake)) != quickly {
			f.Errorf("%s: read quickly is %v", body, !quickly)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		var quickly, slowly wireTake
		if !quick([]byte(body), &quickly) {
			return
		}
		if err := decode(strings.NewReader(body), &slowly); err != nil {
			t.Fatalf("%q is read quickly, and is %v", body, err)
		}
		if !reflect.DeepEqual(quickly, slowly) {
			t.Fatalf("%q is %+v quickly and %+v slowly", body, quickly, slowly)
		}
	})
}
