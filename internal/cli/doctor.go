package cli

import (
	"github.com/spf13/cobra"

	"github.com/claviger-dev/claviger/internal/cli/doctor"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

func (p *Plugin) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look whether all of Claviger in the cluster is as it should be",
		Long: "Looks at the CRDs, the webhooks, the certificate, the operator, the verifier, how fast revocations spread, and at what you may do yourself,\n" +
			"and says what to do. What you may not look at is told, and left out. The exit code is 1 where something is broken.",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			// Where nobody answers at all, once is enough to say so.
			if err := p.reach(); err != nil {
				return fault.Told(err)
			}
			verifier, err := p.verifier()
			if err != nil {
				return err
			}
			d := doctor.Doctor{Client: c, Namespace: c.namespace, System: p.systemNamespace, Verifier: verifier, Direct: p.verifierURL != "", Now: p.Now}
			findings := d.Examine(cmd.Context())
			if err := doctor.Print(p.Out, findings); err != nil {
				return err
			}
			if doctor.Failed(findings) {
				return &exit{code: ExitNo}
			}
			return nil
		},
	}
}

func (p *Plugin) reach() error {
	discovery, err := p.flags.ToDiscoveryClient()
	if err != nil {
		return err
	}
	_, err = discovery.ServerVersion()
	return err
}
