package keyindex

// size counts what is kept, to find what is never let go.
func (x *Index) size() [9]int {
	slots := 0
	for i := range x.table.Load().slots {
		if uint32(x.table.Load().slots[i].Load()) != 0 {
			slots++
		}
	}
	return [9]int{
		slots, x.inUse(), int(max(1, x.credentials.next)-1) - len(x.credentials.free), len(x.byContent), x.names.live,
		len(x.workspaces), len(x.accounts), len(x.limits), len(x.rivals),
	}
}

func (x *Index) inUse() int { return int(max(1, x.keys.next)-1) - len(x.keys.free) }
