// Package storetest is the module of the tests that need real servers: they start Redis, PostgreSQL and the like from the
// machine's own binaries and hold every shared store, and every store around a store, to the laws in limittest. Nobody imports it,
// so that what it requires stays here.
package storetest
