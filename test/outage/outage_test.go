package outage

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// enough requests to meet whatever goes wrong on the way.
const enough = 500

func TestAnOutageOfTheAPIServer(t *testing.T) {
	shop, closing := createWorkspace(t, "shop"), createWorkspace(t, "closing")
	_, steady := issue(t, shop, "steady")
	_, theirs := issue(t, closing, "theirs")
	revoked, revokedKey := issue(t, shop, "revoked")
	deleted, deletedKey := issue(t, shop, "deleted")
	all := []string{steady, theirs, revokedKey, deletedKey}

	apiServer := newCable(t, plane.Config.Host)
	verifier := newProgram(t, apiServer)
	if ready := verifier.start(t); ready != "ok\n" {
		t.Errorf("it is ready with %q", ready)
	}
	for _, key := range all {
		verifier.awaitStatus(t, key, http.StatusOK)
	}

	// It is taken away under load.
	load := verifier.load(t, all...)
	load.more(t, enough)
	if err := plane.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	load.more(t, enough)
	load.end()

	// The verifier is stopped and started without it, and killed and started.
	if err := verifier.Stop(patience); err != nil {
		t.Fatal(err)
	}
	wantFromSnapshot(t, verifier.start(t))
	load = verifier.load(t, all...)
	load.more(t, enough)
	load.end()
	if err := verifier.Kill(); err != nil {
		t.Fatal(err)
	}
	wantFromSnapshot(t, verifier.start(t))
	load = verifier.load(t, steady)
	load.more(t, enough)

	// It is back, and things change before the verifier hears of it.
	apiServer.cut()
	if err := plane.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	change(t, revoked, func() { revoked.Spec.State = v1alpha1.KeyRevoked })
	if err := admin.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	_, created := issue(t, shop, "created")
	change(t, closing, func() { closing.Spec.Suspended = true })
	for _, key := range all {
		verifier.awaitStatus(t, key, http.StatusOK)
	}

	apiServer.mend(t)
	verifier.awaitStatus(t, revokedKey, http.StatusUnauthorized)
	verifier.awaitStatus(t, deletedKey, http.StatusUnauthorized)
	verifier.awaitStatus(t, theirs, http.StatusForbidden)
	verifier.awaitStatus(t, created, http.StatusOK)
	await(t, func() string {
		if _, ready, _ := verifier.ask("/readyz", ""); ready != "ok\n" {
			return ready
		}
		return ""
	})
	load.more(t, enough)
	load.end()

	// What took hold holds: nothing falls back to the older snapshot.
	if err := verifier.Stop(patience); err != nil {
		t.Fatal(err)
	}
	apiServer.cut()
	wantFromSnapshot(t, verifier.start(t))
	for key, want := range map[string]int{
		steady: http.StatusOK, created: http.StatusOK, theirs: http.StatusForbidden,
		revokedKey: http.StatusUnauthorized, deletedKey: http.StatusUnauthorized,
	} {
		if status, body, err := verifier.ask("/v1/auth", key); status != want || err != nil {
			t.Errorf("started from the newer snapshot it answers %d %s, %v; want %d", status, body, err, want)
		}
	}
}

func wantFromSnapshot(t *testing.T, ready string) {
	t.Helper()
	if !strings.HasPrefix(ready, "ok (serving from a snapshot of ") {
		t.Errorf("it is ready with %q", ready)
	}
}

func createWorkspace(t *testing.T, name string) *v1alpha1.Workspace {
	t.Helper()
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := admin.Create(t.Context(), workspace); err != nil {
		t.Fatal(err)
	}
	return workspace
}

// issue makes a key as the operator would.
func issue(t *testing.T, workspace *v1alpha1.Workspace, name string) (*v1alpha1.ApiKey, string) {
	t.Helper()
	made, err := token.New("ak", "live")
	if err != nil {
		t.Fatal(err)
	}
	key := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: workspace.Namespace, Name: name}}
	key.Spec.WorkspaceRef.Name = workspace.Name
	if err := admin.Create(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	hashed := credential.Credential{
		Hash: made.Hash(), Hint: made.Hint(), ApiKeyUID: key.UID, ApiKey: client.ObjectKeyFromObject(key), Generation: 1, IssuedAt: time.Now(),
	}
	if err := admin.Create(t.Context(), hashed.Secret(systemNamespace)); err != nil {
		t.Fatal(err)
	}
	return key, made.Reveal()
}

func change(t *testing.T, object client.Object, edit func()) {
	t.Helper()
	base := object.DeepCopyObject().(client.Object)
	edit()
	if err := admin.Patch(t.Context(), object, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
}
