package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
	"github.com/claviger-dev/claviger/test/controlplane"
)

const (
	// revokers revoke at the same time, each one key after the other.
	revokers = 4
	// stillServed is how many keys are asked for all the time while others are revoked.
	stillServed = 200
)

// measureRevoke is the time from a key being revoked, with a real API server, until a real
// verifier refuses it, while that is asked as fast as it answers. It is counted from before the API
// server was told, and all of them share the machine.
func measureRevoke(ctx context.Context, b *bench) error {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return errors.New("this needs a control plane: use make bench, or set KUBEBUILDER_ASSETS to what hack/controlplane/build.sh prints")
	}
	plane, err := controlplane.StartContext(ctx, controlplane.Options{})
	if err != nil {
		return err
	}
	b.cleanup(plane.Stop)
	people, err := b.people(stillServed + b.revocations)
	if err != nil {
		return err
	}
	api, err := client.New(plane.Config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	if err := declare(ctx, api, people); err != nil {
		return err
	}
	v, err := b.startVerifier(ctx, plane.Config, b.path("revoking"))
	if err != nil {
		return err
	}
	r := &revocations{api: api, verifier: v, records: people.Keys.Records()}
	question, err := authQuestion(v.HTTP, r.records)
	if err != nil {
		return err
	}
	served, err := b.open(question.Connect, r.records, stillServed)
	if err != nil {
		return err
	}
	took, perSecond, err := r.underLoad(ctx, served, b.revocations)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("of %d revocations, beside %s requests/s, the control plane on the same processors", b.revocations, report.Count(perSecond))
	b.report.Add(report.Row{What: "median " + what, Value: milliseconds(stats.Percentile(took, 0.5)), Unit: "ms"})
	b.report.Add(report.Row{What: "p99 " + what, Metric: "revoke_p99_ms", Value: milliseconds(stats.Percentile(took, 0.99)), Unit: "ms"})
	return nil
}

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(s))
	utilruntime.Must(corev1.AddToScheme(s))
	return s
}()

// declare creates a population and, in the operator's place, the Secrets with its hashes.
func declare(ctx context.Context, api client.Client, people *population.Population) error {
	create := func(o client.Object) error {
		o.SetUID("")
		o.SetCreationTimestamp(metav1.Time{})
		o.SetGeneration(0)
		o.SetManagedFields(nil)
		return client.IgnoreAlreadyExists(api.Create(ctx, o))
	}
	namespaces := []string{fakeapi.Namespace}
	for number := range people.Tenants() {
		namespaces = append(namespaces, population.Namespace(number))
	}
	for _, name := range namespaces {
		if err := create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	for number := range people.Tenants() {
		if err := errors.Join(create(population.Workspace(number)), create(population.ServiceAccount(number)), create(population.KeyLimit(number))); err != nil {
			return err
		}
	}
	for number := range people.Keys.Count() {
		key := population.ApiKey(number)
		if err := create(key); err != nil {
			return err
		}
		hashed := people.Credential(number)
		hashed.ApiKeyUID = key.UID
		if err := create(hashed.Secret(fakeapi.Namespace)); err != nil {
			return err
		}
	}
	return nil
}

// revocations revokes keys and waits until that has taken hold.
type revocations struct {
	api      client.Client
	verifier *verifierProcess
	records  load.Records
}

// underLoad revokes the keys after those that are still served, and meanwhile serves those.
func (r *revocations) underLoad(ctx context.Context, served *load.Load, count int) (took []time.Duration, perSecond float64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serving sync.WaitGroup
	var enough atomic.Bool
	var answered int64
	start := time.Now()
	serving.Go(func() {
		for !enough.Load() {
			n, _, err := served.Saturate(100 * time.Millisecond)
			if answered += n; err != nil {
				cancel(fmt.Errorf("a key that was not revoked: %w", err))
				return
			}
		}
	})
	took, err = r.each(ctx, count)
	enough.Store(true)
	serving.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return took, float64(answered) / time.Since(start).Seconds(), err
}

func (r *revocations) each(ctx context.Context, count int) ([]time.Duration, error) {
	took := make([]time.Duration, count)
	errs := make([]error, revokers)
	var running sync.WaitGroup
	for worker := range revokers {
		running.Go(func() {
			for i := worker; i < count && errs[worker] == nil; i += revokers {
				took[i], errs[worker] = r.revoke(ctx, stillServed+i)
			}
		})
	}
	running.Wait()
	return took, errors.Join(errs...)
}

// revoke revokes one key and asks for it until it is refused.
func (r *revocations) revoke(ctx context.Context, number int) (time.Duration, error) {
	question, err := authQuestion(r.verifier.HTTP, r.records)
	if err != nil {
		return 0, err
	}
	peer, err := question.Connect()
	if err != nil {
		return 0, err
	}
	defer peer.Close() //nolint:errcheck // it was only asked
	if err := peer.Ask(r.records.At(number)); err != nil {
		return 0, fmt.Errorf("before it was revoked: %w", err)
	}
	question.Status = 401
	start := time.Now()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"state":"Revoked"}}`))
	if err := r.api.Patch(ctx, population.ApiKey(number), patch); err != nil {
		return 0, err
	}
	for peer.Ask(r.records.At(number)) != nil {
		if time.Since(start) > time.Minute {
			return 0, errors.New("a revoked key still works after a minute")
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
