package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/test/controlplane"
)

// That of kubectl apply --server-side, so that make run and make deploy can take over from each
// other.
const fieldManager = "kubectl"

// render is what make deploy would apply, in its order.
func render(ctx context.Context, plane *controlplane.ControlPlane, dir string) ([]*unstructured.Unstructured, error) {
	text, err := plane.RunKubectl(ctx, nil, "kustomize", dir)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text))
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		objects = append(objects, object)
	}
}

// Kinds that need nodes and a network of pods: hack/local is what runs the workloads, and
// the network is this machine's. The CRDs came with the control plane.
var notHere = map[string]bool{
	"CustomResourceDefinition": true,
	"Deployment":               true,
	"StatefulSet":              true,
	"Service":                  true,
	"NetworkPolicy":            true,
	"PodDisruptionBudget":      true,
}

// install applies the manifests that mean something without nodes.
func install(ctx context.Context, admin client.Client, manifests []*unstructured.Unstructured, ports map[string]int) error {
	for _, object := range manifests {
		if notHere[object.GetKind()] {
			continue
		}
		if kind := object.GetKind(); kind == "ValidatingWebhookConfiguration" || kind == "MutatingWebhookConfiguration" {
			if err := callByURL(object, ports[webhookPort]); err != nil {
				return err
			}
		}
		err := admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("%s %s cannot be applied: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// callByURL has the API server call the webhook on this machine, where there is no Service
// that leads to it. The certificate is valid for localhost.
func callByURL(configuration *unstructured.Unstructured, port int) error {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, item := range webhooks {
		webhook, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: a webhook is a %T", configuration.GetName(), item)
		}
		path, found, err := unstructured.NestedString(webhook, "clientConfig", "service", "path")
		if err != nil || !found {
			return fmt.Errorf("%s: webhook %v names no path of a service", configuration.GetName(), webhook["name"])
		}
		webhook["clientConfig"] = map[string]any{"url": fmt.Sprintf("https://localhost:%d%s", port, path)}
	}
	return unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks")
}
