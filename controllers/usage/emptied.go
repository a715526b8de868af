package usage

import (
	"context"
	"fmt"
	"sync/atomic"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// watchEmptied has a feed read anew when somebody takes the usage out of a status: the feed tells of an
// object that is not used any more only once.
func (w *WriteBack) watchEmptied(ctx context.Context) error {
	for _, kind := range []struct {
		object client.Object
		again  *atomic.Bool
	}{
		{&v1alpha1.ApiKey{}, &w.keys.again},
		{&v1alpha1.KeyLimit{}, &w.limits.again},
	} {
		informer, err := w.informers.GetInformer(ctx, kind.object)
		if err != nil {
			return fmt.Errorf("cannot watch %T: %w", kind.object, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{UpdateFunc: func(old, object any) {
			if emptied(old, object) {
				kind.again.Store(true)
			}
		}})
		if err != nil {
			return fmt.Errorf("cannot watch %T: %w", kind.object, err)
		}
	}
	return nil
}

// emptied says whether an object shows no usage and did before. Another one of the same name has never shown any.
func emptied(before, after any) bool {
	switch after := after.(type) {
	case *v1alpha1.ApiKey:
		before, ok := before.(*v1alpha1.ApiKey)
		return ok && before.UID == after.UID && before.Status.Usage != nil && after.Status.Usage == nil
	case *v1alpha1.KeyLimit:
		before, ok := before.(*v1alpha1.KeyLimit)
		return ok && before.UID == after.UID && before.Status.Usage != nil && after.Status.Usage == nil
	}
	return false
}
