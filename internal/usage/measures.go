package usage

// MaxSum is where sums of costs, durations and bytes stop: up to there readers of JSON are exact, and whoever reports
// what cannot be must not make a sum overflow, which a store would refuse.
const MaxSum = 1 << 53

// Measures are what is summed up of events with the same details.
type Measures struct {
	Count           int64
	SpendMicrocents int64
	LatencyMicros   int64 // of the Timed among them
	Timed           int64
	Bytes           int64
}

// MeasuresOf are those of one event.
func MeasuresOf(e *Event) Measures {
	m := Measures{Count: 1, SpendMicrocents: e.SpendMicrocents, Bytes: e.Bytes}
	if e.Latency > 0 {
		m.LatencyMicros, m.Timed = e.Latency.Microseconds(), 1
	}
	return m
}

// Add adds another's.
func (m *Measures) Add(other Measures) {
	m.Count += other.Count
	m.SpendMicrocents = Sum(m.SpendMicrocents, other.SpendMicrocents)
	m.LatencyMicros = Sum(m.LatencyMicros, other.LatencyMicros)
	m.Timed += other.Timed
	m.Bytes = Sum(m.Bytes, other.Bytes)
}

// Sum is of two costs, durations or numbers of bytes, at most MaxSum.
func Sum(a, b int64) int64 { return min(min(a, MaxSum)+min(b, MaxSum), MaxSum) }

// Totals are measures by status. A request is counted once under Requests or Denied, when it is decided, and a
// second time under Succeeded or Failed, if its outcome is reported.
type Totals struct {
	Requests        int64 // that were allowed
	Denied          int64
	Succeeded       int64
	Failed          int64
	SpendMicrocents int64
	LatencyMicros   int64 // of the Timed outcomes
	Timed           int64
	Bytes           int64
}

// Add counts what has one status. What was denied costs nothing, whatever it would have.
func (t *Totals) Add(status Status, m Measures) {
	switch status {
	case Allowed:
		t.Requests += m.Count
	case Denied:
		t.Denied += m.Count
	case Succeeded:
		t.Succeeded += m.Count
	case Failed:
		t.Failed += m.Count
	}
	t.SpendMicrocents = Sum(t.SpendMicrocents, m.SpendMicrocents)
	t.LatencyMicros = Sum(t.LatencyMicros, m.LatencyMicros)
	t.Timed += m.Timed
	t.Bytes = Sum(t.Bytes, m.Bytes)
}

// Merge adds another's.
func (t *Totals) Merge(other *Totals) {
	t.Requests += other.Requests
	t.Denied += other.Denied
	t.Succeeded += other.Succeeded
	t.Failed += other.Failed
	t.SpendMicrocents = Sum(t.SpendMicrocents, other.SpendMicrocents)
	t.LatencyMicros = Sum(t.LatencyMicros, other.LatencyMicros)
	t.Timed += other.Timed
	t.Bytes = Sum(t.Bytes, other.Bytes)
}
