package failover

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
	"github.com/claviger-dev/claviger/test/controlplane"
	"github.com/claviger-dev/claviger/test/process"
)

// startOperator starts an operator that leads when it can.
func startOperator(t *testing.T, name string) *process.Process {
	t.Helper()
	dir := t.TempDir()
	config, err := plane.ServiceAccountConfig(systemNamespace, "claviger-operator")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Options{
		Name: name, Path: binary, Output: t.Output(), OnParentDeath: syscall.SIGKILL,
		Args: []string{"operator", "--kubeconfig=" + kubeconfig, "--namespace=" + systemNamespace, "--leader-elect",
			"--health-bind-address=127.0.0.1:0", "--metrics-bind-address=0", "--verifier-url=",
			"--webhook-host=127.0.0.1", fmt.Sprintf("--webhook-port=%d", port), "--cert-dir=" + filepath.Join(dir, "certs")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	return p
}

// leader is who holds the lease; empty: nobody.
func leader(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	at := client.ObjectKey{Namespace: systemNamespace, Name: "claviger-operator"}
	if err := admin.Get(t.Context(), at, lease); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// lead starts an operator and waits until it leads.
func lead(t *testing.T, name string) *process.Process {
	t.Helper()
	before := leader(t)
	p := startOperator(t, name)
	await(t, func() string {
		if now := leader(t); now == "" || now == before {
			return name + " does not lead"
		}
		return ""
	})
	return p
}

const perRound = 12

func makeKeys(t *testing.T, namespace string) (keys []*v1alpha1.ApiKey) {
	t.Helper()
	workspace := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, workspace}
	for i := range perRound {
		key := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("key-%d", i)}}
		key.Spec.WorkspaceRef.Name = "shop"
		key.Spec.Rotation = &v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: time.Hour}}
		keys, objects = append(keys, key), append(objects, key)
	}
	for _, object := range objects {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

func awaitGeneration(t *testing.T, keys []*v1alpha1.ApiKey, generation int32) {
	t.Helper()
	for _, key := range keys {
		await(t, func() string {
			if err := admin.Get(t.Context(), client.ObjectKeyFromObject(key), key); err != nil {
				t.Fatal(err)
			}
			if key.Status.KeyGeneration < generation {
				return fmt.Sprintf("%s is at generation %d", key.Name, key.Status.KeyGeneration)
			}
			return ""
		})
	}
}

// Whenever the leader is frozen while keys are rotated, another goes on, and when the first wakes there is one new
// key for each rotation, and it is the one that was delivered.
func TestAFrozenLeaderNeverMakesASecondKeyForOneRotation(t *testing.T) {
	for round := range 2 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			first := lead(t, "the operator that is frozen")
			keys := makeKeys(t, fmt.Sprintf("team-%d", round))
			awaitGeneration(t, keys, 1)
			startOperator(t, "the operator that goes on")

			var asking sync.WaitGroup
			for _, key := range keys {
				asking.Go(func() {
					patch := `{"metadata":{"annotations":{"` + v1alpha1.AnnotationRegenerate + `":"1"}}}`
					if err := admin.Patch(t.Context(), key.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Duration(rand.N(60)) * time.Millisecond) // somewhere amid the rotations
			if err := syscall.Kill(first.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			asking.Wait()
			was := leader(t)
			await(t, func() string {
				if leader(t) == was {
					return "the other operator does not lead"
				}
				return ""
			})
			awaitGeneration(t, keys, 2)
			if err := syscall.Kill(first.PID(), syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			select {
			case <-first.Done():
			case <-time.After(patience):
				t.Fatal("the operator that lost its lease goes on")
			}
			for _, key := range keys {
				await(t, func() string { return oneNewKey(t, key) })
			}
		})
	}
}

// oneNewKey says what is wrong with a key that was rotated once.
func oneNewKey(t *testing.T, key *v1alpha1.ApiKey) string {
	t.Helper()
	var secrets corev1.SecretList
	if err := admin.List(t.Context(), &secrets, client.MatchingLabels{v1alpha1.LabelApiKeyUID: string(key.UID)}); err != nil {
		t.Fatal(err)
	}
	hashes := map[int]token.Hash{}
	var delivered token.Hash
	for i := range secrets.Items {
		s := &secrets.Items[i]
		switch s.Labels[v1alpha1.LabelSecret] {
		case v1alpha1.SecretHashed:
			c, err := credential.FromSecret(s)
			if err != nil {
				t.Fatal(err)
			}
			hashes[c.Generation] = c.Hash
		case v1alpha1.SecretDelivered:
			delivered = token.HashOf(string(s.Data[v1alpha1.DataKeyApiKey]))
		case v1alpha1.SecretStaged:
			return key.Name + " has a key staged"
		}
	}
	generations := slices.Sorted(maps.Keys(hashes))
	if !slices.Equal(generations, []int{1, 2}) {
		return fmt.Sprintf("%s has the generations %s", key.Name, strings.Trim(fmt.Sprint(generations), "[]"))
	}
	if hashes[2] != delivered {
		t.Errorf("%s was delivered another key than the new one", key.Name)
	}
	return ""
}
