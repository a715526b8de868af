package cpu

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestWhatIsStartedOnAProcessorSeesOnlyThatOne(t *testing.T) {
	server, load, ok := Pair()
	if !ok {
		t.Skip("there is one processor only")
	}
	if server == load {
		t.Errorf("the pair is %d and %d", server, load)
	}
	count := func() string {
		out, err := exec.Command("nproc").Output()
		if err != nil {
			t.Skip("there is no nproc: ", err)
		}
		return strings.TrimSpace(string(out))
	}
	before := count()
	var inside string
	if err := On(server, func() error { inside = count(); return nil }); err != nil {
		t.Fatal(err)
	}
	if inside != "1" || count() != before {
		t.Errorf("%s processors before, %s inside, %s after", before, inside, count())
	}

	release, err := Stay(load)
	if err != nil {
		t.Fatal(err)
	}
	if got := count(); got != "1" || runtime.GOMAXPROCS(0) != 1 {
		t.Errorf("bound to one, there are %s", got)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != before {
		t.Errorf("released, there are %s, and %s before", got, before)
	}
}

func TestAProcessTellsWhatItUses(t *testing.T) {
	used := func() time.Duration {
		d, err := Used(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	before := used()
	for start := time.Now(); used() <= before; {
		if time.Since(start) > time.Minute {
			t.Fatal("after a minute of work, no time was used")
		}
	}
	if now, peak, err := Resident(os.Getpid()); err != nil || now <= 0 || peak < now {
		t.Errorf("in memory: %d, at most %d, %v", now, peak, err)
	}
	if _, err := Used(1 << 30); err == nil {
		t.Error("a process that is not there has used something")
	}
	if _, _, err := Resident(1 << 30); err == nil {
		t.Error("a process that is not there is in memory")
	}
}
