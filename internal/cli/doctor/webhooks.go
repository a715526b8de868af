package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// called is what a validating and a mutating webhook have in common.
type called struct {
	name   string
	config admissionregistrationv1.WebhookClientConfig
}

// webhooks looks whether the API server asks the operator, and can.
func (d *Doctor) webhooks(ctx context.Context) {
	validating := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	if err := d.Client.List(ctx, validating); err != nil {
		d.unseen("webhooks", err, "list validatingwebhookconfigurations.admissionregistration.k8s.io")
	} else {
		var all []called
		for _, c := range validating.Items {
			for _, w := range c.Webhooks {
				if ours(w.Rules) {
					all = append(all, called{w.Name, w.ClientConfig})
				}
			}
		}
		d.webhook(ctx, "validating", all, Fail, "nobody checks what is applied against the Workspace: apply config/webhook")
	}
	mutating := &admissionregistrationv1.MutatingWebhookConfigurationList{}
	if err := d.Client.List(ctx, mutating); err != nil {
		d.unseen("webhooks", err, "list mutatingwebhookconfigurations.admissionregistration.k8s.io")
		return
	}
	var all []called
	for _, c := range mutating.Items {
		for _, w := range c.Webhooks {
			if ours(w.Rules) {
				all = append(all, called{w.Name, w.ClientConfig})
			}
		}
	}
	d.webhook(ctx, "mutating", all, Warn, "nobody records who creates a key: apply config/webhook")
}

func ours(rules []admissionregistrationv1.RuleWithOperations) bool {
	return slices.ContainsFunc(rules, func(r admissionregistrationv1.RuleWithOperations) bool {
		return slices.Contains(r.APIGroups, v1alpha1.GroupVersion.Group)
	})
}

func (d *Doctor) webhook(ctx context.Context, kind string, all []called, absent Level, advice string) {
	subject := kind + " hook"
	if len(all) == 0 {
		d.add(absent, subject, "is not configured, so that "+advice, nil)
		return
	}
	for _, w := range all {
		switch bundle := w.config.CABundle; {
		case len(bundle) == 0:
			d.fail(subject, "%s has no caBundle, so that the API server trusts nobody there: the operator fills it in as it starts; look at its log", w.name)
			return
		case !trusts(bundle, d.Now()):
			d.fail(subject, "the caBundle of %s holds no certificate that is valid now: restart the operator, which makes another one", w.name)
			return
		case w.config.Service != nil:
			if !d.answers(ctx, subject, w.config.Service.Namespace, w.config.Service.Name) {
				return
			}
		}
	}
	d.ok(subject, "%d configured: a certificate is trusted, and they lead to somebody", len(all))
}

// trusts says whether one of the certificates is valid.
func trusts(bundle []byte, now time.Time) bool {
	for _, certificate := range certificates(bundle) {
		if now.Before(certificate.NotAfter) {
			return true
		}
	}
	return false
}

func certificates(text []byte) (all []*x509.Certificate) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return all
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, certificate)
		}
	}
}

// answers looks whether there is somebody behind a Service, and tells if not.
func (d *Doctor) answers(ctx context.Context, subject, namespace, name string) bool {
	slices := &discoveryv1.EndpointSliceList{}
	err := d.Client.List(ctx, slices, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: name})
	if err != nil {
		d.unseen(subject, err, "list endpointslices.discovery.k8s.io in namespace "+namespace)
		return false
	}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				return true
			}
		}
	}
	d.fail(subject, "there is nobody ready behind Service %s in namespace %s: kubectl get pods -n %s shows what became of them", name, namespace, namespace)
	return false
}

// The Secret of the operator's certificates, and how near its end one may be. The operator renews it 90 days
// before, so that somebody is in its way when there are 30.
const (
	certSecret = "claviger-certs"
	certNear   = 30 * 24 * time.Hour
)

func (d *Doctor) certificate(ctx context.Context) {
	const subject = "certificate"
	secret := &corev1.Secret{}
	if !d.get(ctx, subject, secret, d.System, certSecret, "get secrets in namespace "+d.System, func() {
		d.fail(subject, "Secret %s is not in namespace %s: is Claviger installed there (--system-namespace), and does the operator run?", certSecret, d.System)
	}) {
		return
	}
	all := certificates(secret.Data[corev1.TLSCertKey])
	if len(all) == 0 {
		d.fail(subject, "Secret %s holds no certificate yet: the operator makes one as it starts; look at its log", certSecret)
		return
	}
	end := all[0].NotAfter
	left := end.Sub(d.Now())
	text := end.UTC().Format(time.DateOnly)
	switch {
	case left <= 0:
		d.fail(subject, "it ended on %s, so that the webhook answers nobody: look at the operator's log, which should have renewed it", text)
	case left < certNear:
		d.warn(subject, "it ends on %s, and should have been renewed by now: look at the operator's log", text)
	default:
		d.ok(subject, "it is valid until %s", text)
	}
}
