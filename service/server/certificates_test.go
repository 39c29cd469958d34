package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// identity is a certificate that has signed itself.
type identity struct{ certificate, key []byte }

func newIdentity(t *testing.T, name string) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func (i identity) write(t *testing.T, files CertificateFiles) {
	t.Helper()
	for file, text := range map[string][]byte{files.Certificate: i.certificate, files.Key: i.key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// secured is a server that speaks TLS, with a clock of its own.
type secured struct {
	*Server
	files CertificateFiles
	now   time.Time
	log   *bytes.Buffer
}

func newSecured(t *testing.T, of identity, clients []byte) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{files: CertificateFiles{Certificate: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}, now: time.Unix(1e9, 0), log: new(bytes.Buffer)}
	of.write(t, s.files)
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

func trusting(others ...identity) *tls.Config {
	pool := x509.NewCertPool()
	for _, other := range others {
		pool.AppendCertsFromPEM(other.certificate)
	}
	return &tls.Config{RootCAs: pool}
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
	second.write(t, s.files)
	if name, _, err := s.get(t, config); name != "first" || err != nil {
		t.Errorf("within a second the files are read again: %q, %v", name, err)
	}
	s.now = s.now.Add(time.Second)
	if name, _, err := s.get(t, config); name != "second" || err != nil {
		t.Errorf("after the change answered by %q, %v", name, err)
	}
	// A half-written file leaves the last good one in force, and is told of.
	if err := os.WriteFile(s.files.Certificate, second.certificate[:40], 0o600); err != nil {
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
	s := newSecured(t, server, friend.certificate)
	for _, c := range []struct {
		name   string
		client *identity
		passes bool
	}{{"none", nil, false}, {"friend", &friend, true}, {"stranger", &stranger, false}} {
		config := trusting(server)
		if c.client != nil {
			pair, err := tls.X509KeyPair(c.client.certificate, c.client.key)
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
	good.write(t, files)
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
