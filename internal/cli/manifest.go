package cli

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// printManifest prints an ApiKey as somebody would write it: nothing that a cluster adds, and no default.
func (p *Plugin) printManifest(print *genericclioptions.PrintFlags, key *v1alpha1.ApiKey) error {
	if *print.OutputFormat == "" {
		*print.OutputFormat = "yaml"
	}
	printer, err := print.ToPrinter()
	if err != nil {
		return err
	}
	object, err := manifestOf(key)
	if err != nil {
		return err
	}
	return printer.PrintObj(object, p.Out)
}

func manifestOf(key *v1alpha1.ApiKey) (*unstructured.Unstructured, error) {
	key = key.DeepCopy()
	key.ObjectMeta = metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace, Labels: key.Labels, Annotations: key.Annotations}
	key.Status = v1alpha1.ApiKeyStatus{}
	key.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiKey"))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(key)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	durations(content, key)
	return &unstructured.Unstructured{Object: content}, nil
}

// durations writes 2160h0m0s as 2160h.
func durations(content map[string]any, key *v1alpha1.ApiKey) {
	set := func(d *metav1.Duration, path ...string) {
		if d != nil {
			unstructured.SetNestedField(content, short(d.Duration), path...) //nolint:errcheck // the path is there
		}
	}
	set(key.Spec.TTL, "spec", "ttl")
	if r := key.Spec.Rotation; r != nil {
		set(r.Every, "spec", "rotation", "every")
		set(r.Overlap, "spec", "rotation", "overlap")
	}
}

func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
