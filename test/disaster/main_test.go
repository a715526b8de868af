// Package disaster deletes, restores and tears down what Claviger keeps, against a real garbage collector, and asks the
// verifier which keys survived. docs/guides/disaster.md says what is to be expected.
package disaster

import (
	"os"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}
