// Command claviger is all of Claviger in one program: the operator, which makes keys, and
// the verifier, which says whether a request that bears one may pass.
//
// The operator's manager elects a leader and protects its metrics:
//
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=claviger-system,resources=leases,verbs=get;create;update
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
)

func main() {
	root := &cobra.Command{
		Use:           "claviger",
		Short:         "API keys as Kubernetes resources",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(operatorCommand(), verifierCommand(), keyCommand(), versionCommand())
	// A second signal ends the process at once.
	if err := root.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "claviger:", err)
		os.Exit(1)
	}
}

// commonFlags are those of every process in a cluster. The level is set once flags are parsed.
func commonFlags(cmd *cobra.Command, namespace, logLevel *string) {
	cmd.Args = cobra.NoArgs
	cmd.Flags().StringVar(namespace, "namespace", "claviger-system", "the operator's namespace, where the hashes of keys are kept")
	cmd.Flags().StringVar(logLevel, "log-level", "info", "what to log: error, info, debug, or a number from 1 on for more and more detail")
	// controller-runtime registers it among Go's flags and reads it from there.
	cmd.Flags().AddGoFlag(flag.Lookup(config.KubeconfigFlagName))
}

// clusterConfig is how to reach the API server. Client-side throttling is off: API Priority
// and Fairness is there for that.
func clusterConfig() (*rest.Config, error) {
	config, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which Kubernetes cluster to use: run in a pod, or give --kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}
