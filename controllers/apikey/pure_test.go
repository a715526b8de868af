package apikey

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func keyOf(name string, age time.Duration) v1alpha1.ApiKey {
	return v1alpha1.ApiKey{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(noon.Add(-age)),
	}}
}

func TestWhoseClaimToAPlaceComesFirst(t *testing.T) {
	const issued, unknown = true, false
	old, young := keyOf("old", time.Hour), keyOf("young", time.Minute)
	for name, test := range map[string]struct {
		old, young bool
		first      string
	}{
		"the older one":                         {unknown, unknown, "old"},
		"the older one of two issued ones":      {issued, issued, "old"},
		"the issued one":                        {issued, unknown, "old"},
		"the issued one, though it is younger":  {unknown, issued, "young"},
		"of the same second, that of lower UID": {unknown, unknown, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			var m memory
			keys := []v1alpha1.ApiKey{old, young}
			if test.first == "a" {
				keys = []v1alpha1.ApiKey{keyOf("b", time.Hour), keyOf("a", time.Hour)}
			}
			for i, is := range []bool{test.old, test.young} {
				if is {
					m.markIssued(&keys[i])
				}
			}
			for i := range keys {
				want := 1
				if keys[i].Name == test.first {
					want = 0
				}
				if got := m.ahead(&keys[i], keys, noon); got != want {
					t.Errorf("%d keys are ahead of %s, want %d", got, keys[i].Name, want)
				}
			}
		})
	}
}

func TestKeysThatAreOverTakeNoPlace(t *testing.T) {
	var m memory
	revoked, ended := keyOf("revoked", time.Hour), keyOf("ended", time.Hour)
	revoked.Spec.State = v1alpha1.KeyRevoked
	ended.Status.ExpiresAt = &metav1.Time{Time: noon}
	young := keyOf("young", time.Minute)
	if got := m.ahead(&young, []v1alpha1.ApiKey{revoked, ended, young}, noon); got != 0 {
		t.Errorf("%d keys are ahead", got)
	}
}

// A key that has ended is no longer issued, as far as places go; it takes one anew, and then
// counts although its status, or the cache that shows it, still tells of the old end.
func TestAKeyThatLivesAgainTakesAPlace(t *testing.T) {
	var m memory
	revived, young := keyOf("revived", time.Hour), keyOf("young", time.Minute)
	revived.Status.IssuedAt, revived.Status.ExpiresAt = &revived.CreationTimestamp, &metav1.Time{Time: noon}
	both := []v1alpha1.ApiKey{revived, young}
	ahead := func(when string, ofRevived, ofYoung int) {
		t.Helper()
		if got := [2]int{m.ahead(&both[0], both, noon), m.ahead(&both[1], both, noon)}; got != [2]int{ofRevived, ofYoung} {
			t.Errorf("%s: %d and %d keys are ahead, want %d and %d", when, got[0], got[1], ofRevived, ofYoung)
		}
	}
	ahead("before either took a place", 0, 0)
	m.take(&both[0], noon)
	ahead("when the older one took one to live again", 0, 1)
	m.giveBack(&both[0])
	ahead("when it gave that back", 0, 0)
	m.take(&both[1], noon)
	ahead("when the younger one took one", 1, 0)
	m.giveBack(&both[1])
	ahead("when there was nothing to give back", 1, 0)

	m.take(&both[0], noon)
	both[0].Spec.State = v1alpha1.KeyRevoked
	ahead("when the older one took one and was revoked", 1, 0)
	both[0].Spec.State = ""
	both[0].Status.ExpiresAt = &metav1.Time{Time: noon.Add(-time.Minute)}
	ahead("when its status tells of another end, in the past", 1, 0)
}

// Wearing what one spec says and then what another says leaves what the other says, and
// whatever somebody else put there that neither says anything about.
func TestWearingFollowsTheSpec(t *testing.T) {
	names := rapid.SampledFrom([]string{"team", "tier", "example.com/a", "example.com/b", "theirs"})
	values := rapid.MapOf(names, rapid.SampledFrom([]string{"1", "2"}))
	rapid.Check(t, func(t *rapid.T) {
		theirs := values.Draw(t, "theirs")
		secret := &metav1.ObjectMeta{Labels: maps.Clone(theirs), Annotations: maps.Clone(theirs)}
		key := keyOf("key", 0)
		said := map[string]bool{}
		var labels, annotations map[string]string
		for range 3 {
			labels, annotations = values.Draw(t, "labels"), values.Draw(t, "annotations")
			key.Spec.Delivery.Labels, key.Spec.Delivery.Annotations = texts[v1alpha1.LabelValue](labels), texts[v1alpha1.AnnotationValue](annotations)
			for name := range labels {
				said[name] = true
			}
			wear(secret, &key)
		}
		for name, value := range secret.Labels {
			own := strings.HasPrefix(name, "keys.claviger.dev/")
			if !own && labels[name] != value && (said[name] || theirs[name] != value) {
				t.Errorf("label %s=%s, said %v, theirs %v", name, value, labels, theirs)
			}
		}
		for name, value := range labels {
			if secret.Labels[name] != value {
				t.Errorf("label %s=%s is missing", name, value)
			}
		}
		for name, value := range annotations {
			if secret.Annotations[name] != value {
				t.Errorf("annotation %s=%s is missing", name, value)
			}
		}
		before := secret.DeepCopy()
		if wear(secret, &key); !reflect.DeepEqual(before, secret) {
			t.Errorf("wearing the same again changed %+v to %+v", before, secret)
		}
	})
}

func texts[T ~string](values map[string]string) map[string]T {
	out := map[string]T{}
	for name, value := range values {
		out[name] = T(value)
	}
	return out
}

func TestWhatIsClavigersOwnIsNeverTakenOff(t *testing.T) {
	key := keyOf("key", 0)
	secret := &metav1.ObjectMeta{Annotations: map[string]string{
		v1alpha1.AnnotationGeneration: "1",
		annotationWornAnnotations:     v1alpha1.AnnotationGeneration,
		annotationWornLabels:          v1alpha1.LabelApiKeyUID,
	}}
	wear(secret, &key)
	if secret.Annotations[v1alpha1.AnnotationGeneration] != "1" || secret.Labels[v1alpha1.LabelApiKeyUID] != "key" {
		t.Errorf("%+v", secret)
	}
}

func TestRefusalsDoNotQuoteKeys(t *testing.T) {
	data := map[string][]byte{v1alpha1.DataKeyApiKey: []byte("ak_live_secret"), v1alpha1.DataKeyKeyID: []byte("id")}
	quoted := base64.StdEncoding.EncodeToString(data[v1alpha1.DataKeyApiKey])
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "key", errors.New(text))
	}
	for name, err := range map[string]error{
		"a refusal that quotes the key":              forbidden("I do not like ak_live_secret"),
		"a refusal that quotes the object":           forbidden(`{"data":{"api-key":"` + quoted + `"}}`),
		"a failure of another kind that quotes them": fmt.Errorf("cannot send %s", quoted),
	} {
		got := withhold(err, data)
		if strings.Contains(got.Error(), "secret\"") || strings.Contains(got.Error(), "ak_live_secret") || strings.Contains(got.Error(), quoted) {
			t.Errorf("%s: %v", name, got)
		}
		if apierrors.IsForbidden(err) != apierrors.IsForbidden(got) {
			t.Errorf("%s: it is %v now", name, got)
		}
	}
	harmless := forbidden("exceeded quota of id")
	if got := withhold(harmless, data); !errors.Is(got, harmless) {
		t.Errorf("a harmless refusal became %v", got)
	}
	if withhold(nil, data) != nil {
		t.Error("success became a failure")
	}
}

func TestEventsTellOfWhatIsNew(t *testing.T) {
	conflict := &problem{reason: v1alpha1.ReasonSecretConflict, stalled: true}
	with := func(state, ready string) *v1alpha1.ApiKeyStatus {
		status := &v1alpha1.ApiKeyStatus{State: state, ExpiresAt: &metav1.Time{Time: noon}}
		if ready != "" {
			status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: ready}}
		}
		return status
	}
	for name, test := range map[string]struct {
		before, after *v1alpha1.ApiKeyStatus
		problem       *problem
		want          []string
	}{
		"a new key":                     {with("", ""), with("Active", "Reconciled"), nil, nil},
		"a revocation":                  {with("Active", "Reconciled"), with("Revoked", "Reconciled"), nil, []string{"Revoked"}},
		"an end":                        {with("Active", "Reconciled"), with("Expired", "Reconciled"), nil, []string{"Expired"}},
		"a status that was lost":        {with("", ""), with("Revoked", "Reconciled"), nil, nil},
		"a problem":                     {with("", ""), with("Pending", "SecretConflict"), conflict, []string{"SecretConflict"}},
		"a problem that was told":       {with("Pending", "SecretConflict"), with("Pending", "SecretConflict"), conflict, nil},
		"waiting for what is to come":   {with("", ""), with("Pending", "WorkspaceNotFound"), &problem{reason: v1alpha1.ReasonWorkspaceNotFound}, nil},
		"what passes without a person":  {with("", ""), with("Pending", "SecretConflict"), &problem{reason: v1alpha1.ReasonSecretConflict, quiet: true, retryAfter: 1}, nil},
		"a revocation behind a problem": {with("Pending", "SecretConflict"), with("Revoked", "Reconciled"), nil, []string{"Revoked"}},
	} {
		var got []string
		for _, n := range changes(test.before, test.after, test.problem) {
			got = append(got, n.reason)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: Events %v, want %v", name, got, test.want)
		}
	}
}

func TestOnlyAProperNotFoundProvesAbsence(t *testing.T) {
	resource := schema.GroupResource{Group: "keys.claviger.dev", Resource: "apikeys"}
	for name, test := range map[string]struct {
		err  error
		gone bool
	}{
		"the object is not found":             {apierrors.NewNotFound(resource, "key"), true},
		"the server does not know the kind":   {apierrors.NewGenericServerResponse(404, "GET", resource, "key", "404 page not found", 0, true), false},
		"the server is away":                  {apierrors.NewServiceUnavailable("away"), false},
		"the server could not be reached":     {errors.New("connection refused"), false},
		"there is no answer and no complaint": {nil, false},
	} {
		if isGone(test.err) != test.gone {
			t.Errorf("%s: gone is %v", name, !test.gone)
		}
	}
}

func TestWhatIsDeletedMeanwhileIsNoFault(t *testing.T) {
	key := keyOf("key", 0)
	s := &scope{name: nameOf(&key), key: &key}
	notFound := func(resource, name string) error {
		return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
	}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"the ApiKey":                           {notFound("apikeys", "key"), true},
		"its namespace":                        {notFound("namespaces", "team"), true},
		"one of its Secrets":                   {notFound("secrets", "key-1"), true},
		"the operator's namespace":             {notFound("namespaces", "claviger-system"), false},
		"an object of another kind":            {notFound("nodes", "key"), false},
		"a kind that the server does not know": {apierrors.NewGenericServerResponse(404, "PATCH", schema.GroupResource{Resource: "apikeys"}, "key", "404 page not found", 0, true), false},
		"something that is no answer":          {errors.New("not found"), false},
	} {
		if s.isDeletedMeanwhile(test.err) != test.want {
			t.Errorf("%s: it is %v", name, !test.want)
		}
	}
	if (&scope{name: s.name}).isDeletedMeanwhile(notFound("apikeys", "key")) {
		t.Error("without an ApiKey there is nothing that could be deleted meanwhile")
	}
}
