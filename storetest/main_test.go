package storetest

import (
	"testing"

	"github.com/stint-go/stint/storetest/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }
