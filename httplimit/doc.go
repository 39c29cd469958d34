// Package httplimit is being written.
package httplimit
