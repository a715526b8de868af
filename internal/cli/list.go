package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

type listOptions struct {
	all, noHeaders      bool
	selector, workspace string
	print               *genericclioptions.PrintFlags
}

func (p *Plugin) listCommand() *cobra.Command {
	o := listOptions{print: genericclioptions.NewPrintFlags("").WithTypeSetter(scheme)}
	cmd := &cobra.Command{
		Use:               "list",
		Aliases:           []string{"ls"},
		Short:             "List keys: their state, what they may do, when they end, when they were used. Never the keys themselves",
		Example:           "  kubectl claviger list -A\n  kubectl claviger list --workspace shop -o wide",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.list(cmd.Context(), &o)
		},
	}
	flags := cmd.Flags()
	o.print.AddFlags(cmd)
	flags.Lookup("output").Usage = strings.Replace(flags.Lookup("output").Usage, "(", "(wide, ", 1)
	flags.BoolVarP(&o.all, "all-namespaces", "A", false, "list those of all namespaces")
	flags.StringVarP(&o.selector, "selector", "l", "", "list those with labels, such as team=payments")
	flags.StringVar(&o.workspace, "workspace", "", "list those of one Workspace")
	flags.BoolVar(&o.noHeaders, "no-headers", false, "leave out the names of the columns")
	p.completeWorkspaceFlag(cmd)
	return cmd
}

func (p *Plugin) list(ctx context.Context, o *listOptions) error {
	selector, err := labels.Parse(o.selector)
	if err != nil {
		return fmt.Errorf("-l is a selector such as team=payments,tier!=gold: %w", err)
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	namespace := c.namespace
	if o.all {
		namespace = ""
	}
	keys, err := c.apiKeys(ctx, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return err
	}
	keys = ofWorkspace(keys, o.workspace)
	format := *o.print.OutputFormat
	if format != "" && format != "wide" || o.print.TemplatePrinterFlags.TemplateArgument != nil && *o.print.TemplatePrinterFlags.TemplateArgument != "" {
		return p.printList(o.print, keys)
	}
	if len(keys) == 0 {
		if o.all {
			p.say("There are no ApiKeys to list.")
		} else {
			p.say("There are no ApiKeys to list in namespace %s: -A lists those of all namespaces.", namespace)
		}
		return nil
	}
	table := keyTable(keys, p.Now(), format == "wide")
	printer := printers.NewTablePrinter(printers.PrintOptions{Wide: format == "wide", WithNamespace: o.all, NoHeaders: o.noHeaders})
	return printer.PrintObj(table, p.Out)
}

func ofWorkspace(keys []v1alpha1.ApiKey, workspace string) []v1alpha1.ApiKey {
	if workspace == "" {
		return keys
	}
	var some []v1alpha1.ApiKey
	for _, key := range keys {
		if key.Spec.WorkspaceRef.Name == workspace {
			some = append(some, key)
		}
	}
	return some
}

// printList prints them as kubectl get does: all in one List.
func (p *Plugin) printList(print *genericclioptions.PrintFlags, keys []v1alpha1.ApiKey) error {
	printer, err := print.ToPrinter()
	if err != nil {
		return err
	}
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}}}
	for i := range keys {
		keys[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ApiKey"))
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&keys[i])
		if err != nil {
			return err
		}
		list.Items = append(list.Items, unstructured.Unstructured{Object: content})
	}
	return printer.PrintObj(list, p.Out)
}
