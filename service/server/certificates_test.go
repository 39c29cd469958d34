package server

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint/storetest/servers"
)

func newIdentity(t *testing.T, name string) servers.Identity {
	t.Helper()
	i, err := servers.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func writeIdentity(t *testing.T, i servers.Identity, files CertificateFiles) {
	t.Helper()
	if err := i.Write(files.Certificate, files.Key); err != nil {
		t.Fatal(err)
	}
}

// secured is a server that speaks TLS, with a clock of its own.
type secured struct {
	*Server
	files CertificateFiles
	now   time.Time
	log   *bytes.Buffer
}

func newSecured(t *testing.T, of servers.Identity, clients []byte) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{files: CertificateFiles{Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}, now: time.Unix(1e9, 0), log: new(bytes.Buffer)}
	writeIdentity(t, of, s.files)
	if clients != nil {
		s.files.ClientAuthorities = filepath.Join(dir, "clients")
		if err := os.WriteFile(s.files.ClientAuthorities, clients, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificates, err := loadCertificates(s.files, slog.New(slog.NewTextHandler(s.log, nil)), func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	s.Server, _ = running(t, Options{TLS: certificates, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	})})
	return s
}

// get asks the server over a connection of its own, and says by which certificate it was answered.
func (s *secured) get(t *testing.T, config *tls.Config) (name, body string, err error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(s.URL())
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.TLS.PeerCertificates[0].Subject.CommonName, string(text), err
}

func trusting(others ...servers.Identity) *tls.Config {
	var certificates [][]byte
	for _, other := range others {
		certificates = append(certificates, other.Certificate)
	}
	return servers.Trusting(certificates...)
}

func TestTLSFollowsItsFiles(t *testing.T) {
	first, second := newIdentity(t, "first"), newIdentity(t, "second")
	s := newSecured(t, first, nil)
	config := trusting(first, second)
	if !strings.HasPrefix(s.URL(), "https://") {
		t.Errorf("it says it answers at %s", s.URL())
	}
	if name, body, err := s.get(t, config); name != "first" || body != "HTTP/2.0" || err != nil {
		t.Fatalf("answered by %q with %q, %v", name, body, err)
	}
	writeIdentity(t, second, s.files)
	if name, _, err := s.get(t, config); name != "first" || err != nil {
		t.Errorf("within a second the files are read again: %q, %v", name, err)
	}
	s.now = s.now.Add(time.Second)
	if name, _, err := s.get(t, config); name != "second" || err != nil {
		t.Errorf("after the change answered by %q, %v", name, err)
	}
	// A half-written file leaves the last good one in force, and is told of.
	if err := os.WriteFile(s.files.Certificate, second.Certificate[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Second)
	if name, _, err := s.get(t, config); name != "second" || err != nil {
		t.Errorf("after a bad change answered by %q, %v", name, err)
	}
	if !strings.Contains(s.log.String(), "the last good ones stay in force") {
		t.Errorf("logged: %s", s.log)
	}
}

func TestMutualTLS(t *testing.T) {
	server, friend, stranger := newIdentity(t, "server"), newIdentity(t, "friend"), newIdentity(t, "stranger")
	s := newSecured(t, server, friend.Certificate)
	for _, c := range []struct {
		name   string
		client *servers.Identity
		passes bool
	}{{"none", nil, false}, {"friend", &friend, true}, {"stranger", &stranger, false}} {
		config := trusting(server)
		if c.client != nil {
			pair, err := tls.X509KeyPair(c.client.Certificate, c.client.Key)
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		if _, _, err := s.get(t, config); (err == nil) != c.passes {
			t.Errorf("a client with the certificate of %s: %v", c.name, err)
		}
	}
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	good := newIdentity(t, "good")
	dir := t.TempDir()
	files := CertificateFiles{Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	writeIdentity(t, good, files)
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		files CertificateFiles
		want  string
	}{
		{CertificateFiles{Certificate: files.Certificate}, "a certificate and its key are needed"},
		{CertificateFiles{Certificate: files.Key, Key: files.Key}, "failed to find certificate PEM data"},
		{CertificateFiles{Certificate: filepath.Join(dir, "none"), Key: files.Key}, "no such file"},
		{CertificateFiles{Certificate: files.Certificate, Key: files.Key, ClientAuthorities: empty}, "holds no certificate in PEM"},
	} {
		if _, err := LoadCertificates(c.files, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.files, err, c.want)
		}
	}
}
