package keyindex

import "testing"

// What one tenant made must not stand in the place of what another did.
func TestAListOfNothingIsNotOneOfAnEmptyText(t *testing.T) {
	var p pool[int]
	for want, of := range [][]string{nil, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}} {
		if got := p.get(of, 0, func() int { return want }); got != want {
			t.Errorf("%q is answered with what %d was made of", of, got)
		}
	}
}
