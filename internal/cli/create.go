package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/fault"
	"github.com/claviger-dev/claviger/internal/cli/identity"
)

// The values of --dry-run, as kubectl has them.
const (
	dryNone   = "none"
	dryClient = "client"
	dryServer = "server"
)

type createOptions struct {
	keySpec
	delivery   string
	recipients []string
	dryRun     string
	timeout    time.Duration
	print      *genericclioptions.PrintFlags
}

func (p *Plugin) createCommand() *cobra.Command {
	o := createOptions{print: genericclioptions.NewPrintFlags("created").WithTypeSetter(scheme)}
	cmd := &cobra.Command{
		Use:   "create NAME --workspace WORKSPACE",
		Short: "Create an ApiKey and print its key, this once",
		Long: "Creates an ApiKey whose key is sealed to an identity that exists only while this command runs, and prints the key to standard output.\n" +
			"The key is written nowhere else: not to the cluster, not to a disk. With --dry-run=client it prints what to commit instead.",
		Example: `  KEY=$(kubectl claviger create checkout --workspace shop --scope orders:read --ttl 2160h)
  kubectl claviger create checkout --workspace shop --delivery secret
  kubectl claviger create checkout --workspace shop --dry-run=client -o yaml > checkout.yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.create(cmd.Context(), args[0], &o)
		},
	}
	flags := cmd.Flags()
	o.addFlags(flags)
	flags.StringVar(&o.delivery, "delivery", "", "sealed or secret; by default sealed, and secret with --dry-run unless --recipient is given")
	flags.StringArrayVar(&o.recipients, "recipient", nil, "an age public key (age1...) to seal the key to, instead of printing it; can be repeated")
	flags.StringVar(&o.dryRun, "dry-run", dryNone, "none, client (print the manifest) or server (have the cluster check it, too)")
	flags.Lookup("dry-run").NoOptDefVal = dryClient
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for the key")
	o.print.AddFlags(cmd)
	p.completeCreate(cmd)
	return cmd
}

func (p *Plugin) create(ctx context.Context, name string, o *createOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	key, err := o.manifest(name)
	if err != nil {
		return err
	}
	mine, err := o.deliver(key)
	if err != nil {
		return err
	}
	if o.dryRun == dryClient {
		if namespace := *p.flags.Namespace; namespace != "" {
			key.Namespace = namespace
		}
		return p.printManifest(o.print, key)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	key.Namespace = c.namespace
	if o.dryRun == dryServer {
		if err := c.Create(ctx, key, client.DryRunAll, client.FieldOwner(fieldManager)); err != nil {
			return fault.Told(err)
		}
		return p.printManifest(o.print, key)
	}
	if err := c.Create(ctx, key, client.FieldOwner(fieldManager)); err != nil {
		return fault.Told(err)
	}
	p.say("ApiKey %s/%s is created.", key.Namespace, key.Name)
	return p.handOver(ctx, c, key, mine, o.timeout)
}

func (o *createOptions) check() error {
	if !slices.Contains([]string{dryNone, dryClient, dryServer}, o.dryRun) {
		return fmt.Errorf("--dry-run is none, client or server, not %q", o.dryRun)
	}
	if o.print.OutputFlagSpecified() && o.dryRun == dryNone {
		return fmt.Errorf("-o goes with --dry-run: without it standard output is for the key alone")
	}
	if !slices.Contains([]string{"", "secret", "sealed"}, o.delivery) {
		return fmt.Errorf("--delivery is secret or sealed, not %q", o.delivery)
	}
	if o.delivery == "secret" && len(o.recipients) > 0 {
		return fmt.Errorf("--recipient is for sealed keys: leave out --delivery secret")
	}
	if o.delivery == "sealed" && o.dryRun != dryNone && len(o.recipients) == 0 {
		return fmt.Errorf("nobody could read a key that is sealed by a manifest without --recipient: give an age public key (age-keygen makes one), or --delivery secret")
	}
	return o.keySpec.check()
}

// deliver sets the delivery. What is returned reads the key, and is nil where somebody else does.
func (o *createOptions) deliver(key *v1alpha1.ApiKey) (*identity.Identity, error) {
	d := &key.Spec.Delivery
	switch {
	case len(o.recipients) > 0:
		d.Type = v1alpha1.DeliverySealed
		for _, recipient := range o.recipients {
			d.Recipients = append(d.Recipients, v1alpha1.Recipient(recipient))
		}
	case o.delivery == "secret" || o.delivery == "" && o.dryRun != dryNone:
		d.Type = v1alpha1.DeliverySecret
	default:
		mine, err := identity.New()
		if err != nil {
			return nil, err
		}
		d.Type, d.Recipients = v1alpha1.DeliverySealed, []v1alpha1.Recipient{mine.Recipient()}
		return mine, nil
	}
	return nil, nil
}

// handOver waits for a key that is new, and says where it is.
func (p *Plugin) handOver(ctx context.Context, c *cluster, key *v1alpha1.ApiKey, mine *identity.Identity, timeout time.Duration) error {
	sealed := key.Spec.Delivery.Type == v1alpha1.DeliverySealed
	err := p.waitForKey(ctx, c, key, timeout, func(k *v1alpha1.ApiKey) bool {
		return sealed && k.Status.Sealed != nil || !sealed && k.Status.IssuedAt != nil
	})
	if err != nil {
		return err
	}
	switch {
	case mine != nil:
		if err := p.reveal(key, mine); err != nil {
			return err
		}
		p.say("Its key was printed to standard output, this once: nobody can read it again. To get another one, run\n  kubectl claviger regenerate %s -n %s --new-identity", key.Name, key.Namespace)
	case sealed:
		p.sayHowToRead(key)
	default:
		p.say("Its key %s is in a Secret. Read it with\n  kubectl get secret %s -n %s -o jsonpath='{.data.%s}' | base64 -d",
			key.Status.Hint, key.SecretName(), key.Namespace, v1alpha1.DataKeyApiKey)
	}
	return nil
}

func (p *Plugin) sayHowToRead(key *v1alpha1.ApiKey) {
	p.say("Its key %s is sealed. Whoever has the identity of a recipient reads it with\n  kubectl get apikey %s -n %s -o jsonpath='{.status.sealed.ciphertext}' | age --decrypt --identity FILE",
		key.Status.Hint, key.Name, key.Namespace)
}

// reveal prints a sealed key, and nothing else, to standard output.
func (p *Plugin) reveal(key *v1alpha1.ApiKey, mine *identity.Identity) error {
	plain, err := mine.Open(key.Status.Sealed.Ciphertext)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.Out, plain.Reveal()); err != nil {
		return fmt.Errorf("the key could not be written to standard output, and is lost (%w): kubectl claviger regenerate %s -n %s --new-identity makes another one", err, key.Name, key.Namespace)
	}
	return nil
}
