package manifests

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/token"
)

// The data keys of Secrets that are written by hand, besides those of package v1alpha1.
const (
	dataSHA256   = "sha256"
	dataIssuedAt = "issued-at"
)

// material is what a Secret says of a key: its hash, never the key.
type material struct {
	from       *object
	hash       token.Hash
	hint       string // empty: not told
	generation int
	issuedAt   time.Time  // zero: not told
	notAfter   *time.Time // nil: not told
	uid        types.UID  // of the ApiKey it was made for; empty: not told
	brought    bool       // by the ApiKey itself, as its source
	foreign    bool       // it may be of another format than Claviger's
}

// secret takes a Secret in. Which of them hold keys shows only when all ApiKeys are known; those
// that hold none are never looked into.
func (l *loader) secret(o *object) {
	errs := o.readMetadata()
	if o.content["type"] != v1alpha1.SecretTypeHash {
		if o.meta.Name == "" {
			l.ignored["v1 Secret"]++
			return
		}
		o.faults = errs
		if other := l.secrets[o.name()]; other != nil {
			l.mistakes.add(o.mistake(field.Duplicate(field.NewPath("metadata", "name"), "Secret "+o.name().String()+", which "+other.place()+" declares")))
			return
		}
		l.secrets[o.name()] = o
		return
	}
	var m *material
	var apiKey types.NamespacedName
	if len(errs) == 0 {
		m, apiKey, errs = o.hashed()
	}
	if len(errs) > 0 {
		l.mistakes.add(o.mistakes(errs)...)
		return
	}
	l.material[apiKey] = append(l.material[apiKey], m)
}

// delivered reads a Secret as the operator delivers it. The key is hashed here, and no other form
// of it is kept.
func (o *object) delivered() (*material, field.ErrorList) {
	secret, errs := o.decodeSecret()
	if errs = append(o.faults, errs...); len(errs) > 0 {
		return nil, errs
	}
	path := o.dataPath(v1alpha1.DataKeyApiKey)
	text, ok := secret.Data[v1alpha1.DataKeyApiKey]
	if !ok {
		return nil, field.ErrorList{field.Required(path, "this Secret has the name of one that a key is delivered to: put the key here, or name the Secret otherwise")}
	}
	key, err := token.Parse(string(text))
	if err != nil {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error()+", with nothing around it, no line break either")}
	}
	m := &material{from: o, hash: key.Hash(), hint: key.Hint(), uid: types.UID(secret.Labels[v1alpha1.LabelApiKeyUID])}
	return m, append(o.readGeneration(m), o.readIssuedAt(m, secret)...)
}

// hashed reads a Secret with a hash alone: as the operator writes it, or as a person would.
func (o *object) hashed() (*material, types.NamespacedName, field.ErrorList) {
	secret, errs := o.decodeSecret()
	if len(errs) > 0 {
		return nil, types.NamespacedName{}, errs
	}
	if secret.Labels[v1alpha1.LabelSecret] == v1alpha1.SecretHashed {
		c, err := credential.FromSecret(secret)
		if err != nil {
			return nil, types.NamespacedName{}, field.ErrorList{field.Forbidden(field.NewPath("metadata"),
				"labelled as Claviger's own writing, and it is not: "+err.Error())}
		}
		return &material{
			from: o, hash: c.Hash, hint: c.Hint, generation: c.Generation,
			issuedAt: c.IssuedAt, notAfter: c.NotAfter, uid: c.ApiKeyUID, foreign: c.Foreign,
		}, c.ApiKey, nil
	}
	path := o.dataPath(dataSHA256)
	text, ok := secret.Data[dataSHA256]
	if !ok {
		return nil, types.NamespacedName{}, field.ErrorList{field.Required(path, "write the SHA-256 of the key here, as 64 hexadecimal digits")}
	}
	m := &material{from: o}
	if n, err := hex.Decode(m.hash[:], text[:min(len(text), 2*token.HashSize)]); err != nil || n != token.HashSize || len(text) != 2*n {
		return nil, types.NamespacedName{}, field.ErrorList{field.Invalid(path, field.OmitValueType{},
			"must be 64 hexadecimal digits, as sha256sum prints them of the key without a line break")}
	}
	errs = append(o.readGeneration(m), o.readIssuedAt(m, secret)...)
	return m, o.apiKeyOf(), errs
}

// apiKeyOf is the ApiKey that a hash written by hand is for.
func (o *object) apiKeyOf() types.NamespacedName {
	name := o.name()
	if text := o.meta.Annotations[v1alpha1.AnnotationApiKey]; text != "" {
		name.Name = text
		if namespace, rest, ok := strings.Cut(text, "/"); ok {
			name = types.NamespacedName{Namespace: namespace, Name: rest}
		}
	}
	return name
}

func (o *object) readGeneration(m *material) field.ErrorList {
	m.generation = 1
	text, ok := o.meta.Annotations[v1alpha1.AnnotationGeneration]
	if !ok {
		return nil
	}
	var err error
	if m.generation, err = credential.Generation(o.meta.Annotations); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("metadata", "annotations").Key(v1alpha1.AnnotationGeneration), text, "must be a number from 1")}
	}
	return nil
}

// readIssuedAt takes what is written for it, or when the Secret was created in the cluster that
// it comes from, which is what the operator goes by.
func (o *object) readIssuedAt(m *material, secret *corev1.Secret) field.ErrorList {
	m.issuedAt = o.meta.CreationTimestamp.UTC()
	text, ok := secret.Data[dataIssuedAt]
	if !ok {
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil || at.Year() < 1970 || at.Year() > 9998 {
		return field.ErrorList{field.Invalid(o.dataPath(dataIssuedAt), field.OmitValueType{}, "must be a time from 1970 to 9998, for example 2027-01-31T12:00:00Z")}
	}
	m.issuedAt = at.UTC().Truncate(time.Second)
	return nil
}

// decodeSecret does with data and stringData what the API server does. Its errors never show a
// value.
func (o *object) decodeSecret() (*corev1.Secret, field.ErrorList) {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(o.content)) {
		switch name {
		case "apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable":
		default:
			errs = append(errs, field.Forbidden(field.NewPath(name), "a Secret has no such field: look for a misspelling or a wrong indentation"))
		}
	}
	secret := &corev1.Secret{ObjectMeta: o.meta, Data: map[string][]byte{}}
	if o.content["type"] == v1alpha1.SecretTypeHash {
		secret.Type = v1alpha1.SecretTypeHash
	}
	for _, name := range []string{"data", "stringData"} {
		path := field.NewPath(name)
		values, ok := o.content[name].(map[string]any)
		if o.content[name] != nil && !ok {
			errs = append(errs, field.Invalid(path, field.OmitValueType{}, "must have names and values"))
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			text, ok := values[key].(string)
			if !ok {
				errs = append(errs, field.Invalid(path.Key(key), field.OmitValueType{}, "must be a text: put it in quotes"))
				continue
			}
			value := []byte(text)
			if name == "data" {
				var err error
				if value, err = base64.StdEncoding.DecodeString(text); err != nil {
					errs = append(errs, field.Invalid(path.Key(key), field.OmitValueType{}, "must be base64; plain text goes under stringData"))
				}
			}
			secret.Data[key] = value
		}
	}
	return secret, errs
}

// dataPath is where a data key stands, or would be written.
func (o *object) dataPath(key string) *field.Path {
	if data, ok := o.content["data"].(map[string]any); ok {
		if strings, _ := o.content["stringData"].(map[string]any); strings[key] == nil && data[key] != nil {
			return field.NewPath("data").Key(key)
		}
	}
	return field.NewPath("stringData").Key(key)
}

// ownedBy says whether a Secret that tells the UID of its ApiKey means this one. That of an ApiKey
// which states none is not known.
func (m *material) ownedBy(key *v1alpha1.ApiKey) error {
	if m.uid == "" || m.uid == key.UID || key.UID == derivedUID("ApiKey", types.NamespacedName{Namespace: key.Namespace, Name: key.Name}) {
		return nil
	}
	return fmt.Errorf("belongs to another ApiKey of that name, whose UID is %s: remove it, or take the ApiKey from where the Secret was taken", m.uid)
}
