package postgres

import "sync"

// memory is rows that were seen before, by what they are found by, so that they need not be looked for: none is ever
// deleted.
type memory[Name comparable] struct {
	mu   sync.Mutex
	rows map[Name]int64
}

// So many are remembered, in some tens of megabytes.
const remembered = 1 << 19

// split is what is known of names, and the ones that are not.
func (m *memory[Name]) split(names []Name) (known map[Name]int64, unknown []Name) {
	known = make(map[Name]int64, len(names))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		if row, ok := m.rows[name]; ok {
			known[name] = row
		} else {
			unknown = append(unknown, name)
		}
	}
	return known, unknown
}

// keep remembers rows, once the transaction is committed that may have made them.
func (m *memory[Name]) keep(rows map[Name]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil || len(m.rows)+len(rows) > remembered {
		m.rows = make(map[Name]int64, len(rows))
	}
	for name, row := range rows {
		m.rows[name] = row
	}
}
