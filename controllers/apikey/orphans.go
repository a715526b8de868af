package apikey

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// deleteOrphans deletes the hashes under this name whose ApiKey does not live any more. They
// grant nothing since it was deleted; this is cleaning up. That the ApiKey is gone is
// believed only of the API server: an empty cache says nothing.
func (r *Reconciler) deleteOrphans(ctx context.Context, s *scope) error {
	s.done = s.key == nil
	if !s.hasOrphans() {
		return nil
	}
	var alive v1alpha1.ApiKey
	err := r.Live.Get(ctx, s.name, &alive)
	if err != nil && !isGone(err) {
		return err
	}
	if err == nil && alive.DeletionTimestamp.IsZero() && s.uid() != alive.UID {
		s.done = true // the cache is behind: it is told of this one yet
	}
	for i := range s.hashed {
		owner := client.ObjectKey{Namespace: s.name.Namespace, Name: s.name.Name}
		uid := s.hashed[i].Labels[v1alpha1.LabelApiKeyUID]
		if err == nil && alive.DeletionTimestamp.IsZero() && uid == string(alive.UID) {
			continue
		}
		if err := r.deleteThis(ctx, &s.hashed[i]); err != nil {
			return err
		}
		log.FromContext(ctx).Info("Deleted the hash of a deleted ApiKey", "apiKey", owner, "uid", uid)
	}
	return nil
}

func (s *scope) hasOrphans() bool {
	for i := range s.hashed {
		if s.key == nil || s.hashed[i].Labels[v1alpha1.LabelApiKeyUID] != string(s.key.UID) {
			return true
		}
	}
	return false
}

// expire deletes an ApiKey whose key expired so long ago that its Workspace does not keep it any more. The version
// that was judged is deleted and no other: it may have been given another end meanwhile.
func (r *Reconciler) expire(ctx context.Context, s *scope) error {
	w := s.references.workspace
	end, ends := s.end()
	if metav1.GetControllerOf(s.key) != nil {
		return nil // an account's token: the account would have it made again
	}
	if !ends || w.Spec.Keys.RetainExpired == nil || s.renewalWanted() || s.now.Before(end.Add(w.Spec.Keys.RetainExpired.Duration)) {
		return nil
	}
	uid, version := s.key.UID, s.key.ResourceVersion
	key := &v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	if err := r.Writer.Delete(ctx, key, client.Preconditions{UID: &uid, ResourceVersion: &version}); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Deleted an ApiKey that expired long ago", "expired", end)
	s.done = true
	return nil
}
