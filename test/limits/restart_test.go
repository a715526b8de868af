package limits

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What was used outlives the verifier that counted it: all of it where it was told to end, and where it
// was killed all but what was used in the last second.
func TestWhatWasUsedOutlivesARestart(t *testing.T) {
	for name, end := range map[string]func(*verifier){
		"told to end": func(v *verifier) {
			syscall.Kill(v.process.PID(), syscall.SIGTERM) //nolint:errcheck // then it does not end
			<-v.process.Done()
		},
		"killed": func(v *verifier) {
			time.Sleep(1100 * time.Millisecond)
			v.process.Kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			tn := newTenant(t, "{rates: [{requests: 600, per: 24h}, {requests: 700, per: 744h, burst: 700}], quota: {requests: 500, spendMicrocents: 1000}}")
			v := startVerifier(t, tn, "--usage-db", filepath.Join(t.TempDir(), "usage.db"))
			for range 300 {
				ask(t, v, tn.key)
			}
			report(t, v, ask(t, v, tn.key), 400)
			end(v)
			v.start(t)
			d, err := v.scope(tn.key)
			if err != nil || len(d.Limits) != 4 {
				t.Fatalf("%+v %v", d, err)
			}
			for i, want := range []int64{299, 399, 199, 600} {
				if got := d.Limits[i].Remaining; got != want {
					t.Errorf("limit %d has %d left, want %d", i, got, want)
				}
			}
		})
	}
}
