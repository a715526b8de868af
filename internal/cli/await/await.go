// Package await waits until an object is as it shall be.
package await

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrTimeout says that it did not come to that in time.
var ErrTimeout = errors.New("timed out")

// again is how long to wait where a watch was ended, or is not permitted.
const again = time.Second

// Until waits until done says so of the object of a name, or fails. The object is kept up to date, so that after
// ErrTimeout it is what was seen last. One that is deleted meanwhile is an error, and so is another of its name.
func Until[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList, object T, done func(T) (bool, error)) error {
	name, uid := client.ObjectKeyFromObject(object), object.GetUID()
	for {
		ok, err := look(ctx, c, name, uid, object, done)
		if ok || err != nil {
			return late(ctx, err)
		}
		if ok, err = follow(ctx, c, list, uid, object, done); ok || err != nil {
			return late(ctx, err)
		}
		select {
		case <-ctx.Done():
			return late(ctx, ctx.Err())
		case <-time.After(again):
		}
	}
}

// late makes one error of all ways in which time can be up.
func late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return err
}

func look[T client.Object](ctx context.Context, c client.Reader, name types.NamespacedName, uid types.UID, object T, done func(T) (bool, error)) (bool, error) {
	err := c.Get(ctx, name, object)
	if apierrors.IsNotFound(err) || err == nil && uid != "" && object.GetUID() != uid {
		return false, gone(name)
	}
	if err != nil {
		return false, err
	}
	return done(object)
}

func gone(name types.NamespacedName) error { return fmt.Errorf("%s was deleted meanwhile", name) }

// follow watches the object. A watch that ends, or that nobody permits, is no error: the object is looked at again.
func follow[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList, uid types.UID, object T, done func(T) (bool, error)) (bool, error) {
	name := client.ObjectKeyFromObject(object)
	events, err := c.Watch(ctx, list, client.InNamespace(name.Namespace),
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", name.Name)},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: object.GetResourceVersion()}})
	if apierrors.IsForbidden(err) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsTooManyRequests(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		now, ok := event.Object.(T)
		if !ok {
			return false, nil
		}
		if event.Type == watch.Deleted || uid != "" && now.GetUID() != uid {
			return false, gone(name)
		}
		reflect.ValueOf(object).Elem().Set(reflect.ValueOf(now).Elem())
		if ok, err := done(object); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
