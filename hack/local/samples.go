package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

const sampleNamespace = "default"

// waitForLeader waits until the operator that was started works. After a crash the lease of
// the one before must run out first.
func waitForLeader(ctx context.Context, admin client.Client, started time.Time) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("the operator does not get to lead"))
	defer cancel()
	told := false
	return poll(ctx, func() error {
		var lease coordinationv1.Lease
		if err := admin.Get(ctx, client.ObjectKey{Namespace: "claviger-system", Name: operator}, &lease); err != nil {
			return err
		}
		if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(started) {
			if !told {
				fmt.Println("Waiting for the lease of the operator of the last run, which was killed, to run out ...")
				told = true
			}
			return errors.New("the lease is another one's")
		}
		return nil
	})
}

// waitForWebhook asks as a dry run: the API server refuses while the webhook does not answer.
func waitForWebhook(ctx context.Context, admin client.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("the webhook does not answer"))
	defer cancel()
	return poll(ctx, func() error {
		var configuration admissionregistrationv1.ValidatingWebhookConfiguration
		if err := admin.Get(ctx, client.ObjectKey{Name: "claviger-validating-webhook"}, &configuration); err != nil {
			return err
		}
		for _, webhook := range configuration.Webhooks {
			if len(webhook.ClientConfig.CABundle) == 0 {
				return fmt.Errorf("the operator has not put its certificate authority into webhook %s", webhook.Name)
			}
		}
		probe := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Namespace: sampleNamespace, GenerateName: "probe-"}}
		return admin.Create(ctx, probe, client.DryRunAll)
	})
}

// applySamples applies the samples that are not there and waits until their keys are Ready.
// What is there stays as it is: since the last run somebody may have changed it.
func applySamples(ctx context.Context, plane *controlplane.ControlPlane, admin client.Client) error {
	samples, err := render(ctx, plane, "config/samples")
	if err != nil {
		return err
	}
	var missing unstructured.UnstructuredList
	missing.SetAPIVersion("v1")
	missing.SetKind("List")
	var keys []client.ObjectKey
	for _, sample := range samples {
		name := client.ObjectKey{Namespace: sampleNamespace, Name: sample.GetName()}
		err := admin.Get(ctx, name, sample.DeepCopy())
		if err == nil {
			continue
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
		missing.Items = append(missing.Items, *sample)
		if sample.GetKind() == "ApiKey" {
			keys = append(keys, name)
		}
	}
	if len(missing.Items) == 0 {
		return nil
	}
	manifests, err := missing.MarshalJSON()
	if err != nil {
		return err
	}
	// By kubectl, as a person would, so that a person's kubectl apply can go on from there.
	if _, err := plane.RunKubectl(ctx, manifests, "apply", "-n", sampleNamespace, "-f", "-"); err != nil {
		return err
	}
	return waitForKeys(ctx, admin, keys)
}

func waitForKeys(ctx context.Context, admin client.Client, names []client.ObjectKey) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not Ready after %s", readyTimeout))
	defer cancel()
	for _, name := range names {
		err := poll(ctx, func() error {
			var key v1alpha1.ApiKey
			if err := admin.Get(ctx, name, &key); err != nil {
				return err
			}
			condition := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionReady)
			if condition == nil {
				return errors.New("the operator has not looked at it")
			}
			if condition.Status != metav1.ConditionTrue {
				return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("ApiKey %s: %w", name, err)
		}
	}
	return nil
}
