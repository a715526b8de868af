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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/chart"
)

func (p *Plugin) usageCommand() *cobra.Command {
	var workspace string
	cmd := &cobra.Command{
		Use:   "usage (NAME | workspace/NAME | serviceaccount/NAME | --workspace WORKSPACE)",
		Short: "Show what verifiers counted for a key, for all keys of a Workspace or of a ServiceAccount, or for each key of a Workspace",
		Long:  "Shows what the operator has written to a status, which follows what verifiers count within about a minute.",
		Example: `  kubectl claviger usage checkout
  kubectl claviger usage workspace/shop
  kubectl claviger usage serviceaccount/warehouse
  kubectl claviger usage --workspace shop`,
		Args: func(_ *cobra.Command, args []string) error {
			if (workspace == "") != (len(args) == 1) {
				return errors.New("name one ApiKey, workspace/NAME or serviceaccount/NAME, or one --workspace")
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
			return p.usageOf(cmd.Context(), c, args[0])
		},
	}
	cmd.Flags().StringVar(&workspace, "workspace", "", "show all keys of a Workspace, the most used first")
	p.completeWorkspaceFlag(cmd)
	return cmd
}

// usageOf shows that of an ApiKey by its name, or of another object by kind/name, as kubectl reads it.
func (p *Plugin) usageOf(ctx context.Context, c *cluster, what string) error {
	kind, name, named := strings.Cut(what, "/")
	if !named {
		kind, name = "apikey", what
	}
	switch strings.ToLower(kind) {
	case "apikey", "apikeys", "ak":
		key, err := c.key(ctx, name)
		if err != nil {
			return err
		}
		return printUsage(p.Out, key, p.Now())
	case "workspace", "workspaces", "kws":
		workspace := &v1alpha1.Workspace{}
		if err := c.named(ctx, workspace, name, "Workspace", "kubectl get workspaces"); err != nil {
			return err
		}
		return printGroupUsage(p.Out, "Workspace", workspace, workspace.Status.Usage, p.Now())
	case "serviceaccount", "serviceaccounts", "ksa":
		account := &v1alpha1.ServiceAccount{}
		if err := c.named(ctx, account, name, "ServiceAccount", "kubectl get ksa"); err != nil {
			return err
		}
		return printGroupUsage(p.Out, "ServiceAccount", account, account.Status.Usage, p.Now())
	}
	return fmt.Errorf("%q has no usage: write NAME of an ApiKey, workspace/NAME or serviceaccount/NAME", kind)
}

// printGroupUsage is of all keys of a Workspace or of a ServiceAccount.
func printGroupUsage(w io.Writer, kind string, object client.Object, u *v1alpha1.GroupUsage, now time.Time) error {
	if u == nil {
		return printNoUsage(w, kind, object)
	}
	t := newLines(w)
	t.counts(&u.Period, &u.Total)
	t.line("Last used", "%s", useAt(u.LastUsedAt, now))
	return t.Flush()
}

func printNoUsage(w io.Writer, kind string, object client.Object) error {
	_, err := fmt.Fprintf(w, "Nothing has been counted for %s %s/%s yet.\n", kind, object.GetNamespace(), object.GetName())
	return err
}

// lines are what is told, each behind its name.
type lines struct{ *tabwriter.Writer }

func newLines(w io.Writer) lines { return lines{tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)} }

func (l lines) line(name, format string, args ...any) {
	fmt.Fprintf(l, name+"\t"+format+"\n", args...) //nolint:errcheck // Flush tells
}

func (l lines) counts(period *v1alpha1.UsagePeriod, total *v1alpha1.UsageCounts) {
	since := ""
	if start := period.Start; start != nil {
		form := time.DateOnly
		if !start.Equal(&metav1.Time{Time: start.UTC().Truncate(24 * time.Hour)}) {
			form = time.RFC3339 // the day begins elsewhere in the workspace's time zone
		}
		since = ", since " + start.UTC().Format(form)
	}
	l.line("This period", "%s%s", countsText(&period.UsageCounts), since)
	l.line("In total", "%s", countsText(total))
}

// countsText leaves out what nobody reported.
func countsText(c *v1alpha1.UsageCounts) string {
	text := fmt.Sprintf("%d allowed, %d denied", c.Requests, c.Denied)
	if c.Succeeded+c.Failed > 0 {
		text += fmt.Sprintf("; %d succeeded, %d failed", c.Succeeded, c.Failed)
	}
	if c.SpendMicrocents != 0 {
		text += fmt.Sprintf("; %d microcents", c.SpendMicrocents)
	}
	return text
}

func printUsage(w io.Writer, key *v1alpha1.ApiKey, now time.Time) error {
	u := key.Status.Usage
	if u == nil {
		return printNoUsage(w, "ApiKey", key)
	}
	t := newLines(w)
	line := t.line
	t.counts(&u.Period, &u.Total)
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

// printWorkspaceUsage has a line for each key, the most used in this period first, and one for all.
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
	if _, err := fmt.Fprintf(w, "%s  %d requests allowed in this period, by %d keys\n\n", chart.Sparkline(values), sum, len(keys)); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range keys {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", keys[i].Name, values[i], lastUse(&keys[i], now), chart.Bar(values[i], values[0], barWidth)) //nolint:errcheck // Flush tells
	}
	return t.Flush()
}
