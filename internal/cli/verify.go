package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claviger-dev/claviger/internal/cli/ask"
)

type verifyOptions struct {
	all, any                        []string
	resource, workspace, ip, output string
}

func (p *Plugin) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Ask a verifier about the key on standard input, and explain its decision",
		Long: "Reads a key from standard input (at a terminal it asks for it), asks a verifier, and explains the decision. It counts as a request of the key.\n" +
			"The exit code is 0 where the key is valid, 1 where it is not, and 2 where no verifier could be asked.",
		Example: `  kubectl claviger verify --scope orders:read
  kubectl get secret checkout -o jsonpath='{.data.api-key}' | base64 -d | kubectl claviger verify --scope orders:read`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.verify(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.all, "scope", nil, "a scope that the key must have; can be repeated")
	flags.StringSliceVar(&o.any, "any-scope", nil, "scopes of which the key must have one; can be repeated")
	flags.StringVar(&o.resource, "resource", "", "what the key is to be used on, such as property/4711")
	flags.StringVar(&o.workspace, "workspace", "", "the workspace that it must belong to, as namespace/name")
	flags.StringVar(&o.ip, "ip", "", "the address that it is used from")
	flags.StringVarP(&o.output, "output", "o", "", "json for the decision itself")
	return cmd
}

func (p *Plugin) verify(ctx context.Context, o *verifyOptions) error {
	unasked := func(err error) error { return &exit{ExitUnasked, err} }
	if o.output != "" && o.output != "json" {
		return unasked(fmt.Errorf("-o is json, or left out, not %q", o.output))
	}
	verifier, err := p.verifier()
	if err != nil {
		return unasked(err)
	}
	text, err := p.readKey(ctx)
	if err != nil {
		return unasked(err)
	}
	question := ask.Question{Key: text, Workspace: o.workspace, Resource: o.resource, ClientIP: o.ip, Explain: true}
	if len(o.all)+len(o.any) > 0 {
		question.Scopes = &ask.Scopes{AllOf: o.all, AnyOf: o.any}
	}
	decision, err := ask.Verify(ctx, verifier, question)
	if err != nil {
		return unasked(err)
	}
	if err := p.printDecision(decision, question, o.output); err != nil {
		return unasked(err)
	}
	if !decision.Valid {
		return &exit{code: ExitNo}
	}
	return nil
}

func (p *Plugin) printDecision(decision *ask.Decision, question ask.Question, output string) error {
	if output == "" {
		return decision.Print(p.Out, question)
	}
	encoder := json.NewEncoder(p.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(decision)
}
