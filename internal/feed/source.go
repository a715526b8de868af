package feed

import (
	"context"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// backoff is how long to wait before the API server is asked again: at most five seconds, so that
// changes take hold soon after a long outage. (client-go's own goes up to a minute.)
var backoff = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Cap: 4 * time.Second, Steps: 8, Jitter: 0.25}

// After this time without a failure the next one is tried again quickly.
const backoffReset = 2 * time.Minute

// source is the API server's end of one kind.
type source struct {
	resource
	client rest.Interface
	// collect is shown each object of a list; what it returns stands for it in the list.
	collect func(any) any
	watched watch.Interface
	begins  func() // is called when a list begins,
	told    func() // and when a watch said something that can be understood
}

// newSource makes a client that speaks of one kind, over a connection shared by all.
func newSource(config *rest.Config, over *http.Client, r resource, collect func(any) any) (*source, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &r.group
	config.APIPath = "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.AcceptContentTypes, config.ContentType = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	if r.group.Group == "" {
		config.APIPath = "/api"
		config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	}
	c, err := rest.RESTClientForConfigAndClient(config, over)
	return &source{resource: r, client: c, collect: collect}, err
}

func (s *source) request(options *metav1.ListOptions) *rest.Request {
	options.LabelSelector, options.FieldSelector = s.labelSelector.String(), s.fieldSelector.String()
	return s.client.Get().NamespaceIfScoped(s.namespace, s.namespace != "").Resource(s.name).
		VersionedParams(options, metav1.ParameterCodec)
}

// ListWithContext implements cache.ListerWatcherWithContext, for API servers that cannot stream a list.
func (s *source) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.ResourceVersion == "0" {
		// Anything that any API server remembers, the reflector means. That may be older than
		// what was known before a restart, and bring back a revoked key.
		options.ResourceVersion = ""
	}
	s.begins()
	list := s.list()
	if err := s.request(&options).Do(ctx).Into(list); err != nil {
		return nil, err
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	collected := &metainternalversion.List{ListMeta: metav1.ListMeta{
		ResourceVersion: accessor.GetResourceVersion(), Continue: accessor.GetContinue(),
	}}
	err = meta.EachListItem(list, func(object runtime.Object) error {
		collected.Items = append(collected.Items, s.collect(object).(runtime.Object))
		return nil
	})
	return collected, err
}

// WatchWithContext implements cache.ListerWatcherWithContext. There is one watch at a time: the reflector
// loses sight of one whose list was not believed.
func (s *source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if s.watched != nil {
		s.watched.Stop()
	}
	if options.SendInitialEvents != nil && *options.SendInitialEvents {
		s.begins() // a list, as a stream
	}
	options.Watch = true
	watched, err := s.request(&options).Watch(ctx)
	if err != nil {
		s.watched = nil
		return nil, err
	}
	s.watched = watch.Filter(watched, func(e watch.Event) (watch.Event, bool) {
		if e.Type != watch.Error { // which is also what cannot be decoded
			s.told()
		}
		return e, true
	})
	return s.watched, nil
}

// List implements cache.ListerWatcher, which the reflector asks for and does not use.
func (s *source) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

// Watch implements cache.ListerWatcher.
func (s *source) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

// any says whether there is at least one object, by a consistent read.
func (s *source) any(ctx context.Context) (bool, error) {
	list := s.list()
	if err := s.request(&metav1.ListOptions{Limit: 1}).Do(ctx).Into(list); err != nil {
		return false, err
	}
	return meta.LenList(list) > 0, nil
}

// follow keeps a store true to the API server until ctx ends.
func follow(ctx context.Context, s *source, example client.Object, into toolscache.TransformingStore, failed func(error)) {
	reflector := toolscache.NewReflectorWithOptions(s, example, into, toolscache.ReflectorOptions{
		Name: s.name, Backoff: &backoff,
	})
	delay := backoff.DelayWithReset(clock.RealClock{}, backoffReset)
	//nolint:errcheck // it ends with ctx
	delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if err := reflector.ListAndWatchWithContext(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		return false, nil
	})
}
