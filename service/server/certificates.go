package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// CertificateFiles are the files of TLS, in PEM.
type CertificateFiles struct {
	// Certificate is the server's, with those that lead to a known authority, and Key its private key. Both or none.
	Certificate, Key string

	// ClientAuthorities are the certificates of the authorities whose clients may connect: then every client must show a certificate of
	// one of them (mutual TLS). Default: clients need none.
	ClientAuthorities string
}

// lookEvery is how often files are looked at, at most: at handshakes.
const lookEvery = time.Second

// Certificates keep the files of TLS up to date: they are read again when one changes, before the next handshake. What cannot be read
// then is logged, and the last good ones stay in force. Safe for concurrent use.
type Certificates struct {
	files  CertificateFiles
	log    *slog.Logger
	now    func() time.Time
	inUse  atomic.Pointer[tls.Config]
	looked atomic.Int64 // when the files were last looked at, in nanoseconds of now

	mu   sync.Mutex
	seen [3]seen
}

// seen is what a file looked like.
type seen struct {
	modified time.Time
	size     int64
}

// LoadCertificates reads the files.
func LoadCertificates(files CertificateFiles, log *slog.Logger) (*Certificates, error) {
	return loadCertificates(files, log, time.Now)
}

func loadCertificates(files CertificateFiles, log *slog.Logger, now func() time.Time) (*Certificates, error) {
	if files.Certificate == "" || files.Key == "" {
		return nil, errors.New("tls: a certificate and its key are needed, both")
	}
	c := &Certificates{files: files, log: log, now: now}
	c.seen = c.look()
	if err := c.read(); err != nil {
		return nil, err
	}
	c.looked.Store(now().UnixNano())
	return c, nil
}

// Config is a configuration for a listener, which follows the files.
func (c *Certificates) Config() *tls.Config {
	follows := c.inUse.Load().Clone()
	follows.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.refresh()
		return c.inUse.Load(), nil
	}
	return follows
}

// refresh reads the files again if they have changed and nobody else is at it.
func (c *Certificates) refresh() {
	now, last := c.now().UnixNano(), c.looked.Load()
	if now-last < int64(lookEvery) || !c.looked.CompareAndSwap(last, now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.look()
	if found == c.seen {
		return
	}
	c.seen = found
	if err := c.read(); err != nil {
		c.log.Error("the TLS files changed and are not good: the last good ones stay in force", "error", err)
		return
	}
	c.log.Info("the TLS files changed and are in force", "certificate", c.files.Certificate)
}

func (c *Certificates) look() (s [3]seen) {
	for i, file := range []string{c.files.Certificate, c.files.Key, c.files.ClientAuthorities} {
		if info, err := os.Stat(file); err == nil {
			s[i] = seen{info.ModTime(), info.Size()}
		}
	}
	return s
}

func (c *Certificates) read() error {
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("tls: %s and %s: %w", c.files.Certificate, c.files.Key, err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.files.ClientAuthorities != "" {
		text, err := os.ReadFile(c.files.ClientAuthorities)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("tls: %s holds no certificate in PEM", c.files.ClientAuthorities)
		}
	}
	c.inUse.Store(config)
	return nil
}
