package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// completionPatience is how long a person waits for a completion.
const completionPatience = 3 * time.Second

// completer is what cobra asks for completions.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

var (
	apiKeyKind    = v1alpha1.GroupVersion.WithKind("ApiKey")
	accountKind   = v1alpha1.GroupVersion.WithKind("ServiceAccount")
	workspaceKind = v1alpha1.GroupVersion.WithKind("Workspace")
	namespaceKind = schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
)

func (p *Plugin) completeKeys(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.argument(cmd.Context(), args, apiKeyKind)
}

func (p *Plugin) completeAccounts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return p.argument(cmd.Context(), args, accountKind)
}

func (p *Plugin) argument(ctx context.Context, args []string, kind schema.GroupVersionKind) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.names(ctx, kind), cobra.ShellCompDirectiveNoFileComp
}

func (p *Plugin) ofKind(kind schema.GroupVersionKind) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return p.names(cmd.Context(), kind), cobra.ShellCompDirectiveNoFileComp
	}
}

// names are those of the objects of a kind in the namespace, or all there are where the kind has none. Where they cannot
// be had, there are none: a completion has nowhere to say why.
func (p *Plugin) names(ctx context.Context, kind schema.GroupVersionKind) []string {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	c, err := p.connect()
	if err != nil {
		return nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	options := []client.ListOption{client.Limit(500)}
	if kind != namespaceKind {
		options = append(options, client.InNamespace(c.namespace))
	}
	if err := c.List(ctx, list, options...); err != nil {
		return nil
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func (p *Plugin) completeWorkspaceFlag(cmd *cobra.Command) {
	mustComplete(cmd, "workspace", p.ofKind(workspaceKind))
}

func (p *Plugin) completeCreate(cmd *cobra.Command) {
	p.completeWorkspaceFlag(cmd)
	mustComplete(cmd, "service-account", p.ofKind(accountKind))
	for flag, values := range map[string][]string{
		"environment": {string(v1alpha1.EnvironmentLive), string(v1alpha1.EnvironmentTest)},
		"delivery":    {"sealed", "secret"},
		"dry-run":     {dryNone, dryClient, dryServer},
	} {
		mustComplete(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// completeFlags completes kubectl's own.
func (p *Plugin) completeFlags(root *cobra.Command) {
	mustComplete(root, "namespace", p.ofKind(namespaceKind))
	mustComplete(root, "system-namespace", p.ofKind(namespaceKind))
	mustComplete(root, "context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		config, err := p.flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.Sorted(maps.Keys(config.Contexts)), cobra.ShellCompDirectiveNoFileComp
	})
}

// mustComplete fails where there is no such flag, which is a mistake in this program.
func mustComplete(cmd *cobra.Command, flag string, complete completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err)
	}
}
