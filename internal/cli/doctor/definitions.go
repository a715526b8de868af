package doctor

import (
	"context"
	"encoding/json"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/config/crd"
)

// definitions looks whether the CRDs are those that this program was built with.
func (d *Doctor) definitions(ctx context.Context) {
	const subject = "CRDs"
	known, err := embedded()
	if err != nil {
		d.fail(subject, "those in this plugin are broken: %v: install another one", err)
		return
	}
	same := 0
	for i := range known {
		live := &apiextensionsv1.CustomResourceDefinition{}
		err := d.Client.Get(ctx, client.ObjectKey{Name: known[i].Name}, live)
		switch {
		case apierrors.IsNotFound(err):
			d.fail(subject, "%s is not installed: install Claviger (make deploy), or choose another cluster with --context", known[i].Name)
		case err != nil:
			d.unseen(subject, err, "get customresourcedefinitions.apiextensions.k8s.io")
			return // it would be the same of the others
		case !established(live):
			d.fail(subject, "%s is not served: kubectl describe crd %s says why", live.Name, live.Name)
		case version(live) == nil:
			d.fail(subject, "%s is not served as %s, which is all that this plugin speaks: install the plugin of the cluster's version", live.Name, v1alpha1.GroupVersion.Version)
		case !alike(&known[i], live):
			d.warn(subject, "%s is of another version than this plugin: install the plugin that belongs to the cluster's Claviger, or update that. Until then lint may judge otherwise than the cluster does", live.Name)
		default:
			same++
		}
	}
	if same == len(known) {
		d.ok(subject, "all %d are installed, and are those of this plugin's version", same)
	}
}

func embedded() (all []apiextensionsv1.CustomResourceDefinition, err error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := crd.Bases.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &definition); err != nil {
			return nil, err
		}
		all = append(all, definition)
	}
	return all, nil
}

func established(definition *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range definition.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

func version(definition *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionVersion {
	for i, v := range definition.Spec.Versions {
		if v.Name == v1alpha1.GroupVersion.Version && v.Served {
			return &definition.Spec.Versions[i]
		}
	}
	return nil
}

// alike compares what objects are judged by.
func alike(a, b *apiextensionsv1.CustomResourceDefinition) bool {
	textA, errA := json.Marshal(version(a).Schema)
	textB, errB := json.Marshal(version(b).Schema)
	return errA == nil && errB == nil && string(textA) == string(textB)
}
