package usage

import "slices"

// Batch is what is stored at once, wholly or not at all.
type Batch struct {
	// Writer is whoever counted it, by a name of its own, and First to Last are the numbers that it gave to
	// what is in here: they begin with 1 and go up without a gap. A store takes no number twice, so that what may
	// or may not have been stored can be stored again.
	Writer      string
	First, Last int64
	// Rollup counts decisions.
	Rollup *Rollup
	// Lines are those decisions among them that are for the request log.
	Lines []Line
	// Reports are outcomes. They are in no roll-up yet: whether one was reported before, to this verifier
	// or another, only the store knows.
	Reports []Event
}

// NewBatch makes an empty one.
func NewBatch(writer string, number int64) *Batch {
	return &Batch{Writer: writer, First: number, Last: number, Rollup: NewRollup()}
}

// Empty says whether there is nothing in it.
func (b *Batch) Empty() bool { return b.Rollup.Empty() && len(b.Reports) == 0 }

// Merge appends the batch that the same writer made next.
func (b *Batch) Merge(next *Batch) {
	b.Last = next.Last
	b.Rollup.Merge(next.Rollup)
	b.Lines = append(b.Lines, next.Lines...)
	b.Reports = append(b.Reports, next.Reports...)
}

// Absorb is Merge of a batch that is not needed any more, and must not be used. It returns how many rows are new: lines of
// the roll-up and of the log, and reports.
func (b *Batch) Absorb(next *Batch) (rows int) {
	b.Last = next.Last
	b.Lines = append(b.Lines, next.Lines...)
	b.Reports = append(b.Reports, next.Reports...)
	return b.Rollup.Absorb(next.Rollup) + len(next.Lines) + len(next.Reports)
}

// Add counts a decision, with a line where it is to have one. Bound is as in Rollup.AddBounded.
func (b *Batch) Add(e *Event, bound func(*Event)) {
	c := b.Rollup.AddBounded(e, bound)
	if e.KeepLine > 0 {
		b.Lines = append(b.Lines, lineOf(e, c))
	}
}

// Settle is the roll-up and the lines with those of the reports that are new, by their places. The batch
// itself stays as it is, as storing it may have to be tried again.
func (b *Batch) Settle(isNew func(report int) bool) (*Rollup, []Line) {
	if len(b.Reports) == 0 {
		return b.Rollup, b.Lines
	}
	settled := Batch{Rollup: NewRollup(), Lines: slices.Clone(b.Lines)}
	settled.Rollup.Merge(b.Rollup)
	for i := range b.Reports {
		if isNew(i) {
			settled.Add(&b.Reports[i], nil)
		}
	}
	return settled.Rollup, settled.Lines
}
