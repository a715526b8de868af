package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/identity"
)

// renewal is what rotate, regenerate and renew have in common: another key for an ApiKey.
type renewal struct {
	wait, newIdentity, yes bool
	timeout                time.Duration
}

func (r *renewal) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&r.wait, "wait", true, "wait until there is another key")
	flags.BoolVar(&r.newIdentity, "new-identity", false, "seal the new key to an identity that exists only while this runs, in place of the recipients, and print the key")
	flags.DurationVar(&r.timeout, "timeout", time.Minute, "how long to wait")
}

func (p *Plugin) rotateCommand() *cobra.Command {
	var r renewal
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Replace a key by another one, with a while for both",
		Long: "Asks for another key by the annotation keys.claviger.dev/regenerate. The old one works beside it for rotation.overlap;\n" +
			"where the ApiKey has none it would stop at once, so that --yes is asked for.",
		Example:           "  kubectl claviger rotate checkout",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.rotate(cmd.Context(), args[0], r, true)
		},
	}
	r.addFlags(cmd)
	cmd.Flags().BoolVar(&r.yes, "yes", false, "rotate even where the old key stops at once")
	return cmd
}

func (p *Plugin) regenerateCommand() *cobra.Command {
	var r renewal
	cmd := &cobra.Command{
		Use:   "regenerate NAME",
		Short: "Have another key made, whatever becomes of the old one",
		Long:  "Asks for another key by the annotation keys.claviger.dev/regenerate, and says what becomes of the old one.",
		Example: `  kubectl claviger regenerate checkout
  KEY=$(kubectl claviger regenerate checkout --new-identity)`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.rotate(cmd.Context(), args[0], r, false)
		},
	}
	r.addFlags(cmd)
	return cmd
}

func (p *Plugin) rotate(ctx context.Context, name string, r renewal, careful bool) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	key, err := c.key(ctx, name)
	if err != nil {
		return err
	}
	overlap := key.Spec.Rotation != nil && key.Spec.Rotation.Overlap != nil
	switch {
	case key.Spec.State == v1alpha1.KeyRevoked:
		return fmt.Errorf("ApiKey %s is revoked, which is final: create another one", name)
	case key.Spec.Source != nil:
		return fmt.Errorf("the key of ApiKey %s was brought along, so none is made in its place: change its spec.source instead", name)
	case r.newIdentity && key.Spec.Delivery.Type != v1alpha1.DeliverySealed:
		return fmt.Errorf("ApiKey %s is delivered into a Secret, where the new key can be read: leave out --new-identity", name)
	case careful && !overlap && !r.yes && key.Status.IssuedAt != nil:
		return fmt.Errorf("ApiKey %s has no rotation.overlap, so the old key would stop as soon as there is a new one: set spec.rotation.overlap, or say --yes", name)
	}
	if overlap {
		p.say("The old key %s goes on working for %s after the new one is there.", key.Status.Hint, short(key.Spec.Rotation.Overlap.Duration))
	} else if key.Status.IssuedAt != nil {
		p.say("The old key %s stops as soon as the new one is there.", key.Status.Hint)
	}
	mine, err := p.demand(ctx, c, key, r, recipientsOfKey)
	if err != nil {
		return err
	}
	return p.awaitNext(ctx, c, key, key.Status.KeyGeneration, mine, r)
}

// awaitNext waits for the key after that of a generation.
func (p *Plugin) awaitNext(ctx context.Context, c *cluster, key *v1alpha1.ApiKey, before int32, mine *identity.Identity, r renewal) error {
	if !r.wait && mine == nil {
		p.say("Another key is asked for: kubectl claviger explain %s -n %s tells when it is there.", key.Name, key.Namespace)
		return nil
	}
	err := p.waitForKey(ctx, c, key, r.timeout, func(k *v1alpha1.ApiKey) bool {
		return k.Status.KeyGeneration > before && (mine == nil || mine.Sealed(k.Status.Sealed))
	})
	if err != nil {
		return err
	}
	p.say("There is another key: %s.", key.Status.Hint)
	switch {
	case mine != nil:
		if err := p.reveal(key, mine); err != nil {
			return err
		}
		p.say("It was printed to standard output, this once.")
	case key.Status.Sealed != nil:
		p.sayHowToRead(key)
	default:
		p.say("It is in Secret %s, as the old one was.", key.SecretName())
	}
	return nil
}

func (p *Plugin) renewCommand() *cobra.Command {
	var r renewal
	cmd := &cobra.Command{
		Use:   "renew ACCOUNT",
		Short: "Renew the token of a ServiceAccount of keys.claviger.dev",
		Long:  "Asks for another token by the annotation keys.claviger.dev/regenerate of the account. The old one stops at once.",
		Example: `  kubectl claviger renew warehouse
  TOKEN=$(kubectl claviger renew warehouse --new-identity)`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.renew(cmd.Context(), args[0], r)
		},
	}
	r.addFlags(cmd)
	return cmd
}

func (p *Plugin) renew(ctx context.Context, name string, r renewal) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	account, err := c.account(ctx, name)
	if err != nil {
		return err
	}
	if account.Spec.Token == nil {
		return fmt.Errorf("ServiceAccount %s has no spec.token, so no key is kept for it: set spec.token, or rotate its ApiKeys one by one", name)
	}
	if r.newIdentity && account.Spec.Token.Delivery.Type != v1alpha1.DeliverySealed {
		return fmt.Errorf("the token of ServiceAccount %s is delivered into a Secret, where the new one can be read: leave out --new-identity", name)
	}
	key, before, err := c.tokenOf(ctx, account)
	if err != nil {
		return err
	}
	p.say("The old token of ServiceAccount %s stops as soon as the new one is there.", name)
	mine, err := p.demand(ctx, c, account, r, recipientsOfToken)
	if err != nil {
		return err
	}
	return p.awaitNext(ctx, c, key, before, mine, r)
}
