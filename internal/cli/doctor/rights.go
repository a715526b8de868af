package doctor

import (
	"context"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/cli/ask"
)

// right is one that commands of the plugin need.
type right struct {
	verb, group, resource, subresource, name string
	system                                   bool // in Claviger's namespace
	commands                                 string
}

var needed = []right{
	{verb: "list", group: v1alpha1.GroupVersion.Group, resource: "apikeys", commands: "list, usage --workspace"},
	{verb: "get", group: v1alpha1.GroupVersion.Group, resource: "apikeys", commands: "explain, usage, rotate, regenerate"},
	{verb: "watch", group: v1alpha1.GroupVersion.Group, resource: "apikeys", commands: "create, rotate and revoke, which then look again each second"},
	{verb: "create", group: v1alpha1.GroupVersion.Group, resource: "apikeys", commands: "create"},
	{verb: "patch", group: v1alpha1.GroupVersion.Group, resource: "apikeys", commands: "rotate, regenerate, revoke"},
	{verb: "patch", group: v1alpha1.GroupVersion.Group, resource: "serviceaccounts", commands: "renew"},
	{verb: "create", resource: "services", subresource: "proxy", name: "http:" + ask.Service + ":http", system: true,
		commands: "verify and report-leak, unless --verifier-url is given"},
}

// rights asks what the user may. That somebody may not do everything is as it should be, so it is only told.
func (d *Doctor) rights(ctx context.Context) {
	const subject = "your rights"
	var missing int
	for _, r := range needed {
		namespace := d.Namespace
		if r.system {
			namespace = d.System
		}
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource, Name: r.name,
			},
		}}
		if err := d.Client.Create(ctx, review); err != nil {
			d.unseen(subject, err, "create selfsubjectaccessreviews.authorization.k8s.io")
			return
		}
		if !review.Status.Allowed {
			missing++
			d.warn(subject, "you may not %s %s in namespace %s, which takes from you: %s", r.verb, r.what(), namespace, r.commands)
		}
	}
	if missing == 0 {
		d.ok(subject, "you may do all that this plugin does, in namespace %s", d.Namespace)
	}
}

func (r right) what() string {
	parts := []string{r.resource}
	if r.group != "" {
		parts = append(parts, r.group)
	}
	text := strings.Join(parts, ".")
	if r.subresource != "" {
		text += "/" + r.subresource
	}
	if r.name != "" {
		text += " (" + r.name + ")"
	}
	return text
}
