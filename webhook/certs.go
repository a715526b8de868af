package webhook

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

const (
	// ServiceName is the Service that the API server reaches the webhook by.
	ServiceName = "claviger-webhook"
	// AdminServiceName is the Service of the verifier's protected port, which shows the same certificate.
	AdminServiceName = "claviger-verifier-admin"
	// ConfigurationName is the ValidatingWebhookConfiguration that is told whom to trust.
	ConfigurationName = "claviger-validating-webhook"
	// MutatingConfigurationName is the MutatingWebhookConfiguration that is told the same.
	MutatingConfigurationName = "claviger-mutating-webhook"

	fieldOwner = "claviger-certificates"

	// A look without any event is only for the passing of time.
	checkEvery = time.Hour
	// After somebody else was quicker, whose change is about to be seen, and while others
	// bring the files.
	checkAgain = 2 * time.Second
)

// CertOptions say where the certificates live.
type CertOptions struct {
	// Namespace and SecretName are where all replicas share one certificate. The Secret may be
	// empty or missing.
	Namespace, SecretName string
	// CertDir is where this process gets it as tls.crt, tls.key and ca.crt. Where the directory
	// cannot be written, being a mounted Secret, the kubelet is waited for.
	CertDir string
	// DNSNames to add to those of the two Services and localhost.
	DNSNames []string
	// Now is the clock; time.Now where it is nil.
	Now func() time.Time
}

// AddCertRotation adds to a manager what makes the webhook's certificates, renews them before they end
// and tells the API server whom to trust. It runs in every replica, leading or not, as every replica
// serves. What it returns is closed once this replica has its certificate and the API server knows.
//
// The certificates are made by cert-controller's functions, but not by its rotator: that
// would keep every Secret of the operator's namespace in memory, one for each key there is, never
// notice a DNS name that was added, and trust a new authority a moment before anybody shows its certificate.
func AddCertRotation(mgr manager.Manager, o CertOptions) (ready <-chan struct{}, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	shared, err := certCluster(mgr, o)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the certificate Secret: %w", err)
	}
	if err := mgr.Add(shared); err != nil {
		return nil, err
	}
	c := &certificates{
		client:  shared.GetClient(),
		options: o,
		renewal: renewal{names: union([]string{
			fmt.Sprintf("%s.%s.svc", ServiceName, o.Namespace),
			fmt.Sprintf("%s.%s.svc", AdminServiceName, o.Namespace),
			"localhost",
		}, o.DNSNames)},
		ready: make(chan struct{}),
	}
	everyReplica := false
	return c.ready, builder.ControllerManagedBy(mgr).
		Named("certificates").
		WithOptions(controller.Options{NeedLeaderElection: &everyReplica}).
		WatchesRawSource(source.Func(c.once)).
		WatchesRawSource(source.Kind(shared.GetCache(), &corev1.Secret{}, always[*corev1.Secret](c))).
		WatchesRawSource(source.Kind(shared.GetCache(), &admissionregistrationv1.ValidatingWebhookConfiguration{},
			always[*admissionregistrationv1.ValidatingWebhookConfiguration](c))).
		WatchesRawSource(source.Kind(shared.GetCache(), &admissionregistrationv1.MutatingWebhookConfiguration{},
			always[*admissionregistrationv1.MutatingWebhookConfiguration](c))).
		Complete(c)
}

// certCluster reads the one Secret and the two configurations, and nothing besides.
func certCluster(mgr manager.Manager, o CertOptions) (cluster.Cluster, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := admissionregistrationv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector(metav1.ObjectNameField, name) }
	return cluster.New(mgr.GetConfig(), func(c *cluster.Options) {
		c.Scheme = scheme
		c.HTTPClient = mgr.GetHTTPClient()
		c.MapperProvider = func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) { return mgr.GetRESTMapper(), nil }
		c.Cache.ByObject = map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Namespaces: map[string]cache.Config{o.Namespace: {FieldSelector: named(o.SecretName)}},
			},
			&admissionregistrationv1.ValidatingWebhookConfiguration{}: {Field: named(ConfigurationName)},
			&admissionregistrationv1.MutatingWebhookConfiguration{}:   {Field: named(MutatingConfigurationName)},
		}
	})
}

type certificates struct {
	client  client.Client
	options CertOptions
	renewal renewal

	ready     chan struct{}
	readyOnce sync.Once
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// There is one thing to look after, so every event asks for the same.
func (c *certificates) request() reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: c.options.Namespace, Name: c.options.SecretName}}
}

func (c *certificates) once(_ context.Context, q queue) error {
	q.Add(c.request())
	return nil
}

func always[T client.Object](c *certificates) handler.TypedEventHandler[T, reconcile.Request] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, T) []reconcile.Request {
		return []reconcile.Request{c.request()}
	})
}

// Reconcile brings Secret, configurations and files into line.
func (c *certificates) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	data, err := c.shared(ctx, request.NamespacedName)
	if err == nil {
		err = c.trust(ctx, data[caFile])
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: checkAgain}, nil // another replica was quicker
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	inPlace, err := writeFiles(c.options.CertDir, data)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !inPlace {
		log.FromContext(ctx).Info("Waiting for the kubelet to bring the certificate", "directory", c.options.CertDir)
		return reconcile.Result{RequeueAfter: checkAgain}, nil
	}
	c.readyOnce.Do(func() { close(c.ready) })
	return reconcile.Result{RequeueAfter: checkEvery}, nil
}

// shared returns what the Secret holds, after renewing it where that was due. Of several
// replicas that find it due at once, the API server lets one write.
func (c *certificates) shared(ctx context.Context, at client.ObjectKey) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := c.client.Get(ctx, at, secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, err
	}
	renewed, err := c.renewal.renew(secret.Data, c.options.Now())
	if renewed == nil || err != nil {
		return secret.Data, err
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, renewed)
	if missing {
		secret.Namespace, secret.Name = at.Namespace, at.Name
		err = c.client.Create(ctx, secret, client.FieldOwner(fieldOwner))
	} else {
		err = c.client.Update(ctx, secret, client.FieldOwner(fieldOwner))
	}
	if err == nil {
		log.FromContext(ctx).Info("Made a new certificate", "dnsNames", serverNames(renewed[certFile]))
	}
	return secret.Data, err
}

// trust tells the API server which certificates of the webhook to accept.
func (c *certificates) trust(ctx context.Context, bundle []byte) error {
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{}
	err := c.tell(ctx, MutatingConfigurationName, mutating, bundle, func(each func(*admissionregistrationv1.WebhookClientConfig)) {
		for i := range mutating.Webhooks {
			each(&mutating.Webhooks[i].ClientConfig)
		}
	})
	if err != nil {
		return err
	}
	// The last, so that who sees it here need not look there.
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	return c.tell(ctx, ConfigurationName, validating, bundle, func(each func(*admissionregistrationv1.WebhookClientConfig)) {
		for i := range validating.Webhooks {
			each(&validating.Webhooks[i].ClientConfig)
		}
	})
}

// tell puts the bundle into each of a configuration's webhooks.
func (c *certificates) tell(ctx context.Context, name string, configuration client.Object, bundle []byte,
	webhooks func(each func(*admissionregistrationv1.WebhookClientConfig))) error {
	err := c.client.Get(ctx, client.ObjectKey{Name: name}, configuration)
	if apierrors.IsNotFound(err) {
		// It may come later, which is an event.
		log.FromContext(ctx).Info("There is no webhook configuration of this name, so nobody asks that webhook", "name", name)
		return nil
	}
	if err != nil {
		return err
	}
	changed := false
	webhooks(func(at *admissionregistrationv1.WebhookClientConfig) {
		if !bytes.Equal(at.CABundle, bundle) {
			at.CABundle, changed = bundle, true
		}
	})
	if !changed {
		return nil
	}
	return c.client.Update(ctx, configuration, client.FieldOwner(fieldOwner))
}
