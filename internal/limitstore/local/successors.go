package local

import (
	"strconv"

	"github.com/claviger-dev/claviger/internal/limit"
)

// successors tells for each new rule which old one it goes on from, or -1. A rule is known
// again by what it says first, wherever it stands in the list, then by its span, and else by its place among those
// that are left and count the same thing.
func successors(old []Rule, fresh []limit.Rule) []int {
	taken := make([]bool, len(old))
	origin := make([]int, len(fresh))
	for i := range origin {
		origin[i] = -1
	}
	match := func(same func(a, b *limit.Rule) bool) {
		for i := range fresh {
			for j := range old {
				if origin[i] < 0 && !taken[j] && fresh[i].Succeeds(&old[j].Rule) && same(&old[j].Rule, &fresh[i]) {
					origin[i], taken[j] = j, true
				}
			}
		}
	}
	match(func(a, b *limit.Rule) bool { return a.Equal(b) })
	match(func(a, b *limit.Rule) bool { return a.Kind == b.Kind && a.Per == b.Per })
	match(func(a, b *limit.Rule) bool { return a.Per == b.Per })
	match(func(_, _ *limit.Rule) bool { return true })
	return origin
}

// ruleNames names the rules of a limit, the same way in every verifier that knows of them: by what they count and in
// which span, so that neither another number nor another order makes another rule of one.
func ruleNames(rules []limit.Rule) []string {
	names := make([]string, len(rules))
	alike := map[string]int{}
	for i := range rules {
		name := rules[i].Kind.String()
		if rules[i].Kind == limit.Span || rules[i].Kind == limit.Tokens {
			name += "-" + rules[i].Per.String()
		}
		alike[name]++
		if n := alike[name]; n > 1 {
			name += "-" + strconv.Itoa(n)
		}
		names[i] = name
	}
	return names
}
