package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
)

// A secret is what a caller sends as its API key: the prefix, the key's id, 27 characters of 62 (160 bits), and a checksum.
const (
	prefix         = "stint_"
	idLength       = 8
	randomLength   = 27
	checksumLength = 6
	secretLength   = len(prefix) + idLength + randomLength + checksumLength
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newSecret makes a secret, and says the id in it.
func newSecret() (secret, id string) {
	body := prefix + randomDigits(idLength+randomLength)
	sum := checksum([]byte(body))
	return body + string(sum[:]), body[len(prefix) : len(prefix)+idLength]
}

// randomDigits are so many digits, each as likely as every other.
func randomDigits(n int) string {
	text := make([]byte, 0, n)
	var bits [64]byte
	for len(text) < n {
		_, _ = rand.Read(bits[:]) // which cannot fail
		for _, b := range bits {
			if b < 62*4 && len(text) < n { // 248 is the largest multiple of 62 in a byte
				text = append(text, digits[b%62])
			}
		}
	}
	return string(text)
}

// checksum is that of the characters before it. It keeps typos from being looked up, and no more.
func checksum(body []byte) (text [checksumLength]byte) {
	sum := crc32.ChecksumIEEE(body)
	for i := range text {
		text[checksumLength-1-i] = digits[sum%62]
		sum /= 62
	}
	return text
}

// hashOf is what the database knows of a secret, and false for a text that cannot be one. It has 160 random bits, so it needs no salt and
// no slow hash; and since the database is asked for the hash, no comparison of secrets can be timed.
func hashOf(secret string) (hash [sha256.Size]byte, wellFormed bool) {
	hash, wellFormed = fingerprint(secret)
	return hash, wellFormed && sumFits(secret)
}

// sumFits says whether the checksum of a secret of the right shape is that of its characters.
func sumFits(secret string) bool {
	const body = secretLength - checksumLength
	sum := checksum([]byte(secret[:body]))
	return string(sum[:]) == secret[body:]
}

// fingerprint is hashOf without the checksum, which a secret that is known already need not show again.
func fingerprint(secret string) (hash [sha256.Size]byte, shaped bool) {
	if len(secret) != secretLength || secret[:len(prefix)] != prefix {
		return hash, false
	}
	var text [secretLength]byte
	copy(text[:], secret)
	for _, c := range text[len(prefix):] {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return hash, false
		}
	}
	return sha256.Sum256(text[:]), true
}
