package presented

import "testing"

func TestWorkspaceOf(t *testing.T) {
	for name, test := range map[string]struct {
		lists [][]string
		want  string
		err   error
	}{
		"none":                  {nil, "", nil},
		"one":                   {[][]string{{" a/b "}}, "a/b", nil},
		"repeated":              {[][]string{{"a/b", "a/b"}, {"a/b"}}, "a/b", nil},
		"joined by a proxy":     {[][]string{{"a/b, a/b,a/b,"}}, "a/b", nil},
		"two":                   {[][]string{{"a/b", "a/c"}}, "", ErrTwoWorkspaces},
		"two joined by a proxy": {[][]string{{"a/b,a/c"}}, "", ErrTwoWorkspaces},
	} {
		if got, err := WorkspaceOf(test.lists...); got != test.want || err != test.err {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestOnlyTheNameItselfIsAParameterWithAKey(t *testing.T) {
	keys := AppendQueryKeys(nil, "%61pi_key=a&api_key=b%5F&api%5Fkey=c&api_key", "api_key")
	if len(keys) != 2 || keys[0] != "b_" || keys[1] != "" {
		t.Errorf("got %q", keys)
	}
}
