package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli"
)

func mustCreate(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// followAccount does to the ApiKey of an account's token what the operator does: it passes on the annotation and
// the recipients.
func followAccount(t *testing.T, namespace, name string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	at := client.ObjectKey{Namespace: namespace, Name: name}
	go func() {
		defer close(ended)
		for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			account, key := &v1alpha1.ServiceAccount{}, &v1alpha1.ApiKey{}
			if admin.Get(ctx, at, account) != nil || admin.Get(ctx, at, key) != nil {
				continue
			}
			before := key.DeepCopy()
			if key.Annotations == nil {
				key.Annotations = map[string]string{}
			}
			key.Annotations[v1alpha1.AnnotationRegenerate] = account.Annotations[v1alpha1.AnnotationRegenerate]
			key.Spec.Delivery.Recipients = account.Spec.Token.Delivery.Recipients
			admin.Patch(ctx, key, client.MergeFrom(before))
		}
	}()
}

// complete asks for completions, as a shell does.
func complete(t *testing.T, args []string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	p := cli.Plugin{IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, Now: time.Now}
	code := p.Run(t.Context(), args)
	return result{out.String(), errOut.String(), code}
}
