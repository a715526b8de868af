// Package e2e tries the whole of Claviger from outside, as those who use it would: kubectl on
// one side, HTTP on the other.
package e2e

import (
	"os"
	"testing"

	"github.com/claviger-dev/claviger/test/stack"
)

var claviger *stack.Stack

func TestMain(m *testing.M) {
	os.Exit(stack.Run(m, func(s *stack.Stack) { claviger = s }))
}
