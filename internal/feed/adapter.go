package feed

import (
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// adapter turns an informer's events into two calls. An object that is being deleted is
// taken for deleted: that cannot be undone, and whoever holds it up with a finalizer holds up no
// revocation.
func adapter[Object client.Object](set func(Object), remove func(types.NamespacedName)) toolscache.ResourceEventHandler {
	apply := func(event any) {
		object, ok := event.(Object)
		switch {
		case !ok: // the informer knows no other type
		case object.GetDeletionTimestamp() != nil:
			remove(client.ObjectKeyFromObject(object))
		default:
			set(object)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    apply,
		UpdateFunc: func(_, event any) { apply(event) },
		DeleteFunc: func(event any) {
			// Where the deletion itself was missed, the event holds a name and an old state.
			if name, err := toolscache.DeletionHandlingObjectToName(event); err == nil {
				remove(types.NamespacedName{Namespace: name.Namespace, Name: name.Name})
			}
		},
	}
}
