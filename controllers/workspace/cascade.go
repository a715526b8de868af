package workspace

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/fieldindex"
)

// annotationGoesWith, on ApiKeys and ServiceAccounts, is the UID of the Workspace that they are deleted
// with. It says so when the Workspace, and its policy, is gone, whether the operator was there when it went or not. Their own
// UID comes after it: what came back from a backup before its Workspace bears a mark that is not its own.
//
// An owner reference would do the same without an operator, but Argo CD does not prune what has one
// (argo-cd#4764): a key that left Git would go on working.
const annotationGoesWith = "keys.claviger.dev/goes-with-workspace"

// atOnce is how many members of a workspace are marked or deleted before others have their turn.
const atOnce = 500

// errMore says that there is more to do than was done at once.
var errMore = errors.New("the workspace has members that are to be dealt with yet")

// members are the ApiKeys and ServiceAccounts of a Workspace, from the cache; they are only looked at. What
// something else controls, as an account does its token, goes with that.
func (r *Reconciler) members(ctx context.Context, at client.ObjectKey) ([]client.Object, error) {
	var keys v1alpha1.ApiKeyList
	var accounts v1alpha1.ServiceAccountList
	for _, list := range []struct {
		objects client.ObjectList
		index   string
	}{{&keys, fieldindex.ApiKeyWorkspace}, {&accounts, fieldindex.ServiceAccountWorkspace}} {
		err := r.Cached.List(ctx, list.objects, client.InNamespace(at.Namespace), client.MatchingFields{list.index: at.Name}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, err
		}
	}
	var all []client.Object
	for i := range keys.Items {
		all = append(all, &keys.Items[i])
	}
	for i := range accounts.Items {
		all = append(all, &accounts.Items[i])
	}
	var free []client.Object
	for _, object := range all {
		if metav1.GetControllerOf(object) == nil && object.GetDeletionTimestamp().IsZero() {
			free = append(free, object)
		}
	}
	return free, nil
}

// mark writes on each member of a Workspace whether it goes with it.
func (r *Reconciler) mark(ctx context.Context, workspace *v1alpha1.Workspace) error {
	members, err := r.members(ctx, client.ObjectKeyFromObject(workspace))
	if err != nil {
		return err
	}
	written, again := 0, false
	for _, member := range members {
		wanted := ""
		if workspace.Spec.DeletionPolicy == v1alpha1.WorkspaceCascade {
			wanted = string(workspace.UID) + ownMark(member)
		}
		if member.GetAnnotations()[annotationGoesWith] == wanted {
			continue
		}
		if written++; written > atOnce {
			return errMore
		}
		err := r.markOne(ctx, member, wanted)
		switch {
		case apierrors.IsConflict(err):
			again = true
		case err != nil && !apierrors.IsNotFound(err):
			return err
		}
	}
	if again {
		return errMore
	}
	return nil
}

// ownMark ends the mark of a member.
func ownMark(member client.Object) string { return "/" + string(member.GetUID()) }

func (r *Reconciler) markOne(ctx context.Context, member client.Object, wanted string) error {
	value := "null"
	if wanted != "" {
		value = fmt.Sprintf("%q", wanted)
	}
	patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q,"annotations":{%q:%s}}}`, member.GetResourceVersion(), annotationGoesWith, value)
	return r.Writer.Patch(ctx, member.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json", []byte(patch)))
}

// cascade deletes what is to go with a Workspace that is gone. That it is gone is believed only of the API
// server; one that was made again under the name keeps them, and marks them as it says.
func (r *Reconciler) cascade(ctx context.Context, at client.ObjectKey) error {
	members, err := r.members(ctx, at)
	if err != nil {
		return err
	}
	var marked []client.Object
	for _, member := range members {
		if strings.HasSuffix(member.GetAnnotations()[annotationGoesWith], ownMark(member)) {
			marked = append(marked, member)
		}
	}
	if len(marked) == 0 {
		return nil
	}
	if err := r.Live.Get(ctx, at, &v1alpha1.Workspace{}); err == nil || !apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return err
	}
	log.FromContext(ctx).Info("Deleting what goes with a deleted Workspace", "objects", len(marked))
	for _, member := range marked[:min(len(marked), atOnce)] {
		uid, version := member.GetUID(), member.GetResourceVersion()
		err := r.Writer.Delete(ctx, member.DeepCopyObject().(client.Object), client.Preconditions{UID: &uid, ResourceVersion: &version})
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return errMore // and look whether that was all
}
