package main

import (
	"context"
	"errors"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

const sampleNamespace = "default"

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

// applySamples creates the samples that are not there and waits until their keys are Ready.
// What is there stays as it is: since the last run somebody may have changed it.
func applySamples(ctx context.Context, plane *controlplane.ControlPlane, admin client.Client) error {
	samples, err := render(ctx, plane, "config/samples")
	if err != nil {
		return err
	}
	var created []client.ObjectKey
	for _, sample := range samples {
		sample.SetNamespace(sampleNamespace)
		err := admin.Create(ctx, sample, client.FieldOwner(fieldManager))
		if apierrors.IsAlreadyExists(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sample %s %s cannot be created: %w", sample.GetKind(), sample.GetName(), err)
		}
		if sample.GetKind() == "ApiKey" {
			created = append(created, client.ObjectKeyFromObject(sample))
		}
	}
	return waitForKeys(ctx, admin, created)
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
