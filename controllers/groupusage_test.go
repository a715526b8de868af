package controllers_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/controllers"
	"github.com/claviger-dev/claviger/controllers/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// countedBy is a verifier that has counted something for each of some groups, once and for all.
func countedBy(t *testing.T, groups ...usagefeed.Group) (url, ca, token string) {
	t.Helper()
	verifier := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page := usagefeed.GroupPage{Epoch: "e"}
		if r.URL.Path == usagefeed.GroupsPath {
			page.Next = 1
			if r.URL.Query().Get(usagefeed.After) == "0" {
				page.Groups = groups
			}
		}
		json.NewEncoder(w).Encode(page) //nolint:errcheck // a test
	}))
	t.Cleanup(verifier.Close)
	dir := t.TempDir()
	ca, token = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: verifier.Certificate().Raw})
	for path, content := range map[string][]byte{ca: authority, token: []byte("token")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return verifier.URL, ca, token
}

// showUsage has an operator that runs show usage, too, by a clock that is a thousand times too fast.
func showUsage(t *testing.T, o *running, groups ...usagefeed.Group) {
	t.Helper()
	url, ca, token := countedBy(t, groups...)
	writer, err := usage.NewWriter(o.GetConfig(), client.Options{Scheme: o.GetScheme(), Mapper: o.GetRESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	clock := testclock.NewFakeClock(time.Now())
	writeBack, err := usage.New(usage.Options{
		Client: o.GetClient(), Writer: writer, Informers: o.GetCache(), Events: o.GetEventRecorder(controllers.Reporter),
		VerifierURLs: []string{url}, CAFile: ca, TokenFile: token,
		Interval: 10 * time.Second, WritesPerSecond: 20,
		Metrics: prometheus.NewRegistry(), Log: logr.Discard(), Clock: clock,
	})
	if err == nil {
		err = o.Add(writeBack)
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for ; t.Context().Err() == nil; time.Sleep(5 * time.Millisecond) {
			clock.Step(5 * time.Second)
		}
	}()
}

func TestTheUsageOfAWorkspaceAndOfAnAccountIsShownBesideTheRestOfTheirStatus(t *testing.T) {
	operator, team := newNamespace(t, "operator"), newNamespace(t, "team")
	workspace, account := newWorkspace(team, "shop"), newAccount(team, "robot", "shop")
	create(t, workspace)
	create(t, account)
	o := start(t, operator, team)
	at := time.Date(2026, time.November, 21, 10, 30, 0, 0, time.UTC)
	period := usagefeed.Period{Start: at.AddDate(0, 0, -6), Counts: usagefeed.Counts{Requests: 2, Denied: 1}}
	total := usagefeed.Counts{Requests: 5, Denied: 1, Succeeded: 3, Failed: 1, SpendMicrocents: 40}
	showUsage(t, o,
		usagefeed.Group{Kind: usagefeed.KindWorkspace, Name: team + "/shop", Period: period, Total: total, LastUsedAt: at},
		usagefeed.Group{Kind: usagefeed.KindServiceAccount, Name: team + "/robot", Period: period, Total: total},
		usagefeed.Group{Kind: usagefeed.KindServiceAccount, Name: team + "/gone", Total: total},
	)
	want := v1alpha1.UsageCounts{Requests: 5, Denied: 1, Succeeded: 3, Failed: 1, SpendMicrocents: 40}
	shown := func(u *v1alpha1.GroupUsage, lastUsed bool, generation int64) string {
		switch {
		case u == nil:
			return "no usage is shown"
		case u.Total != want || u.Period.Requests != 2 || !u.Period.Start.Time.Equal(period.Start) || (u.LastUsedAt != nil) != lastUsed:
			return fmt.Sprintf("shown is %+v", u)
		case generation == 0:
			return "the rest of the status is not there"
		}
		return ""
	}
	bothShow := func() string {
		for _, object := range []client.Object{workspace, account} {
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
				t.Fatal(err)
			}
		}
		return shown(workspace.Status.Usage, true, workspace.Status.ObservedGeneration) +
			shown(account.Status.Usage, false, account.Status.ObservedGeneration)
	}
	eventually(t, bothShow)

	// The rest is written anew, and leaves it alone.
	change(t, workspace, func(w *v1alpha1.Workspace) { w.Spec.Suspended = true })
	eventually(t, func() string {
		if missing := bothShow(); missing != "" {
			t.Fatal("after the rest was written: " + missing)
		}
		if workspace.Status.ObservedGeneration != workspace.Generation {
			return "the change is not seen"
		}
		return ""
	})
	for _, object := range []client.Object{workspace, account} {
		requireOwners(t, object)
	}
	o.quiet(t)

	// What somebody takes out comes back, though nobody uses a key.
	for _, object := range []client.Object{workspace, account} {
		empty := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"usage":null}}`))
		if err := admin.Status().Patch(t.Context(), object, empty); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, bothShow)
}

// requireOwners checks that usage is one manager's and the rest another's.
func requireOwners(t *testing.T, object client.Object) {
	t.Helper()
	managers := map[string]bool{}
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "status" && entry.Operation == metav1.ManagedFieldsOperationApply {
			managers[entry.Manager] = strings.Contains(entry.FieldsV1.GetRawString(), `"f:usage"`)
		}
	}
	if ofUsage, known := managers[usage.FieldManager]; !known || !ofUsage || len(managers) != 2 || managers["claviger-operator"] {
		t.Errorf("usage of %T is owned as %v says", object, managers)
	}
}
