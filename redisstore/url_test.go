package redisstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct {
		addr, user, password string
		db                   int
		tls                  bool
	}{
		"redis://localhost":                         {addr: "localhost:6379"},
		"redis://u:p%40ss@h:7000/3":                 {addr: "h:7000", user: "u", password: "p@ss", db: 3},
		"rediss://:secret@h?skip-verify=true":       {addr: "h:6379", password: "secret", tls: true},
		"redis://[::1]:7000":                        {addr: "[::1]:7000"},
		"unix://u:p@/run/redis.sock?db=2":           {user: "u", password: "p", db: 2},
		"redis+sentinel://:p@a:1,b:2/main/4":        {password: "p", db: 4},
		"redis+cluster://u:p@a:1,[::1]:2,c":         {user: "u", password: "p"},
		"rediss+cluster://a,b?server-name=c&pool=7": {tls: true},
	} {
		client, err := connect(address, &Options{Timeout: time.Second})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		switch c := client.(type) {
		case *redis.Client:
			o := c.Options()
			if want.addr != "" && o.Addr != want.addr || o.Username != want.user || o.Password != want.password || o.DB != want.db || (o.TLSConfig != nil) != want.tls {
				t.Errorf("%s: %s %s %s %d", address, o.Addr, o.Username, o.Password, o.DB)
			}
			if !o.ContextTimeoutEnabled || o.MaxRetries > 0 {
				t.Errorf("%s: deadlines %v, retries %d", address, o.ContextTimeoutEnabled, o.MaxRetries)
			}
		case *redis.ClusterClient:
			o := c.Options()
			if o.Username != want.user || o.Password != want.password || (o.TLSConfig != nil) != want.tls || o.ClusterStateReloadInterval > time.Second || !o.ContextTimeoutEnabled {
				t.Errorf("%s: %+v", address, o)
			}
		}
		client.Close()
	}
}

// What is wrong with an address is said, and never with the password in it.
func TestBadAddresses(t *testing.T) {
	const password = "s3cr3tw0rd"
	for _, address := range []string{
		"", "localhost", "localhost:6379", "http://:PW@localhost", "redis://", "redis://:PW@:6379", "redis://:PW@host:port", "redis://:PW@host:0",
		"redis://:PW@host/x", "redis://:PW@host/1/2", "redis://:PW@a,b", "redis://:PW@host?wat=1", "redis://:PW@host?ca=/none", "rediss://:PW@host?ca=/none",
		"redis://:PW@%zz", "redis://:PW%@host", "redis+cluster://:PW@a/1", "redis+sentinel://:PW@a:1", "unix://:PW@host/x", "redis://:PW@host?db=-1", "redis://:PW@host?replicas=x", "redis://:PW@host?replica-timeout=1us", "redis://:PW@host?%zz", "redis://:x/PW@host", "redis://:PW/x@host", "redis://:x?PW@host", "redis://:x#PW@host", "redis://:x?PW=@host",
	} {
		client, err := connect(strings.ReplaceAll(address, "PW", password), &Options{Timeout: time.Second})
		var bad *AddressError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", address, err)
		} else if strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", address, err)
		}
		if client != nil {
			client.Close()
		}
	}
}
