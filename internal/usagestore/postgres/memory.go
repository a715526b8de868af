package postgres

import "sync"

// memory is rows that were seen before, by what they are found by, so that they need not be looked for: none is ever
// deleted. It is of one incarnation of the database: after a failover or a restore another row may have a number.
type memory[Name comparable] struct {
	mu   sync.Mutex
	of   incarnation
	rows map[Name]int64
}

// So many are remembered, in some tens of megabytes.
const remembered = 1 << 19

// incarnation is a database from when its server starts until it ends, crashes, or the tables are others.
type incarnation string

// selectIncarnation tells which one a transaction is in. In this order: another server, or the same one started anew; one that
// started itself anew because a process of it had crashed, which may lose what was committed last where
// synchronous_commit is off (its statistics begin anew then, and nothing else tells everybody; before PostgreSQL 15 to read
// them means to wait for a file); a database that was dropped and restored; tables that were.
const selectIncarnation = `concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
    CASE WHEN current_setting('server_version_num')::integer >= 150000 THEN extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()) END,
    (SELECT oid FROM pg_database WHERE datname = current_database()), pg_relation_filenode('series'))`

// split is what is known of names, and the ones that are not.
func (m *memory[Name]) split(in incarnation, names []Name) (known map[Name]int64, unknown []Name) {
	known = make(map[Name]int64, len(names))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		if row, ok := m.rows[name]; ok && m.of == in {
			known[name] = row
		} else {
			unknown = append(unknown, name)
		}
	}
	return known, unknown
}

// keep remembers rows, once the transaction is committed that may have made them.
func (m *memory[Name]) keep(in incarnation, rows map[Name]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil || m.of != in || len(m.rows)+len(rows) > remembered {
		m.of, m.rows = in, make(map[Name]int64, len(rows))
	}
	for name, row := range rows {
		m.rows[name] = row
	}
}

func (m *memory[Name]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rows = nil
}
