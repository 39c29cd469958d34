package redisstore

import (
	"fmt"
	"strconv"

	"github.com/stint-go/stint/record"
)

// A key in Redis is "stint:{16 hex digits}:" and the record's key. The digits are a hash of the subject, the first part of the key:
// in a Cluster they alone choose the slot, so that a subject's records lie together, and no byte of a key can break them. What is
// kept besides records has a letter before the second colon.

// subjectHash is the same in every process: FNV-1a, 64 bits.
func subjectHash(subject string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(subject) {
		h = (h ^ uint64(subject[i])) * 1099511628211
	}
	return h
}

const hexDigits = "0123456789abcdef"

// appendTag appends "stint:{16 hex digits}".
func appendTag(to []byte, hash uint64) []byte {
	to = append(to, "stint:{"...)
	for shift := 60; shift >= 0; shift -= 4 {
		to = append(to, hexDigits[hash>>shift&15])
	}
	return append(to, '}')
}

// recordKey is where the record of a limit's key is kept.
func recordKey(limitID, key string) string {
	b := make([]byte, 0, 32+len(limitID)+len(key))
	b = append(appendTag(b, subjectHash(record.Subject(key))), ':')
	return string(record.AppendKey(b, limitID, key))
}

// receiptKey is where it is remembered that a receipt for the key was used.
func receiptKey(limitID, key string, nonce uint64) string {
	b := append(appendTag(nil, subjectHash(record.Subject(key))), "r:"...)
	b = strconv.AppendUint(b, nonce, 16)
	return string(record.AppendKey(append(b, ':'), limitID, key))
}

// valuesKey is where the values of a limit are kept.
func valuesKey(limitID string, variant uint64) string {
	b := append(appendTag(nil, subjectHash(limitID)), "v:"...)
	return string(fmt.Appendf(b, "%016x:%s", variant, limitID))
}

// slot is the Cluster's slot of a key that begins with a tag.
func slot(key string) uint16 {
	crc := uint16(0)
	for i := len("stint:{"); i < len("stint:{")+16; i++ {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^key[i]]
	}
	return crc & (1<<14 - 1)
}

// crcTable is of CRC-16/XMODEM, which a Cluster hashes tags with.
var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&(1<<15) != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()
