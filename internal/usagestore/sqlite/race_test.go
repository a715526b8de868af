//go:build race

package sqlite

import "flag"

// Under the race detector SQLite, which is translated from C, is twenty times slower: a fifth of the checks of each property
// must do, unless the command line says otherwise.
func init() {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
}
