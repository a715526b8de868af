package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/await"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

// waitForKey waits until an ApiKey is as it shall be. Where that does not come, the error says what the operator
// says about it.
func (p *Plugin) waitForKey(ctx context.Context, c *cluster, key *v1alpha1.ApiKey, timeout time.Duration, done func(*v1alpha1.ApiKey) bool) error {
	err := until(ctx, c, key, timeout, done)
	if errors.Is(err, await.ErrTimeout) {
		return fmt.Errorf("not within %s: %s", timeout, standing(key))
	}
	return fault.Told(err)
}

// until is waitForKey with an error that is await.ErrTimeout where time is up.
func until(ctx context.Context, c *cluster, key *v1alpha1.ApiKey, timeout time.Duration, done func(*v1alpha1.ApiKey) bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return await.Until(ctx, c, &v1alpha1.ApiKeyList{}, key, func(k *v1alpha1.ApiKey) (bool, error) { return done(k), nil })
}

// standing is what the conditions say of a key that does not come, and what to do.
func standing(key *v1alpha1.ApiKey) string {
	next := fmt.Sprintf("kubectl claviger explain %s -n %s tells more", key.Name, key.Namespace)
	if key.Status.ObservedGeneration == 0 && len(key.Status.Conditions) == 0 {
		return "the operator has not looked at it yet, so it seems to be down: run kubectl claviger doctor. Once it is up, it goes on by itself; " + next
	}
	var said []string
	for _, c := range key.Status.Conditions {
		good := c.Type == v1alpha1.ConditionReady || c.Type == v1alpha1.ConditionActive
		if good == (c.Status == metav1.ConditionTrue) {
			continue // nothing is wrong with it
		}
		said = append(said, fmt.Sprintf("%s=%s (%s: %s)", c.Type, c.Status, c.Reason, strings.TrimSuffix(c.Message, ".")))
	}
	if len(said) == 0 {
		return "the operator says nothing against it: it may be busy; " + next
	}
	text := "the operator says " + strings.Join(said, ", ") + ". Mend that, and it goes on by itself; " + next
	if key.Spec.Delivery.Type == v1alpha1.DeliverySealed {
		text += fmt.Sprintf(". What a key was to be sealed to ended with this command: afterwards, kubectl claviger regenerate %s -n %s --new-identity prints one", key.Name, key.Namespace)
	}
	return text
}
