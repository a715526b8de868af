package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/ask"
	"github.com/claviger-dev/claviger/internal/cli/await"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

type revokeOptions struct {
	reason       string
	leaked, wait bool
	timeout      time.Duration
}

func (o *revokeOptions) addFlags(cmd *cobra.Command, reason string) {
	flags := cmd.Flags()
	flags.StringVar(&o.reason, "reason", "", reason)
	flags.BoolVar(&o.wait, "wait", true, "wait until every verifier has heard of it")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait")
}

func (p *Plugin) revokeCommand() *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use:   "revoke (NAME --reason TEXT | --leaked)",
		Short: "Revoke a key for good, and wait until no verifier lets it pass",
		Long: "Revokes a key by spec.state, with the reason in an annotation, and waits until every verifier has heard of it.\n" +
			"With --leaked it reads the key itself from standard input, finds out whose it is, and revokes that.",
		Example: `  kubectl claviger revoke checkout --reason "the contract ended"
  kubectl claviger revoke --leaked --reason "in a public repository" < found.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case o.leaked && len(args) > 0:
				return errors.New("--leaked finds the ApiKey by its key, which it reads from standard input: leave out the name")
			case !o.leaked && len(args) != 1:
				return errors.New("name one ApiKey, or say --leaked and pass the key by standard input")
			case !o.leaked && o.reason == "":
				return errors.New("--reason is missing: say why, for those who find the key revoked")
			}
			return nil
		},
		ValidArgsFunction: p.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.leaked {
				return p.reportLeak(cmd.Context(), o)
			}
			c, err := p.connect()
			if err != nil {
				return err
			}
			return p.revoke(cmd.Context(), c, client.ObjectKey{Namespace: c.namespace, Name: args[0]}, o)
		},
	}
	o.addFlags(cmd, "why it is revoked")
	cmd.Flags().BoolVar(&o.leaked, "leaked", false, "read the key from standard input, and revoke whosever it is")
	return cmd
}

func (p *Plugin) reportLeakCommand() *cobra.Command {
	o := revokeOptions{leaked: true}
	cmd := &cobra.Command{
		Use:               "report-leak",
		Short:             "Revoke a key that was found where it should not be (revoke --leaked)",
		Example:           "  kubectl claviger report-leak --reason \"in a public repository\" < found.txt",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.reportLeak(cmd.Context(), o)
		},
	}
	o.addFlags(cmd, "where it was found")
	return cmd
}

func (p *Plugin) reportLeak(ctx context.Context, o revokeOptions) error {
	text, err := p.readKey(ctx)
	if err != nil {
		return err
	}
	verifier, err := p.verifier()
	if err != nil {
		return err
	}
	decision, err := ask.Verify(ctx, verifier, ask.Question{Key: text})
	if err != nil {
		return fmt.Errorf("whose key it is could not be asked: %w", err)
	}
	if decision.Key == nil {
		if decision.Code == "KEY_INVALID" {
			return errors.New("the verifier knows no such key, so it opens nothing: its ApiKey was deleted, or the key was replaced, or it was mistyped or is of another cluster")
		}
		return fmt.Errorf("the verifier does not tell whose key it is (%s): try again in a minute", decision.Code)
	}
	name := client.ObjectKey{Namespace: decision.Key.Namespace, Name: decision.Key.Name}
	p.say("It is the key of ApiKey %s.", name)
	if o.reason != "" {
		o.reason = ": " + o.reason
	}
	o.reason = v1alpha1.LeakedReason + o.reason
	c, err := p.connect()
	if err != nil {
		return err
	}
	return p.revoke(ctx, c, name, o)
}

// revoke revokes an ApiKey of whatever namespace.
func (p *Plugin) revoke(ctx context.Context, c *cluster, name client.ObjectKey, o revokeOptions) error {
	began := p.Now()
	key := &v1alpha1.ApiKey{}
	key.Namespace, key.Name = name.Namespace, name.Name
	// Without a look at it first, which could fail: a revocation waits for nothing.
	err := c.change(ctx, key, map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationRevocationReason: o.reason}},
		"spec":     map[string]any{"state": v1alpha1.KeyRevoked},
	})
	if err != nil {
		return named(err, "ApiKey", name.Namespace, name.Name, "kubectl claviger list")
	}
	p.say("ApiKey %s is revoked.", name)
	p.warnOfGit(key, "spec.state to Revoked")
	if !o.wait {
		return nil
	}
	err = until(ctx, c, key, o.timeout, func(k *v1alpha1.ApiKey) bool {
		return k.Status.Revocation != nil && k.Status.Revocation.PropagatedAt != nil
	})
	if err != nil {
		return unheard(key, o.timeout, err)
	}
	r := key.Status.Revocation
	if r.RequestedAt != nil && r.RequestedAt.Time.Before(began.Add(-time.Minute)) {
		p.say("It was revoked before, at %s.", r.RequestedAt.UTC().Format(time.RFC3339))
	}
	p.say("%s had heard of it after %s: nobody lets it pass any more.", verifiers(r.Verifiers), lag(r, began))
	return nil
}

// unheard says that the key is revoked all the same, and what is not known.
func unheard(key *v1alpha1.ApiKey, timeout time.Duration, err error) error {
	const holds = "the key is revoked, and a verifier that follows the cluster refuses it; but "
	switch {
	case !errors.Is(err, await.ErrTimeout):
		return fmt.Errorf(holds+"whether all of them have heard of it could not be seen: %w", fault.Told(err))
	case key.Status.Revocation == nil:
		return fmt.Errorf(holds+"within %s the operator did not take it up, which counts them: run kubectl claviger doctor", timeout)
	}
	return fmt.Errorf(holds+"within %s not all of them were heard of: does the operator reach the verifiers' protected port? Its log, and kubectl claviger doctor, tell", timeout)
}

func verifiers(n int32) string {
	if n == 1 {
		return "The only verifier"
	}
	return fmt.Sprintf("All %d verifiers", n)
}

// lag is how long it took. The status has whole seconds.
func lag(r *v1alpha1.Revocation, began time.Time) string {
	from := began
	if r.RequestedAt != nil {
		from = r.RequestedAt.Time
	}
	took := r.PropagatedAt.Sub(from)
	if took < time.Second {
		return "less than a second"
	}
	return took.Round(time.Second).String()
}
