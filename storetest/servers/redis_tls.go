package servers

import (
	"crypto/tls"
	"os"
	"path/filepath"
)

// certify makes a certificate for the server, which is its own authority.
func (s *RedisServer) certify() error {
	s.CA = filepath.Join(s.Dir, "ca.pem")
	identity, err := NewIdentity("redis")
	if err != nil {
		return err
	}
	return identity.Write(s.CA, s.CA+".key")
}

// trusting is a configuration that trusts the certificate in the file.
func trusting(file string) *tls.Config {
	text, _ := os.ReadFile(file) // without it nobody is trusted
	return Trusting(text)
}
