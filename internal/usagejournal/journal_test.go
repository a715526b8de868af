package usagejournal

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

var start = time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)

func open(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func drawEvent(t *rapid.T) usage.Event {
	text := func(label string) string {
		return rapid.SampledFrom([]string{"", "a", "team/shop", "ü"}).Draw(t, label)
	}
	e := usage.Event{
		Key: keyid.Derive(text("key")), Generation: rapid.Uint32().Draw(t, "generation"),
		Attribution: usage.Attribution{
			Workspace: text("workspace"), ServiceAccount: text("account"), EntityKind: text("kind"), EntityID: text("id"),
			Department: text("department"), Environment: text("environment"),
		},
		Details: usage.Details{
			Status: usage.Status(rapid.IntRange(0, 4).Draw(t, "status")), Error: text("error"), Tier: text("tier"),
			Domain: text("domain"), Resource: text("resource"),
		},
		RequestID: rapid.String().Draw(t, "request"), At: start.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "at"))),
		Quarters: rapid.Bool().Draw(t, "quarters"), KeepLine: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "keep")),
		SpendMicrocents: rapid.Int64().Draw(t, "spend"), Latency: time.Duration(rapid.Int64Range(0, 1e13).Draw(t, "latency")),
		Bytes: rapid.Int64Range(0, 1e15).Draw(t, "bytes"), HTTPStatus: rapid.IntRange(0, 999).Draw(t, "http"),
		Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	if rapid.Bool().Draw(t, "period") {
		e.PeriodStart = start
	}
	return e
}

func drawBatch(t *rapid.T, writer string, number int64) *usage.Batch {
	b := usage.NewBatch(writer, number)
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 8).Draw(t, "decisions") {
		if rapid.Bool().Draw(t, "refused") {
			e.Refusal = &usage.Refusal{By: "l", Until: start, Shadows: []string{"m"}}
		}
		b.Add(&e, nil)
	}
	if rapid.Bool().Draw(t, "a line of what was counted elsewhere") {
		elsewhere := drawBatch(t, writer, number)
		b.Lines = append(b.Lines, elsewhere.Lines...)
	}
	b.Reports = rapid.SliceOfN(rapid.Custom(drawEvent), 0, 5).Draw(t, "reports")
	return b
}

func TestWhatIsSealedIsRead(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		j := open(t, filepath.Join(dir, "journal"))
		defer j.Close() //nolint:errcheck // a test
		want := drawBatch(rt, j.Writer(), 1)
		for i := range want.Reports {
			if err := j.Report(&want.Reports[i]); err != nil {
				rt.Fatal(err)
			}
		}
		cut := usage.NewBatch("", 0)
		whole := j.Cut(cut)
		cut.Rollup, cut.Lines = want.Rollup, want.Lines
		if err := j.Seal(cut, whole && rapid.Bool().Draw(rt, "reports are on disk")); err != nil {
			rt.Fatal(err)
		}
		got, err := j.Read(Place{j.Writer(), 1})
		if err != nil {
			rt.Fatal(err)
		}
		if !same(got, want) {
			rt.Fatalf("read    %+v\nwritten %+v", got, want)
		}
		if err := j.Remove(Place{j.Writer(), 1}); err != nil || j.Bytes() != 0 {
			rt.Fatalf("after it was removed there are %d bytes, %v", j.Bytes(), err)
		}
	})
}

func same(a, b *usage.Batch) bool {
	return a.Writer == b.Writer && a.First == b.First && a.Last == b.Last && reflect.DeepEqual(a.Rollup, b.Rollup) &&
		slices.EqualFunc(a.Lines, b.Lines, func(a, b usage.Line) bool { return reflect.DeepEqual(a, b) }) && slices.Equal(a.Reports, b.Reports)
}

// However much of it a kill has cut off, what was reported before is there.
func TestReportsAreReadUpToWhereTheyEnd(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	var ends []int64
	for i := range 3 {
		e := usage.Event{Key: keyid.Derive("a"), RequestID: string(rune('a' + i)), At: start}
		if err := j.Report(&e); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.size)
	}
	at := Place{j.Writer(), 1}
	text, err := os.ReadFile(j.reportsFile(at))
	if err != nil {
		t.Fatal(err)
	}
	for length := range len(text) + 1 {
		if err := os.WriteFile(j.reportsFile(at), text[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for whole < len(ends) && ends[whole] <= int64(length) {
			whole++
		}
		b, err := j.Read(at)
		if err != nil || len(b.Reports) != whole {
			t.Fatalf("of %d bytes %d reports are read, want %d (%v)", length, len(b.Reports), whole, err)
		}
	}
}

func TestTheNextProcessFindsWhatIsLeftInOrder(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	for range 12 {
		b := usage.NewBatch("", 0)
		whole := j.Cut(b)
		if err := j.Seal(b, whole); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Report(&usage.Event{At: start}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(j.batchFile(Place{j.Writer(), 14})+newSuffix, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, dir)
	left, err := next.Left()
	if err != nil || len(left) != 13 {
		t.Fatalf("left are %v, %v", left, err)
	}
	for i, place := range left {
		if place != (Place{j.Writer(), int64(i + 1)}) {
			t.Errorf("place %d is %v", i, place)
		}
		if err := next.Remove(place); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(j.path()); !os.IsNotExist(err) {
		t.Errorf("the folder of a writer of which nothing is left is still there: %v", err)
	}
}

func TestAJournalIsOneProcesss(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	if _, err := Open(dir); err == nil {
		t.Error("two have it open")
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestAReportThatTheDiskDoesNotTakeIsWrittenWithItsBatch(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	if err := os.RemoveAll(j.path()); err != nil {
		t.Fatal(err)
	}
	e := usage.Event{Key: keyid.Derive("a"), RequestID: "1", At: start, Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit}
	if err := j.Report(&e); err == nil {
		t.Fatal("a folder that is gone has taken it")
	}
	if err := os.Mkdir(j.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	b := usage.NewBatch("", 0)
	whole := j.Cut(b)
	if err := j.Seal(b, whole); err != nil || whole {
		t.Fatalf("whole: %t, %v", whole, err)
	}
	if got, err := j.Read(Place{j.Writer(), 1}); err != nil || len(got.Reports) != 1 || got.Reports[0] != e {
		t.Errorf("read %+v, %v", got, err)
	}
}

// Whatever is on disk, reading it ends, and with an error where it is nothing that was written.
func FuzzReadBatch(f *testing.F) {
	w := writer(append(slices.Clone(magic), make([]byte, frameHead)...))
	b := usage.NewBatch("w", 1)
	b.Add(&usage.Event{At: start, Attribution: usage.Attribution{Workspace: "a/b"}, KeepLine: time.Hour}, nil)
	batch(w, b)
	w.length(0)
	f.Add(w.out[len(magic)+frameHead:])
	f.Add([]byte{})
	f.Fuzz(func(_ *testing.T, payload []byte) {
		in := append(slices.Clone(magic), sealFrame(append(make([]byte, frameHead), payload...))...)
		readBatch(in, usage.NewBatch("w", 1))                               //nolint:errcheck // that it ends is what matters
		readReports(append(slices.Clone(reportsMagic), in[len(magic):]...)) //nolint:errcheck // likewise
	})
}
