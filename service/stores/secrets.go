package stores

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// Redacted is an address to be shown: without what stands before the @, which may be a password, and without options, which may be, too.
func Redacted(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme == "sqlite" {
		return address
	}
	shown := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest, shown = rest[at+1:], "…@"
	}
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest = rest[:i]
	}
	return scheme + "://" + shown + rest
}

// secretsIn are the passwords in an address, as they are written and as they are meant.
func secretsIn(address string) []string {
	_, rest, _ := strings.Cut(address, "://")
	var found []string
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, password, two := strings.Cut(rest[:at], ":")
		if !two {
			password = user // redis://secret@host: meant as the password, often enough
		}
		found = append(found, password)
	}
	_, query, _ := strings.Cut(rest, "?")
	for part := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(part, "="); strings.Contains(name, "password") {
			found = append(found, value)
		}
	}
	for _, secret := range found {
		if meant, err := url.PathUnescape(secret); err == nil {
			found = append(found, meant)
		}
	}
	found = slices.DeleteFunc(found, func(secret string) bool { return secret == "" })
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) }) // a longer one may hold a shorter one
	return slices.Compact(found)
}

// withoutSecrets is the error with the secrets taken out of its text. The packages below take care of that themselves; what drivers say
// is not theirs.
func withoutSecrets(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// Conceal is the error without the passwords in an address, for errors of drivers that were given it.
func Conceal(err error, address string) error { return withoutSecrets(err, secretsIn(address)) }
