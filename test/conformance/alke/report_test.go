package alke

import (
	_ "embed"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/stack"
)

//go:embed manifests/usage.yaml
var usageManifests string

// K7: a report: a property, a range of dates, metrics and dimensions.
func TestK7Report(t *testing.T) {
	stack.OnEachStore(t, claviger, func(t *testing.T, s *stack.Stack) {
		namespace := s.Namespace(t, "alke-usage")
		s.Apply(t, namespace, usageManifests)
		s.AwaitKey(t, namespace, "reporting")
		key := s.Key(t, namespace, "reporting")
		s.AwaitVerifier(t, key)
		for property, requests := range map[string]int{"property/1": 3, "property/2": 1} {
			for range requests {
				s.Tell(t, s.Verify(t, key, "resource", property), "outcome", "success", "spendMicrocents", 10, "resource", property)
			}
		}
		type report struct{ Rows []map[string]any }
		ask := func(query string) (got report) {
			t.Helper()
			s.Get(t, "/v1/analytics/report?"+query, &got, "Authorization", "Bearer "+key, "X-Workspace-Id", namespace+"/media")
			return got
		}
		today := time.Now().UTC()
		dates := fmt.Sprintf("from=%s&to=%s", today.AddDate(0, 0, -1).Format(time.DateOnly), today.Format(time.DateOnly))
		stack.Eventually(t, func() string {
			if got := ask(dates + "&metrics=succeeded").Rows; len(got) != 1 || got[0]["succeeded"] != 4.0 {
				return fmt.Sprintf("the report reads %v", got)
			}
			return ""
		})
		for query, want := range map[string][]map[string]any{
			"&metrics=requests,spendMicrocents&resource=property%2F1":           {{"requests": 3.0, "spendMicrocents": 30.0}},
			"&metrics=requests&dimensions=resource&status=allowed":              {{"resource": "property/1", "requests": 3.0}, {"resource": "property/2", "requests": 1.0}},
			"&metrics=requests&dimensions=serviceAccount&resource=property%2F2": {{"serviceAccount": "reporting", "requests": 1.0}},
			"&metrics=requests&dimensions=month&resource=property%2F2":          {{"month": time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339), "requests": 1.0}},
		} {
			if got := ask(dates + query).Rows; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
	})
}
