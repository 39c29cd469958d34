// Package servers starts the servers that tests need, from the machine's own programs, on free ports of the loopback interface:
// nothing is shared with any other server on the machine, and nothing is left behind.
//
// A package whose tests use it has one line of its own, so that its servers end with it:
//
//	func TestMain(m *testing.M) { servers.Main(m) }
//
// [Postgres] and [MariaDB] are a server that all tests of the package share, started at its first use and made for speed: it
// does not wait for the disk. [NewPostgres] and [NewMariaDB] are a test's own, to be killed and started again; it is durable. A
// test that needs a program which the machine does not have is skipped; `make servers` installs them.
package servers
