package limittest_test

import (
	"testing"

	"github.com/stint-go/stint/limittest"
)

func TestStrategies(t *testing.T) {
	for _, s := range limittest.Strategies() {
		t.Run(s.Name(), func(t *testing.T) { limittest.Strategy(t, s) })
	}
}
