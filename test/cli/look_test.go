package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/test/controlplane"
)

// somebody is the kubeconfig of a user who may do what the rules say in a namespace, and nothing else.
func somebody(t *testing.T, namespace string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "somebody"}
	mustCreate(t,
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: rules},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "somebody"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "somebody"}}},
	)
	config, err := plane.ServiceAccountConfig(namespace, "somebody")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/kubeconfig"
	if err := controlplane.WriteKubeconfig(path, config); err != nil {
		t.Fatal(err)
	}
	return path
}

var readKeys = rbacv1.PolicyRule{APIGroups: []string{"keys.claviger.dev"}, Resources: []string{"apikeys"}, Verbs: []string{"get", "list"}}

func TestListNeverShowsAKey(t *testing.T) {
	ns := newNamespace(t, "list")
	o := playOperator(t, ns)
	claviger(t, ns, "", "list").want(t, 0, "There are no ApiKeys to list in namespace list")
	claviger(t, ns, "", "create", "one", "--workspace", "shop", "--scope", "orders:read", "--scope", "orders:write", "--ttl", "48h", "--label", "team=a").want(t, 0)
	claviger(t, ns, "", "create", "two", "--workspace", "shop", "--delivery", "secret").want(t, 0)
	key := o.last(t, "one")
	setStatus(t, ns, "one", func(k *v1alpha1.ApiKey) {
		used := metav1.NewTime(time.Now().Add(-time.Hour))
		k.Status.Usage = &v1alpha1.KeyUsage{LastUsedAt: &used, Period: v1alpha1.UsagePeriod{UsageCounts: v1alpha1.UsageCounts{Requests: 42}}}
	})
	for _, args := range [][]string{{"list"}, {"list", "-A"}, {"list", "-o", "wide"}, {"list", "-o", "json"}, {"list", "-o", "yaml"}, {"list", "-o", "jsonpath={.items[*].metadata.name}"}, {"list", "-o", "name"}} {
		r := claviger(t, ns, "", args...).want(t, 0)
		if strings.Contains(r.out, key) || !strings.Contains(r.out, "one") || !strings.Contains(r.out, "two") {
			t.Errorf("%v printed\n%s", args, r.out)
		}
	}
	lines := strings.Split(claviger(t, ns, "", "list", "-l", "team=a").want(t, 0).out, "\n")
	want := []string{"one", "shop", "Active", "ak_live_…" + key[len(key)-4:], "orders:read,orders:write", "never", "60m", "ago", "42"}
	if head := strings.Fields(lines[0]); len(lines) != 3 || strings.Join(head, " ") != "NAME WORKSPACE STATE HINT SCOPES EXPIRES LAST USED USED" {
		t.Errorf("the table is\n%s", strings.Join(lines, "\n"))
	}
	if got := strings.Fields(lines[1]); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the row is %q, not %q", got, want)
	}
	if r := claviger(t, ns, "", "list", "--workspace", "other"); r.out != "" {
		t.Errorf("keys of another workspace: %s", r.out)
	}
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(claviger(t, ns, "", "list", "-o", "json").out), &list); err != nil || len(list.Items) != 2 || list.Items[0]["kind"] != "ApiKey" {
		t.Errorf("the JSON is no list of ApiKeys: %v", err)
	}
}

func TestUsageIsShown(t *testing.T) {
	ns := newNamespace(t, "usage")
	playOperator(t, ns)
	for name, requests := range map[string]int64{"busy": 1000, "idle": 0, "some": 250} {
		claviger(t, ns, "", "create", name, "--workspace", "shop").want(t, 0)
		if requests > 0 {
			setStatus(t, ns, name, func(k *v1alpha1.ApiKey) {
				left := int64(7)
				k.Status.Usage = &v1alpha1.KeyUsage{Remaining: &left, Period: v1alpha1.UsagePeriod{UsageCounts: v1alpha1.UsageCounts{Requests: requests, Denied: 3}}}
			})
		}
	}
	if r := claviger(t, ns, "", "usage", "busy").want(t, 0); !strings.Contains(r.out, "1000 allowed, 3 denied") || !strings.Contains(r.out, "7 requests of the tightest limit") {
		t.Errorf("printed\n%s", r.out)
	}
	if r := claviger(t, ns, "", "usage", "idle").want(t, 0); !strings.Contains(r.out, "Nothing has been counted") {
		t.Errorf("printed\n%s", r.out)
	}
	r := claviger(t, ns, "", "usage", "--workspace", "shop").want(t, 0)
	if lines := strings.Split(r.out, "\n"); !strings.HasPrefix(lines[0], "█▃▁  1250 requests") || !strings.HasPrefix(lines[2], "busy") || !strings.HasPrefix(lines[4], "idle") {
		t.Errorf("printed\n%s", r.out)
	}
	claviger(t, ns, "", "usage", "--workspace", "none").want(t, 1, "has no keys")
	claviger(t, ns, "", "usage").want(t, 1, "name one ApiKey")
}

func TestExplainGoesByTheCluster(t *testing.T) {
	ns := newNamespace(t, "explain")
	playOperator(t, ns)
	claviger(t, ns, "", "create", "checkout", "--workspace", "shop", "--delivery", "secret").want(t, 0)
	mustCreate(t, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "checkout.1"}, EventTime: metav1.NowMicro(), Type: "Normal", Reason: "Issued", Action: "Issue", Note: "a key was made",
		ReportingController: "claviger", ReportingInstance: "x", Regarding: corev1.ObjectReference{Kind: "ApiKey", Namespace: ns, Name: "checkout", APIVersion: "keys.claviger.dev/v1alpha1"},
	})
	r := claviger(t, ns, "", "explain", "checkout").want(t, 0)
	for _, want := range []string{"ApiKey explain/checkout works, but", "Its Secret checkout is gone.", "Issued: a key was made"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
	mustCreate(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "checkout"}, Data: map[string][]byte{"api-key": []byte("not to be shown")}})
	if r := claviger(t, ns, "", "explain", "checkout").want(t, 0); !strings.HasPrefix(r.out, "ApiKey explain/checkout works.\n") || strings.Contains(r.out, "not to be shown") {
		t.Errorf("printed\n%s", r.out)
	}
	r = clavigerAs(t, somebody(t, ns, readKeys), ns, "", "explain", "checkout").want(t, 0)
	for _, right := range []string{"get workspaces.keys.claviger.dev", "get secrets", "list events.events.k8s.io"} {
		if !strings.Contains(r.out, right+" in namespace explain") {
			t.Errorf("the right to %s is not named in\n%s", right, r.out)
		}
	}
	claviger(t, ns, "", "explain", "absent").want(t, 1, "there is no ApiKey")
}

func TestWhatSomebodyMayNotIsSaid(t *testing.T) {
	ns := newNamespace(t, "forbidden")
	nobody := somebody(t, ns)
	for _, args := range [][]string{{"list"}, {"create", "x", "--workspace", "shop"}, {"rotate", "x"}, {"revoke", "x", "--reason", "y"}, {"renew", "x"}, {"explain", "x"}} {
		clavigerAs(t, nobody, ns, "", args...).want(t, 1, "you may not do that", "Ask for that right")
	}
	// Without the right to watch it looks again and again.
	playOperator(t, ns)
	creator := readKeys
	creator.Verbs = []string{"create", "get"}
	mustCreate(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "creator"}, Rules: []rbacv1.PolicyRule{creator}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "creator"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "creator"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "somebody"}}})
	if err := until(func() error {
		_, err := plane.RunKubectl(t.Context(), nil, "auth", "can-i", "create", "apikeys.keys.claviger.dev", "-n", ns, "--as=system:serviceaccount:"+ns+":somebody")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	clavigerAs(t, nobody, ns, "", "create", "x", "--workspace", "shop").want(t, 0).key(t)
}

func TestNamesAreCompleted(t *testing.T) {
	ns := newNamespace(t, "complete")
	playOperator(t, ns)
	claviger(t, ns, "", "create", "first", "--workspace", "shop").want(t, 0)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"explain", ""}, "first\n"}, {[]string{"create", "x", "--workspace", ""}, "shop\n"}, {[]string{"create", "x", "--delivery", ""}, "sealed\nsecret\n"},
	} {
		// The flags that say which cluster stand before what is completed.
		args := append([]string{"__complete", "--kubeconfig", plane.Kubeconfig(), "-n", ns}, c.args...)
		if r := complete(t, args); !strings.HasPrefix(r.out, c.want) {
			t.Errorf("%v is completed by\n%s%s", c.args, r.out, r.err)
		}
	}
}
