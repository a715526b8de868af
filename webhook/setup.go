// Package webhook is the admission of the four kinds: one thin file per kind over
// internal/validation, which holds the rules. All it ever changes is an annotation of the object it is asked about,
// so a dry run is like any other request.
//
// Of the configurations it sees its own, which it lists and watches by name. That the operator may grant every scope
// lets it make ApiKeys for accounts whose scopes somebody was asked about already.
//
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=workspaces;apikeys;serviceaccounts;keylimits,verbs=get;list;watch
// +kubebuilder:rbac:groups=keys.claviger.dev,resources=scopes,verbs=grant
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=claviger-validating-webhook,verbs=get;list;watch;update
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=claviger-mutating-webhook,verbs=get;list;watch;update
// +kubebuilder:rbac:groups="",namespace=claviger-system,resources=secrets,verbs=get;list;watch;create
// +kubebuilder:rbac:groups="",namespace=claviger-system,resources=secrets,resourceNames=claviger-certs,verbs=update
package webhook

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// Options are what the webhook needs besides its manager.
type Options struct {
	// Now is the clock; time.Now where it is nil.
	Now func() time.Time
}

// Setup registers the webhooks of all four kinds with the manager's webhook server, under the
// paths /validate-keys-claviger-dev-v1alpha1-<kind>, and the mutating one for ApiKeys. The manager's cache must have
// the indexes of internal/fieldindex.
func Setup(mgr manager.Manager, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	read := reader{cached: mgr.GetClient(), live: mgr.GetAPIReader()}
	authorization, err := authorizationclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	ask := asker{reviews: authorization.SubjectAccessReviews()}
	mgr.GetWebhookServer().Register(createdByPath, &admission.Webhook{Handler: createdBy{}})
	for _, register := range []func() error{
		func() error { return register(mgr, &v1alpha1.Workspace{}, workspaces{reader: read, asker: ask}) },
		func() error { return register(mgr, &v1alpha1.ApiKey{}, apiKeys{reader: read, asker: ask, now: o.Now}) },
		func() error {
			return register(mgr, &v1alpha1.ServiceAccount{}, serviceAccounts{reader: read, asker: ask, now: o.Now})
		},
		func() error { return register(mgr, &v1alpha1.KeyLimit{}, keyLimits{}) },
	} {
		if err := register(); err != nil {
			return err
		}
	}
	return nil
}

func register[T client.Object](mgr manager.Manager, object T, validator admission.Validator[T]) error {
	return builder.WebhookManagedBy(mgr, object).WithValidator(validator).Complete()
}

// refuse is the error for the API server, with the path of each field; nil where there is no fault.
func refuse(kind string, object client.Object, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	name := object.GetName()
	if name == "" {
		name = object.GetGenerateName()
	}
	return apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind(kind).GroupKind(), name, errs)
}

// deletable is for all kinds but Workspaces: deleting is how keys are stopped, and never refused.
type deletable[T runtime.Object] struct{}

func (deletable[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) { return nil, nil }
