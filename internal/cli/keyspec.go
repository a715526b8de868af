package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// keySpec is what the flags of create say of an ApiKey. What it may be the API server judges, and lint.
type keySpec struct {
	workspace, displayName, environment, prefix, serviceAccount, entity, expiresAt string
	scopes                                                                         []string
	labels                                                                         map[string]string
	ttl, rotateEvery, overlap                                                      time.Duration
}

func (s *keySpec) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.workspace, "workspace", "", "the Workspace that the key belongs to (required)")
	flags.StringArrayVar(&s.scopes, "scope", nil, "what the key may do, such as orders:read; can be repeated, or be a list with commas")
	flags.DurationVar(&s.ttl, "ttl", 0, "how long the key works, such as 2160h")
	flags.StringVar(&s.expiresAt, "expires-at", "", "when the key stops working, such as 2027-01-31T12:00:00Z or 2027-01-31")
	flags.StringVar(&s.displayName, "display-name", "", "what people call the key")
	flags.StringVar(&s.environment, "environment", "", "live or test; it is part of the key")
	flags.StringVar(&s.prefix, "prefix", "", "what the key begins with, instead of what the Workspace says")
	flags.StringVar(&s.serviceAccount, "service-account", "", "the ServiceAccount (of keys.claviger.dev) that the key acts for")
	flags.StringVar(&s.entity, "entity", "", "to whom its usage is attributed, as KIND/ID, such as Agent/summarizer")
	flags.DurationVar(&s.rotateEvery, "rotate-every", 0, "how old a key gets before another one is made, such as 720h")
	flags.DurationVar(&s.overlap, "overlap", 0, "how long a replaced key works beside the new one, such as 24h")
	flags.StringToStringVar(&s.labels, "label", nil, "a label of the ApiKey, as name=value; can be repeated")
}

func (s *keySpec) check() error {
	switch {
	case s.workspace == "":
		return errors.New("--workspace is missing: say which Workspace the key belongs to (kubectl get workspaces lists them)")
	case s.ttl != 0 && s.expiresAt != "":
		return errors.New("give --ttl or --expires-at, not both")
	case s.ttl < 0 || s.rotateEvery < 0 || s.overlap < 0:
		return errors.New("--ttl, --rotate-every and --overlap are not negative")
	}
	return nil
}

// manifest is the ApiKey that was asked for, but for its delivery.
func (s *keySpec) manifest(name string) (*v1alpha1.ApiKey, error) {
	key := &v1alpha1.ApiKey{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ApiKey"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: s.labels},
		Spec: v1alpha1.ApiKeySpec{
			WorkspaceRef: v1alpha1.LocalReference{Name: s.workspace}, DisplayName: s.displayName,
			Environment: v1alpha1.Environment(s.environment), Prefix: s.prefix, TTL: lasting(s.ttl),
		},
	}
	for _, list := range s.scopes {
		for scope := range strings.SplitSeq(list, ",") {
			key.Spec.Scopes = append(key.Spec.Scopes, v1alpha1.Scope(strings.TrimSpace(scope)))
		}
	}
	if s.serviceAccount != "" {
		key.Spec.ServiceAccountRef = &v1alpha1.LocalReference{Name: s.serviceAccount}
	}
	if s.entity != "" {
		kind, id, ok := strings.Cut(s.entity, "/")
		if !ok {
			return nil, fmt.Errorf("--entity is KIND/ID, such as Agent/summarizer, not %q", s.entity)
		}
		key.Spec.Entity = &v1alpha1.Entity{Kind: kind, ID: v1alpha1.EntityID(id)}
	}
	if s.rotateEvery != 0 || s.overlap != 0 {
		key.Spec.Rotation = &v1alpha1.Rotation{Every: lasting(s.rotateEvery), Overlap: lasting(s.overlap)}
	}
	if s.expiresAt != "" {
		at, err := parseTime(s.expiresAt)
		if err != nil {
			return nil, err
		}
		key.Spec.ExpiresAt = &metav1.Time{Time: at}
	}
	return key, nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires-at is a time such as 2027-01-31T12:00:00Z or a day such as 2027-01-31, not %q", text)
}

func lasting(d time.Duration) *metav1.Duration {
	if d == 0 {
		return nil
	}
	return &metav1.Duration{Duration: d}
}
