package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-go/stint/storetest/servers"
)

// Both listeners speak TLS where they are asked to, and take those clients only whom the authority vouches for.
func TestServeOverTLS(t *testing.T) {
	dir := t.TempDir()
	service, operator := filepath.Join(dir, "service"), filepath.Join(dir, "operator")
	identities := map[string]servers.Identity{}
	for _, name := range []string{service, operator} {
		i, err := servers.NewIdentity(filepath.Base(name))
		if err == nil {
			err = i.Write(name, name+".key")
		}
		if err != nil {
			t.Fatal(err)
		}
		identities[name] = i
	}
	p := startProcess(t, binary, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--admin-tls",
		"--tls-cert", service, "--tls-key", service+".key", "--tls-client-ca", operator)
	public := p.waitFor(`listens on (https://\S+[0-9])`)[1]
	admin := p.waitFor(`Admin: (https://\S+[0-9]), with the token in (\S+)`)
	token := strings.TrimSpace(contents(t, admin[2]))
	pair, err := tls.X509KeyPair(identities[operator].Certificate, identities[operator].Key)
	if err != nil {
		t.Fatal(err)
	}
	known := servers.Trusting(identities[service].Certificate)
	known.Certificates = []tls.Certificate{pair}
	for url, want := range map[string]int{public + "/limit": 401, admin[1] + "/metrics": 200} {
		for name, config := range map[string]*tls.Config{"known": known, "unknown": servers.Trusting(identities[service].Certificate)} {
			transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			res, err := transport.RoundTrip(r)
			if name == "unknown" {
				if err == nil {
					t.Errorf("%s without a client's certificate: %s", url, res.Status)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s", url, res.Status)
			}
		}
	}
	if _, stderr, code := ended(t, "serve", "--data", dir, "--admin-tls"); code != exitFailed || !strings.Contains(stderr, "--admin-tls needs --tls-cert") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
