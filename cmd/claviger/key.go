package main

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

func keyCommand() *cobra.Command {
	var namespace, prefix, environment string
	var source bool
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Make a key by hand for the ApiKey NAME, for claviger verifier --manifests",
		Long: "Makes a key, prints it to standard error, this once, and to standard output a Secret with its hash alone,\n" +
			"to put beside the ApiKey: claviger key checkout > keys/checkout-hash.yaml\n\n" +
			"With --source it prints the hash as the ApiKey's own spec.source instead, which a cluster takes, too.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := token.New(prefix, environment)
			if err != nil {
				return err
			}
			var text []byte
			if source {
				text, err = sourceOf(key)
			} else {
				text, err = hashManifest(namespace, args[0], key, time.Now())
			}
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), key.Reveal())
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&namespace, "namespace", metav1.NamespaceDefault, "the ApiKey's namespace")
	flags.StringVar(&prefix, "prefix", "ak", "what the key begins with, as the ApiKey or its Workspace states")
	flags.StringVar(&environment, "environment", string(v1alpha1.EnvironmentLive), "live or test, as the ApiKey states")
	flags.BoolVar(&source, "source", false, "print the hash for the ApiKey's spec instead of a Secret")
	return cmd
}

// sourceOf is what to put into the spec of an ApiKey that brings a key along by its hash.
func sourceOf(key token.Token) ([]byte, error) {
	hash := key.Hash()
	return yaml.Marshal(map[string]any{"source": v1alpha1.Source{SHA256: hex.EncodeToString(hash[:]), Hint: key.Hint()}})
}

// hashManifest is a Secret with the hash of a key, for the ApiKey of the same name.
func hashManifest(namespace, name string, key token.Token, issuedAt time.Time) ([]byte, error) {
	hash := key.Hash()
	return yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"type":       v1alpha1.SecretTypeHash,
		"metadata": map[string]any{
			"namespace": namespace, "name": name + "-hash",
			"annotations": map[string]string{v1alpha1.AnnotationApiKey: namespace + "/" + name},
		},
		"stringData": map[string]string{
			"sha256":    hex.EncodeToString(hash[:]),
			"issued-at": issuedAt.UTC().Format(time.RFC3339),
		},
	})
}
