package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/chart"
)

func (p *Plugin) usageCommand() *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "usage (NAME | --workspace WORKSPACE)",
		Short: "Show what verifiers counted for a key, or for all keys of a Workspace",
		Long:  "Shows what the operator has written to the status of a key, which follows what verifiers count within about a minute.",
		Example: `  kubectl claviger usage checkout
  kubectl claviger usage --workspace shop`,
		Args: func(_ *cobra.Command, args []string) error {
			if (workspace == "") != (len(args) == 1) {
				return errors.New("name one ApiKey, or one --workspace")
			}
			return nil
		},
		ValidArgsFunction: p.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			if workspace != "" {
				return p.usageOfWorkspace(cmd.Context(), c, workspace)
			}
			key, err := c.key(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printUsage(p.Out, key, p.Now())
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "", "show all keys of a Workspace, the most used first")
	p.completeWorkspaceFlag(cmd)
	return cmd
}

func printUsage(w io.Writer, key *v1alpha1.ApiKey, now time.Time) error {
	u := key.Status.Usage
	if u == nil {
		_, err := fmt.Fprintf(w, "Nothing has been counted for ApiKey %s/%s yet.\n", key.Namespace, key.Name)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) } //nolint:errcheck // Flush tells
	since := ""
	if u.Period.Start != nil {
		since = " since " + u.Period.Start.UTC().Format(time.DateOnly)
	}
	line("This month", "%d allowed, %d denied%s", u.Period.Requests, u.Period.Denied, since)
	line("In total", "%d allowed, %d denied", u.Total.Requests, u.Total.Denied)
	if u.Remaining != nil {
		line("Remaining", "%d requests of the tightest limit, at the last use%s", *u.Remaining, resets(u.ResetAt != nil, func() time.Time { return u.ResetAt.Time }))
	}
	if u.RemainingMicrocents != nil {
		line("Budget left", "%d microcents, at the last use%s", *u.RemainingMicrocents, resets(u.BudgetResetAt != nil, func() time.Time { return u.BudgetResetAt.Time }))
	}
	if u.Exhausted != nil && u.Exhausted.ResetAt.After(now) {
		line("Used up", "KeyLimit %s (%s), until %s", u.Exhausted.Limit, u.Exhausted.Reason, u.Exhausted.ResetAt.UTC().Format(time.RFC3339))
	}
	line("Last used", "%s", lastUse(key, now))
	if u.PreviousLastUsedAt != nil {
		line("Replaced key last used", "%s ago", duration.HumanDuration(max(0, now.Sub(u.PreviousLastUsedAt.Time))))
	}
	return t.Flush()
}

func resets(known bool, at func() time.Time) string {
	if !known {
		return ""
	}
	return "; whole again at " + at().UTC().Format(time.RFC3339)
}

func (p *Plugin) usageOfWorkspace(ctx context.Context, c *cluster, workspace string) error {
	keys, err := c.apiKeys(ctx, client.InNamespace(c.namespace))
	if err != nil {
		return err
	}
	keys = ofWorkspace(keys, workspace)
	if len(keys) == 0 {
		return fmt.Errorf("workspace %q has no keys in namespace %s: kubectl claviger list shows those that there are", workspace, c.namespace)
	}
	return printWorkspaceUsage(p.Out, keys, p.Now())
}

const barWidth = 30

// printWorkspaceUsage has a line for each key, the most used in this month first, and one for all.
func printWorkspaceUsage(w io.Writer, keys []v1alpha1.ApiKey, now time.Time) error {
	slices.SortFunc(keys, func(a, b v1alpha1.ApiKey) int {
		return cmp.Or(cmp.Compare(used(&b), used(&a)), strings.Compare(a.Name, b.Name))
	})
	values := make([]int64, len(keys))
	var sum int64
	for i := range keys {
		values[i] = used(&keys[i])
		sum += values[i]
	}
	if _, err := fmt.Fprintf(w, "%s  %d requests allowed this month, by %d keys\n\n", chart.Sparkline(values), sum, len(keys)); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range keys {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", keys[i].Name, values[i], lastUse(&keys[i], now), chart.Bar(values[i], values[0], barWidth)) //nolint:errcheck // Flush tells
	}
	return t.Flush()
}
