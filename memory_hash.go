package stint

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// seed keys the hash by which the memory store knows its keys. It is secret, so that nobody can make keys that meet, and it is
// ours, not hash/maphash's, so that a snapshot can keep it.
type seed [4]uint64

// newSeed draws a seed from the system's randomness.
func newSeed() seed {
	var raw [32]byte
	rand.Read(raw[:]) // never fails: see crypto/rand
	return seedFrom(raw[:])
}

func seedFrom(raw []byte) seed {
	var s seed
	for i := range s {
		// An odd multiplicand with many bits set mixes well whatever was drawn.
		s[i] = binary.LittleEndian.Uint64(raw[8*i:]) | 1
	}
	return s
}

func (s *seed) bytes() []byte {
	var raw []byte
	for _, k := range s {
		raw = binary.LittleEndian.AppendUint64(raw, k)
	}
	return raw
}

// hash is 63 keyed bits of the key and a lowest bit of 1, so that it is never 0. Folded multiplication as in wyhash (Wang Yi,
// public domain); every multiplicand is blinded by a part of the seed.
func (s *seed) hash(key string) uint64 {
	n := len(key)
	p := unsafe.Slice(unsafe.StringData(key), n)
	acc := s[0]
	for len(p) > 16 {
		acc = fold(binary.LittleEndian.Uint64(p)^s[1], binary.LittleEndian.Uint64(p[8:])^acc)
		p = p[16:]
	}
	var a, b uint64
	switch n = len(p); {
	case n >= 8:
		a, b = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(p)), uint64(binary.LittleEndian.Uint32(p[n-4:]))
	case n > 0:
		a = uint64(p[0])<<16 | uint64(p[n>>1])<<8 | uint64(p[n-1])
	}
	return fold(s[2]^uint64(len(key)), fold(a^s[3], b^acc)) | 1
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
