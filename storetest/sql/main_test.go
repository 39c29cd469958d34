// Package sql holds the tests of sqlstore on real servers. They are a package of their own so that they run beside the others.
package sql

import (
	"testing"

	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }
