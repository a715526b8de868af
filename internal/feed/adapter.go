package feed

import (
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// adapter turns an informer's events into two calls. An object that is being deleted is
// taken for deleted: that cannot be undone, and whoever holds it up with a finalizer holds up no
// revocation.
func adapter[Object client.Object](set func(Object), remove func(Object)) toolscache.ResourceEventHandler {
	apply := func(event any) {
		object, ok := event.(Object)
		switch {
		case !ok: // the informer knows no other type
		case object.GetDeletionTimestamp() != nil:
			remove(object)
		default:
			set(object)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    apply,
		UpdateFunc: func(_, event any) { apply(event) },
		DeleteFunc: func(event any) {
			// Where the deletion itself was missed, the event holds an old state.
			if unseen, ok := event.(toolscache.DeletedFinalStateUnknown); ok {
				event = unseen.Obj
			}
			if object, ok := event.(Object); ok {
				remove(object)
			}
		},
	}
}
