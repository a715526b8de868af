package cli

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/ask"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

// fieldManager is under which name the plugin's changes are known. Flux takes over what a manager changed whose
// name begins with kubectl, and a key that was rotated or disabled by hand is not to be put back unasked.
const fieldManager = "claviger-cli"

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, eventsv1.AddToScheme, coordinationv1.AddToScheme,
		admissionregistrationv1.AddToScheme, authorizationv1.AddToScheme, discoveryv1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err) // two types of one name: a mistake in this program
		}
	}
	return s
}()

// cluster is the one that kubectl's flags choose.
type cluster struct {
	client.WithWatch
	config    *rest.Config
	namespace string
}

func (p *Plugin) connect() (*cluster, error) {
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return nil, fault.Told(err)
	}
	namespace, _, err := p.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fault.Told(err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fault.Told(err)
	}
	return &cluster{c, config, namespace}, nil
}

// key gets an ApiKey by its name.
func (c *cluster) key(ctx context.Context, name string) (*v1alpha1.ApiKey, error) {
	key := &v1alpha1.ApiKey{}
	return key, c.named(ctx, key, name, "ApiKey", "kubectl claviger list")
}

// named gets an object by its name. List is what shows those of its kind.
func (c *cluster) named(ctx context.Context, into client.Object, name, kind, list string) error {
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, into); err != nil {
		return named(err, kind, c.namespace, name, list)
	}
	return nil
}

// named says what was looked for, where it is not there.
func named(err error, kind, namespace, name, list string) error {
	if client.IgnoreNotFound(err) == nil {
		if told := fault.Told(err); told.Error() != err.Error() {
			return told // the kind itself is not there
		}
		return fmt.Errorf("there is no %s %q in namespace %s: %s shows those that there are, and -n chooses another namespace", kind, name, namespace, list)
	}
	return fault.Told(err)
}

// apiKeys lists a namespace, or with the empty one all of them, a part at a time.
func (c *cluster) apiKeys(ctx context.Context, options ...client.ListOption) ([]v1alpha1.ApiKey, error) {
	var all []v1alpha1.ApiKey
	for next := ""; ; {
		list := &v1alpha1.ApiKeyList{}
		if err := c.List(ctx, list, append(options, client.Limit(500), client.Continue(next))...); err != nil {
			return nil, fault.Told(err)
		}
		all = append(all, list.Items...)
		if next = list.Continue; next == "" {
			return all, nil
		}
	}
}

// verifier is the one that is to be asked.
func (p *Plugin) verifier() (ask.Verifier, error) {
	if p.verifierURL != "" {
		return ask.AtURL(p.verifierURL)
	}
	config, err := p.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("%w; or give --verifier-url the address of a verifier", fault.Told(err))
	}
	return ask.Proxied(config, p.systemNamespace)
}
