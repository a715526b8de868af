package verifier_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

func TestALimitHoldsForAKeyWhileItIsEnforced(t *testing.T) {
	limited := v1alpha1.KeyLimitSpec{Rates: []v1alpha1.Rate{{Requests: 1, Per: metav1.Duration{Duration: time.Minute}}}}
	edited := func(edit func(*v1alpha1.KeyLimitSpec)) func(*keyindex.Index) {
		spec := limited
		edit(&spec)
		return func(x *keyindex.Index) { indextest.SetKeyLimit(x, "l", spec) }
	}
	tests := map[string]struct {
		change func(*keyindex.Index)
		want   bool
	}{
		"as it is attached":    {func(*keyindex.Index) {}, true},
		"raised":               {edited(func(s *v1alpha1.KeyLimitSpec) { s.Rates = []v1alpha1.Rate{{Requests: 9, Per: s.Rates[0].Per}} }), true},
		"not enabled":          {edited(func(s *v1alpha1.KeyLimitSpec) { s.Enabled = ptr.To(false) }), false},
		"only tried in shadow": {edited(func(s *v1alpha1.KeyLimitSpec) { s.Mode = v1alpha1.ModeShadow }), false},
		"deleted": {func(x *keyindex.Index) {
			x.DeleteKeyLimit(types.NamespacedName{Namespace: indextest.Namespace, Name: "l"})
		}, false},
		"detached":                  {func(x *keyindex.Index) { indextest.SetKey(x, "k") }, false},
		"of a key that was deleted": {func(x *keyindex.Index) { x.DeleteApiKey(indextest.UID("key", "k")) }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			indextest.SetKeyLimit(f.index, "l", limited)
			indextest.Issue(t, f.index, "k", func(s *spec) { s.LimitRefs = indextest.Refs("l") })
			test.change(f.index)
			if got := f.Holds(keyID("k"), string(indextest.UID("limit", "l"))); got != test.want {
				t.Errorf("it holds: %v, want %v", got, test.want)
			}
			if f.Holds(keyID("k"), string(indextest.UID("limit", "another"))) {
				t.Error("a limit holds that is not attached")
			}
		})
	}
}
