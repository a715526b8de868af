package limits

import (
	"fmt"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// inTime is how long a server may take on a machine that runs everything at once.
const inTime = "5s"

func startThree(t *testing.T, tn *tenant, url string, more ...string) []*verifier {
	t.Helper()
	var all []*verifier
	for range 3 {
		all = append(all, startVerifier(t, tn, append([]string{"--limits-url", url, "--limits-timeout", inTime}, more...)...))
	}
	return all
}

// awaitShared waits until verifiers count together, and know how many they are: until then each decides for itself.
func awaitShared(t *testing.T, verifiers []*verifier) {
	t.Helper()
	for _, v := range verifiers {
		eventually(t, func() string {
			if up, known := v.metric(t, "claviger_shared_limits_up"), v.metric(t, "claviger_shared_limits_verifiers"); up != "1" || known != fmt.Sprint(len(verifiers)) {
				return fmt.Sprintf("a verifier says that the shared limits are up %s, and knows of %s verifiers", up, known)
			}
			return ""
		})
	}
}

// awaitUp waits until verifiers count together; those that were killed may still be counted among them.
func awaitUp(t *testing.T, verifiers []*verifier) {
	t.Helper()
	for _, v := range verifiers {
		eventually(t, func() string {
			if up := v.metric(t, "claviger_shared_limits_up"); up != "1" {
				return "a verifier says that the shared limits are up " + up
			}
			return ""
		})
	}
}

// Three verifiers admit what one would: Strict exactly, Leased at most 1 % more.
func TestThreeVerifiersAdmitWhatOneWould(t *testing.T) {
	for consistency, most := range map[string]int{"Strict": 1000, "Leased": 1010} {
		for kind, rule := range map[string]string{
			"a rate":  "rates: [{requests: 1000, per: 10m}]",
			"a quota": "quota: {requests: 1000}",
		} {
			t.Run(consistency+" on "+kind, func(t *testing.T) {
				server := valkeyserver.Start(t)
				tn := newTenant(t, fmt.Sprintf("{%s, consistency: %s}", rule, consistency))
				verifiers := startThree(t, tn, server.URL())
				awaitShared(t, verifiers)
				counts := hammer(t, verifiers, tn.key, dry(3000))
				if got := counts["VALID"]; got > most || got < 1000 {
					t.Errorf("of 1000 it admitted %d: %v", got, counts)
				}
			})
		}
	}
}

func TestReportsAreSharedToo(t *testing.T) {
	for _, consistency := range []string{"Strict", "Leased"} {
		t.Run(consistency, func(t *testing.T) {
			server := valkeyserver.Start(t)
			tn := newTenant(t, "{quota: {spendMicrocents: 1000}, concurrency: {requests: 2, timeout: 1h}, consistency: "+consistency+"}")
			verifiers := startThree(t, tn, server.URL())
			awaitShared(t, verifiers)
			first, second := ask(t, verifiers[0], tn.key), ask(t, verifiers[1], tn.key)
			if first.Code != "VALID" || second.Code != "VALID" {
				t.Fatalf("the first two: %s %s", first.Code, second.Code)
			}
			if third := ask(t, verifiers[2], tn.key); third.Code != "CONCURRENCY_EXCEEDED" {
				t.Errorf("a third at once: %s", third.Code)
			}
			// Whichever verifier it is reported to.
			report(t, verifiers[2], first, 400)
			report(t, verifiers[0], first, 400) // sent again, to another one
			third := ask(t, verifiers[0], tn.key)
			if third.Code != "VALID" {
				t.Errorf("once one was done: %s", third.Code)
			}
			report(t, verifiers[1], second, 500)
			if got := ask(t, verifiers[1], tn.key); got.Code != "VALID" {
				t.Errorf("with 900 of 1000 spent: %s", got.Code)
			} else {
				report(t, verifiers[1], got, 200)
			}
			eventually(t, func() string {
				if got := ask(t, verifiers[0], tn.key); got.Code != "BUDGET_EXHAUSTED" {
					report(t, verifiers[0], got, 0)
					return "once the budget was crossed: " + got.Code
				}
				return ""
			})
		})
	}
}

// A verifier that is restarted goes on with what was used, and so do those that know nothing yet.
func TestWhatWasUsedOutlivesTheVerifiers(t *testing.T) {
	server := valkeyserver.Start(t)
	tn := newTenant(t, "{quota: {requests: 10}, consistency: Strict}")
	verifiers := startThree(t, tn, server.URL())
	awaitShared(t, verifiers)
	for range 6 {
		ask(t, verifiers[0], tn.key)
	}
	for _, v := range verifiers {
		v.process.Kill()
	}
	again := startThree(t, tn, server.URL())
	awaitUp(t, again)
	if got := ask(t, again[2], tn.key); got.Code != "VALID" || got.Limits[0].Remaining != 3 {
		t.Errorf("after six of ten: %+v", got)
	}
}

// An edit takes hold wherever it is seen, and hands out nothing.
func TestAnEditHandsOutNothing(t *testing.T) {
	for _, consistency := range []string{"Strict", "Leased"} {
		t.Run(consistency, func(t *testing.T) {
			server := valkeyserver.Start(t)
			tn := newTenant(t, "{quota: {requests: 100}, consistency: "+consistency+"}")
			verifiers := startThree(t, tn, server.URL())
			awaitShared(t, verifiers)
			for i := range 50 {
				ask(t, verifiers[i%3], tn.key)
			}
			tn.limit(t, "{quota: {requests: 60, resetPeriod: Daily}, consistency: "+consistency+"}")
			for _, v := range verifiers {
				eventually(t, func() string {
					if d, err := v.scope(tn.key); err != nil || len(d.Limits) != 1 || d.Limits[0].Limit != 60 {
						return fmt.Sprintf("it has not seen the edit: %+v %v", d, err)
					}
					return ""
				})
			}
			counts := hammer(t, verifiers, tn.key, dry(3000))
			if got := counts["VALID"]; got != 10 {
				t.Errorf("after 50 of 100, and then of 60, another %d were admitted", got)
			}
		})
	}
}

// dry says stop once so many requests in a row were not admitted.
func dry(after int) func(map[string]int) bool {
	last, since := 0, 0
	return func(counts map[string]int) bool {
		if counts["VALID"] != last {
			last, since = counts["VALID"], 0
		}
		since++
		return since > after
	}
}

func ask(t *testing.T, v *verifier, key string) decision {
	t.Helper()
	d, err := v.verify(key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func report(t *testing.T, v *verifier, of decision, microcents int64) {
	t.Helper()
	body := fmt.Sprintf(`{"requestId":%q,"keyId":%q,"spendMicrocents":%d}`, of.RequestID, of.Key.ID, microcents)
	if _, err := v.post("/v1/usage", body); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, check func() (missing string)) {
	t.Helper()
	var missing string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if missing = check(); missing == "" {
			return
		}
	}
	t.Fatalf("after %v still: %s", patience, missing)
}
