package manifests

import (
	"cmp"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/token"
)

var sourcePath = specPath.Child("source")

// takeUpSource takes up the key that an ApiKey brings along. What counts from when a key was issued counts
// from when the ApiKey was created, where that is told.
func (l *loader) takeUpSource(name types.NamespacedName, key *v1alpha1.ApiKey) {
	m := &material{from: &object{origin: *l.origins["ApiKey "+name.String()]}, generation: 1, brought: true, foreign: true}
	if !key.CreationTimestamp.IsZero() {
		m.issuedAt = key.CreationTimestamp.UTC()
	}
	if ref := key.Spec.Source.SecretRef; ref != nil {
		if err := l.readSource(m, name.Namespace, ref); err != nil {
			l.mistakes.add(m.from.mistake(err))
			return
		}
	} else if n, err := hex.Decode(m.hash[:], []byte(key.Spec.Source.SHA256)); err != nil || n != token.HashSize {
		return // which the rules tell
	}
	if m.hint == "" {
		m.hint = key.Spec.Source.Hint
	}
	l.material[name] = append(l.material[name], m)
}

// readSource reads a key out of a Secret in the directory. It is hashed here, and no other form of it is kept.
func (l *loader) readSource(m *material, namespace string, ref *v1alpha1.SecretKeyReference) *field.Error {
	path := sourcePath.Child("secretRef")
	from := l.secrets[types.NamespacedName{Namespace: namespace, Name: ref.Name}]
	if from == nil {
		return field.NotFound(path.Child("name"), ref.Name)
	}
	secret, errs := from.decodeSecret()
	if errs = append(from.faults, errs...); len(errs) > 0 {
		return errs[0]
	}
	dataKey := cmp.Or(ref.Key, v1alpha1.DataKeyApiKey)
	text := string(secret.Data[dataKey])
	switch {
	case text == "":
		return field.Required(path.Child("key"), fmt.Sprintf("Secret %s holds nothing under %s: put the key there", from.name(), dataKey))
	case !token.MayBeForeign(text):
		return field.Invalid(path.Child("key"), dataKey, fmt.Sprintf(
			"what Secret %s holds there cannot be a key: it must be at most %d visible ASCII characters, without a line break", from.name(), token.MaxForeignLength))
	case token.Guessable(text):
		return field.Invalid(path.Child("key"), dataKey, fmt.Sprintf(
			"the key that Secret %s holds there could be guessed: have another one made, of at least 20 random letters and digits", from.name()))
	}
	m.hash = token.HashOf(text)
	if parsed, err := token.Parse(text); err == nil {
		m.hint, m.foreign = parsed.Hint(), false
	}
	return nil
}

// warnOfOperator tells of what only an operator does.
func (l *loader) warnOfOperator(name types.NamespacedName, key *v1alpha1.ApiKey) {
	from := l.origins["ApiKey "+name.String()]
	if key.Spec.Delivery.Type == v1alpha1.DeliverySealed {
		l.warn(from, "spec.delivery.type: nobody makes and seals a key here, as in a cluster the operator does: make one with `claviger key`")
	}
	if key.Spec.Rotation != nil && key.Spec.Rotation.Every != nil {
		l.warn(from, "spec.rotation.every: nobody replaces keys here, as in a cluster the operator does: this one works until it is replaced by hand or ends")
	}
}
