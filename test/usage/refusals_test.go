package usage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

var nextMonth = time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC)

func createLimit(t *testing.T, name string, spec v1alpha1.KeyLimitSpec) *v1alpha1.KeyLimit {
	t.Helper()
	limit := &v1alpha1.KeyLimit{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec}
	if err := admin(t).Create(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	return limit
}

func aRate() v1alpha1.KeyLimitSpec {
	return v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Hour}}}}
}

// refuse records a request that a limit refused.
func (v *verifier) refuse(key *v1alpha1.ApiKey, limit *v1alpha1.KeyLimit, code string, at, until time.Time) {
	v.record(key, code, at, &usage.Refusal{By: string(limit.UID), Until: until})
}

func (v *verifier) record(key *v1alpha1.ApiKey, code string, at time.Time, refusal *usage.Refusal) {
	id, err := keyid.Parse(string(key.UID))
	if err != nil {
		panic(err)
	}
	details := usage.Details{Status: usage.Denied, Error: code}
	if code == "VALID" {
		details = usage.Details{}
	}
	v.recorder.Record(usage.Event{
		PeriodStart: usagefeed.PeriodStart(at),
		Key:         id, Attribution: usage.Attribution{Workspace: "default/shop"}, At: at, Details: details, Refusal: refusal,
		Remaining: usage.NoLimit, BudgetRemaining: 5_000_000, BudgetResetAt: nextMonth,
	})
}

// pass makes it later, and drops what is over by then or held by no limit any more.
func (v *verifier) pass(t *testing.T, now time.Time, holds usagestore.Holds) {
	t.Helper()
	v.setNow(now)
	if _, err := v.store.Lapse(t.Context(), now, holds); err != nil {
		t.Fatal(err)
	}
}

func allHold(keyid.ID, string) bool { return true }

// seen is a limit's usage in one line.
func seen(t *testing.T, name string) string {
	t.Helper()
	var limit v1alpha1.KeyLimit
	if err := admin(t).Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &limit); err != nil {
		t.Fatal(err)
	}
	u := limit.Status.Usage
	if u == nil {
		return "none"
	}
	return fmt.Sprintf("throttled %d exhausted %d denied %d shadow %d", u.ThrottledKeys, u.ExhaustedKeys, u.Denied, u.ShadowDenied)
}

func awaitSeen(t *testing.T, name, want string) {
	t.Helper()
	await(t, func() string {
		if got := seen(t, name); got != want {
			return fmt.Sprintf("of %s is seen %q, want %q", name, got, want)
		}
		return ""
	})
}

// exhausted is what a key's status tells of a limit that is used up.
func exhausted(t *testing.T, name string) string {
	t.Helper()
	u := readKey(t, name).Status.Usage
	if u == nil || u.Exhausted == nil {
		return "no"
	}
	return fmt.Sprintf("%s %s until %s", u.Exhausted.Limit, u.Exhausted.Reason, u.Exhausted.ResetAt.UTC().Format(time.RFC3339))
}

func awaitExhausted(t *testing.T, name, want string) {
	t.Helper()
	await(t, func() string {
		if got := exhausted(t, name); got != want {
			return fmt.Sprintf("%s is exhausted: %q, want %q", name, got, want)
		}
		return ""
	})
}

// warnings are the Events about a key, each with how often it was repeated.
func warnings(t *testing.T, key *v1alpha1.ApiKey) (list []string) {
	t.Helper()
	found, err := kubernetes.NewForConfigOrDie(plane.Config).EventsV1().Events("default").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found.Items {
		if e.Regarding.UID == key.UID {
			list = append(list, describe(&e))
		}
	}
	return list
}

func describe(e *eventsv1.Event) string {
	text := e.Type + " " + e.Reason + ": " + e.Note
	if e.Series != nil {
		text += fmt.Sprintf(" (%d times)", e.Series.Count)
	}
	return text
}

func awaitWarning(t *testing.T, key *v1alpha1.ApiKey, says ...string) {
	t.Helper()
	await(t, func() string {
		got := warnings(t, key)
		if len(got) != 1 {
			return fmt.Sprintf("of %s is warned %q, want once", key.Name, got)
		}
		for _, part := range says {
			if !strings.Contains(got[0], part) {
				return fmt.Sprintf("of %s is warned %q, want %q in it", key.Name, got, part)
			}
		}
		return ""
	})
}

// columns are what kubectl shows of a limit, but for its name and age. The last two are how many keys are
// throttled and exhausted.
func columns(t *testing.T, name string) []string {
	t.Helper()
	out, err := plane.RunKubectl(t.Context(), nil, "get", "kl", name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	return fields[1 : len(fields)-1]
}
