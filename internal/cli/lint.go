package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claviger-dev/claviger/internal/manifests"
)

func (p *Plugin) lintCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "lint (DIRECTORY | FILE | -)...",
		Short: "Check manifests as the cluster would, without one",
		Long: "Checks manifests by the schema of Claviger's kinds and the very rules of its webhook, all of them together, as if they were applied at once.\n" +
			"It needs no cluster. What is not Claviger's is passed over. The exit code is 1 where there is a mistake.",
		Example: `  kubectl claviger lint keys/
  kubectl kustomize overlays/production | kubectl claviger lint -
  kubectl claviger lint -o github keys/`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return p.lint(args, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json, or github for annotations of GitHub Actions; by default path:line: what is wrong")
	return cmd
}

func (p *Plugin) lint(paths []string, output string) error {
	write, ok := lintFormats[output]
	if !ok {
		return fmt.Errorf("-o is json or github, or left out, not %q", output)
	}
	found, err := manifests.Lint(paths, p.In, *p.flags.Namespace, p.Now())
	if err != nil {
		return err
	}
	if err := write(p, found); err != nil {
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(found.Skipped)) {
		p.say("Passed over %d of %s: not Claviger's.", found.Skipped[kind], otherwise(kind, "no kind"))
	}
	if len(found.Mistakes) > 0 {
		p.say("%s in %s.", many(len(found.Mistakes), "mistake"), many(found.Objects, "object"))
		return &exit{code: ExitNo}
	}
	if found.Objects == 0 {
		p.say("There is nothing of keys.claviger.dev here: is it the right directory?")
		return nil
	}
	p.say("No mistakes in %s.", many(found.Objects, "object"))
	return nil
}

func many(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

var lintFormats = map[string]func(*Plugin, manifests.Findings) error{
	"": func(p *Plugin, found manifests.Findings) error {
		for _, m := range found.Mistakes {
			if _, err := fmt.Fprintln(p.Out, m); err != nil {
				return err
			}
		}
		for _, m := range found.Warnings {
			m.Text = "warning: " + m.Text
			if _, err := fmt.Fprintln(p.Out, m); err != nil {
				return err
			}
		}
		return nil
	},
	"github": func(p *Plugin, found manifests.Findings) error {
		for _, m := range found.Mistakes {
			if err := annotate(p, "error", m); err != nil {
				return err
			}
		}
		for _, m := range found.Warnings {
			if err := annotate(p, "warning", m); err != nil {
				return err
			}
		}
		return nil
	},
	"json": func(p *Plugin, found manifests.Findings) error {
		type line struct {
			File     string `json:"file"`
			Line     int    `json:"line,omitempty"`
			Severity string `json:"severity"`
			Text     string `json:"text"`
		}
		lines := []line{}
		for _, m := range found.Mistakes {
			lines = append(lines, line{m.File, m.Line, "error", m.Text})
		}
		for _, m := range found.Warnings {
			lines = append(lines, line{m.File, m.Line, "warning", m.Text})
		}
		encoder := json.NewEncoder(p.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"objects": found.Objects, "findings": lines})
	},
}

// What may not stand as it is in a workflow command of GitHub Actions, and more of it in a property.
var (
	githubText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func annotate(p *Plugin, severity string, m manifests.Mistake) error {
	_, err := fmt.Fprintf(p.Out, "::%s file=%s,line=%d::%s\n", severity, githubProperty.Replace(m.File), max(1, m.Line), githubText.Replace(m.Text))
	return err
}
