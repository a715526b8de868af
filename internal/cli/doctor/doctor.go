// Package doctor looks whether all of Claviger in a cluster is as it should be. What the user may not look at is told
// as a right that is missing, and is no fault of Claviger's.
package doctor

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/internal/cli/ask"
	"github.com/claviger-dev/claviger/internal/cli/fault"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "OK"
	Warn Level = "WARN"
	Fail Level = "FAIL"
)

// Finding is one line.
type Finding struct {
	Level Level
	// Subject is what was looked at.
	Subject string
	// Text says how it is and, unless it is OK, what to do.
	Text string
}

// Doctor is what it takes to look.
type Doctor struct {
	Client client.Client
	// Namespace is where the user works, and System where Claviger runs.
	Namespace, System string
	// Verifier answers for the data plane. It is Direct where it is asked at its URL, and not through the API server.
	Verifier ask.Verifier
	Direct   bool
	Now      func() time.Time

	findings []Finding
}

// Examine looks at everything, and goes on where something cannot be looked at.
func (d *Doctor) Examine(ctx context.Context) []Finding {
	d.findings = nil
	for _, look := range []func(context.Context){
		d.definitions, d.webhooks, d.certificate, d.operator, d.endpoints, d.verifier, d.revocations, d.rights,
	} {
		look(ctx)
	}
	return d.findings
}

// Failed says whether something is broken.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

// Print writes a line for each finding.
func Print(w io.Writer, findings []Finding) error {
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&text, "%-4s  %-15s  %s\n", f.Level, f.Subject, f.Text)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func (d *Doctor) ok(subject, format string, args ...any)   { d.add(OK, subject, format, args) }
func (d *Doctor) warn(subject, format string, args ...any) { d.add(Warn, subject, format, args) }
func (d *Doctor) fail(subject, format string, args ...any) { d.add(Fail, subject, format, args) }

func (d *Doctor) add(level Level, subject, format string, args []any) {
	d.findings = append(d.findings, Finding{level, subject, fmt.Sprintf(format, args...)})
}

// unseen tells what an error hides. The right is such as "get leases.coordination.k8s.io in namespace x".
func (d *Doctor) unseen(subject string, err error, right string) {
	if apierrors.IsForbidden(err) {
		d.warn(subject, "not looked at: that takes the right to %s", right)
		return
	}
	d.fail(subject, "cannot be looked at: %v", fault.Told(err))
}

// get reads an object; it is not found, or something else is told, where it returns false.
func (d *Doctor) get(ctx context.Context, subject string, object client.Object, namespace, name, right string, missing func()) bool {
	err := d.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	switch {
	case err == nil:
		return true
	case apierrors.IsNotFound(err):
		missing()
	default:
		d.unseen(subject, err, right)
	}
	return false
}
