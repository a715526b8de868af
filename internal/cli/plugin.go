// Package cli is the commands of kubectl claviger. What they have to say is decided by the packages below: this
// one asks the cluster, in which the user may do no more than with kubectl.
//
// No key is ever an argument or the value of a flag, which would leave it in the shell's history and in the list of
// processes: keys are read from standard input, and written to standard output.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/claviger-dev/claviger/internal/cli/fault"
)

// The exit codes.
const (
	ExitDone = 0
	// ExitNo is for an error, a key that is not valid, manifests with mistakes and a check that fails.
	ExitNo = 1
	// ExitUnasked is for a verifier that could not be asked.
	ExitUnasked = 2
)

// CompletionName is what kubectl looks for on the PATH when it completes for this plugin. Under this name the program
// completes, so that a link to it is enough.
const CompletionName = "kubectl_complete-claviger"

// Plugin is what all commands share.
type Plugin struct {
	genericiooptions.IOStreams
	Version string
	Now     func() time.Time

	flags           *genericclioptions.ConfigFlags
	systemNamespace string
	verifierURL     string
}

// exit is an error that is told already, or that has an exit code of its own.
type exit struct {
	code int
	err  error // nil: told already
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// Main runs the plugin with the arguments of a process, of which the first is its name, and returns its exit code.
func Main(ctx context.Context, arguments []string, streams genericiooptions.IOStreams, version string) int {
	p := &Plugin{IOStreams: streams, Version: version, Now: time.Now}
	rest := arguments[1:]
	if filepath.Base(arguments[0]) == CompletionName {
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	return p.Run(ctx, rest)
}

// Run runs the command that the arguments say, and returns the exit code.
func (p *Plugin) Run(ctx context.Context, arguments []string) int {
	if err := refuseSecrets(arguments); err != nil {
		fmt.Fprintln(p.ErrOut, "Error:", err) //nolint:errcheck // there is nowhere else to say it
		return ExitNo
	}
	root := p.command()
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	code := ExitNo
	var with *exit
	if errors.As(err, &with) {
		code = with.code
		if with.err == nil {
			return code
		}
	}
	fmt.Fprintln(p.ErrOut, "Error:", fault.Told(err)) //nolint:errcheck // as above
	return code
}

func (p *Plugin) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-claviger",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl claviger"},
		Short:         "Create, rotate, revoke and explain API keys",
		Long:          "Create, rotate, revoke and explain API keys that are Kubernetes resources.\n\nKeys are never arguments: they are read from standard input and written to standard output.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.ErrOut)
	p.flags = genericclioptions.NewConfigFlags(true).WithWarningPrinter(p.IOStreams)
	p.flags.AddFlags(root.PersistentFlags())
	flags := root.PersistentFlags()
	flags.StringVar(&p.systemNamespace, "system-namespace", "claviger-system", "the namespace that Claviger runs in")
	flags.StringVar(&p.verifierURL, "verifier-url", os.Getenv("CLAVIGER_VERIFIER_URL"),
		"the address of a verifier, such as http://127.0.0.1:8080; without it (and without CLAVIGER_VERIFIER_URL) it is asked through the API server")
	root.AddCommand(
		p.createCommand(), p.listCommand(), p.rotateCommand(), p.regenerateCommand(), p.renewCommand(),
		p.revokeCommand(), p.reportLeakCommand(), p.verifyCommand(), p.usageCommand(), p.explainCommand(),
		p.doctorCommand(), p.lintCommand(), p.versionCommand(),
	)
	p.completeFlags(root)
	return root
}

// say tells a person something, beside what the command is for. Standard output is left to that.
func (p *Plugin) say(format string, args ...any) {
	fmt.Fprintf(p.ErrOut, format+"\n", args...) //nolint:errcheck // there is nowhere else to say it
}

func (p *Plugin) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Print the version of this plugin",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.Out, "kubectl-claviger", p.Version)
			return err
		},
	}
}
