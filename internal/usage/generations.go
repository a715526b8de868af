package usage

import "time"

// Generation is when one of the keys was used that an ApiKey has had.
type Generation struct {
	Number uint32 // from 1; zero: none
	UsedAt time.Time
}

// Generations are the newest two that were presented, the newer first: while a key is replaced, both work.
type Generations [2]Generation

// Add takes note of a use. The order of adding makes no difference.
func (g *Generations) Add(used Generation) {
	for i := range g {
		switch {
		case used.Number == 0:
			return
		case used.Number > g[i].Number:
			used, g[i] = g[i], used // and so the older ones move up
		case used.Number == g[i].Number:
			if used.UsedAt.After(g[i].UsedAt) {
				g[i] = used
			}
			return
		}
	}
}
