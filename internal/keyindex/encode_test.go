package keyindex

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/policy"
)

func encoded(t interface{ Fatal(...any) }, x *Index) []byte {
	var b bytes.Buffer
	if err := x.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is written and read again says what the objects say, and goes on taking changes.
func TestAnIndexComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, x := newCluster(), New()
		for range rapid.IntRange(0, 60).Draw(t, "changes") {
			model.change(t)(x)
		}
		text := encoded(t, x)
		read, err := Decode(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		adopted := New()
		if !adopted.Adopt(read) {
			t.Fatal("an empty index does not take over another")
		}
		compare(t, "read again", model, adopted)
		if adopted.Counts() != x.Counts() {
			t.Errorf("counts %+v, before %+v", adopted.Counts(), x.Counts())
		}
		for range rapid.IntRange(0, 20).Draw(t, "later changes") {
			model.change(t)(adopted)
		}
		compare(t, "changed after", model, adopted)
		if cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut"); true {
			if _, err := Decode(bytes.NewReader(text[:cut])); err == nil {
				t.Errorf("cut after %d of %d bytes it was read", cut, len(text))
			}
		}
		if _, err := Decode(bytes.NewReader(append(text, 0))); err == nil {
			t.Error("with something behind it, it was read")
		}
	})
}

func TestWhatIsThereIsNotReplacedByWhatWasWritten(t *testing.T) {
	old, err := Decode(bytes.NewReader(encoded(t, serving(t, key("k")))))
	if err != nil {
		t.Fatal(err)
	}
	x := New()
	x.SetWorkspace(shop(suspendedShop))
	if x.Adopt(old) {
		t.Error("a feed had begun, and what it brought was replaced")
	}
	if got := check(x, hash); got != policy.CodeKeyInvalid {
		t.Errorf("the key is %s", got)
	}
}

// A suspension does not wait until all is written, and what is written knows of it.
func TestASuspensionAmidWritingIsWritten(t *testing.T) {
	x := serving(t, key("k"))
	ended := make(chan struct{})
	x.between = func() {
		x.between = nil
		go func() {
			defer close(ended)
			x.SetWorkspace(shop(suspendedShop))
		}()
		for check(x, hash) != policy.CodeWorkspaceSuspended {
			runtime.Gosched() // for ever, if it has to wait for us
		}
	}
	read, err := Decode(bytes.NewReader(encoded(t, x)))
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	if got := check(read, hash); got != policy.CodeWorkspaceSuspended {
		t.Errorf("what was written says %s", got)
	}
}

// A disk that stands still holds up nobody who changes anything.
func TestNobodyWaitsForTheDisk(t *testing.T) {
	x := serving(t, key("k"))
	if err := x.Encode(writer(func() { x.SetWorkspace(shop(listing("read"))) })); err != nil {
		t.Fatal(err)
	}
	e := mustFind(t, x, hash)
	if set := e.Scopes(""); set.Has("write") {
		t.Error("the change did not take hold")
	}
}

// writer does something else whenever it is written to.
type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("no space left on device") }

func TestADiskThatIsFullIsTold(t *testing.T) {
	if err := serving(t, key("k")).Encode(full{}); err == nil {
		t.Error("nothing was written, and no error says so")
	}
}

func FuzzDecode(f *testing.F) {
	x := New()
	x.SetWorkspace(shop(listing("read"), limitedTo("l")))
	x.SetServiceAccount(robot())
	x.SetKeyLimit(perMinute("l", 1))
	x.SetApiKey(key("k", ofRobot, func(s *v1alpha1.ApiKeySpec) { s.DisplayName = "The key" }))
	x.SetCredential(issuedFor("k", hash))
	f.Add(encoded(f, x))
	f.Add([]byte{itemEnd})
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := Decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := Decode(bytes.NewReader(encoded(t, read)))
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		if again.Counts() != read.Counts() {
			t.Errorf("counts %+v, before %+v", again.Counts(), read.Counts())
		}
		check(read, hash)
	})
}

// Whoever writes an index down goes by Changes, and would keep a revoked key where it missed one.
func TestEachChangeIsCountedAndNothingElseIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, x := newCluster(), New()
		before := encoded(t, x)
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			counted := x.Changes()
			model.change(t)(x)
			after := encoded(t, x)
			if !bytes.Equal(before, after) && x.Changes() == counted {
				t.Fatal("a change was not counted")
			}
			before = after
		}
		counted := x.Changes()
		for _, arrive := range model.arrivals() {
			arrive(x)
		}
		if x.Changes() != counted {
			t.Error("what came again as it was is counted as a change")
		}
	})
}
