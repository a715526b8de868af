package usage

// Use is what was counted of one key. It must not be copied.
type Use struct {
	Last Last
	// Counts are in no order, and there is one for each bucket at most.
	Counts []*Count
	// places are the same by bucket, where there are many; nil: there are few.
	places map[Bucket]*Count
	// first is where the first count is, as most keys have no other: that saves two allocations of three.
	first  Count
	inline [1]*Count
}

// Count is what was counted in a bucket: a line of a roll-up.
type Count struct {
	Bucket
	Measures
}

// A key has one or two counts in most roll-ups, which are found by looking at them. Whoever uses a key may make it many,
// by labels that are never the same.
const few = 16

// At is the count of a bucket, which must be one of the key. It is made where it is missing.
func (u *Use) At(b *Bucket) *Count {
	if c := u.find(b.Start, &b.Attribution, &b.Details); c != nil {
		return c
	}
	return u.begin(b)
}

func (u *Use) find(start int64, a *Attribution, d *Details) *Count {
	if u.places != nil {
		return u.places[Bucket{Series{u.Counts[0].Key, *a, *d}, start}]
	}
	for _, c := range u.Counts {
		if c.Start == start && c.Details == *d && c.Attribution == *a {
			return c
		}
	}
	return nil
}

func (u *Use) begin(b *Bucket) *Count {
	if u.Counts == nil {
		u.first, u.inline[0] = Count{Bucket: *b}, &u.first
		u.Counts = u.inline[:]
		return &u.first
	}
	c := &Count{Bucket: *b}
	u.Counts = append(u.Counts, c)
	switch {
	case u.places != nil:
		u.places[*b] = c
	case len(u.Counts) > few:
		u.index()
	}
	return c
}

func (u *Use) index() {
	u.places = make(map[Bucket]*Count, 2*len(u.Counts))
	for _, c := range u.Counts {
		u.places[c.Bucket] = c
	}
}

func (u *Use) merge(other *Use) {
	u.Last.Merge(&other.Last)
	for _, c := range other.Counts {
		u.At(&c.Bucket).Add(c.Measures)
	}
}

func (u *Use) clone() *Use {
	copied := &Use{Last: u.Last}
	for _, c := range u.Counts {
		copied.begin(&c.Bucket).Measures = c.Measures
	}
	return copied
}
