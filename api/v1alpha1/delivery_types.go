package v1alpha1

// DeletionPolicy decides what becomes of the delivered Secret when its ApiKey is deleted.
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

const (
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain leaves the Secret. The key in it no longer works: deleting an ApiKey
	// always revokes.
	DeletionRetain DeletionPolicy = "Retain"
)

// OnLoss decides what to do when somebody deleted the delivered Secret.
// +kubebuilder:validation:Enum=Rotate;Fail
type OnLoss string

const (
	// OnLossRotate issues a new key, and the lost one stops working.
	OnLossRotate OnLoss = "Rotate"
	// OnLossFail reports the loss and leaves the lost key working for whoever has it.
	OnLossFail OnLoss = "Fail"
)

// DeliveryType is a way for a key to reach those who use it.
// +kubebuilder:validation:Enum=Secret;Sealed
type DeliveryType string

const (
	// DeliverySecret puts the key into a Secret in the ApiKey's namespace.
	DeliverySecret DeliveryType = "Secret"
	// DeliverySealed encrypts the key to recipients and shows that in the status; its plain text
	// is written nowhere.
	DeliverySealed DeliveryType = "Sealed"
)

// ExistingSecret decides about a Secret that has the delivery's name already.
// +kubebuilder:validation:Enum=Refuse;Adopt
type ExistingSecret string

const (
	// ExistingRefuse never touches it.
	ExistingRefuse ExistingSecret = "Refuse"
	// ExistingAdopt takes it over, and the key in it stays what it is.
	ExistingAdopt ExistingSecret = "Adopt"
)

// Recipient is a public key of age (https://age-encryption.org), beginning with age1. What is
// sealed to it is read with its identity, AGE-SECRET-KEY-1...
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=4096
// +kubebuilder:validation:Pattern=`^age1[0-9a-z]+$`
type Recipient string

// Delivery says how a key reaches those who use it: in a Secret in the ApiKey's namespace,
// under the data keys api-key and key-id, or sealed to age recipients in the status.
// +kubebuilder:validation:XValidation:rule="(has(self.type) ? self.type : 'Secret') == (has(oldSelf.type) ? oldSelf.type : 'Secret')",message="type cannot be changed: create another ApiKey",fieldPath=".type"
// +kubebuilder:validation:XValidation:rule="(has(self.type) && self.type == 'Sealed') == (has(self.recipients) && size(self.recipients) > 0)",message="type Sealed, and it alone, needs recipients",fieldPath=".recipients"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'Sealed' || !has(self.secretName) && !has(self.labels) && !has(self.annotations) && !(has(self.existing) && self.existing == 'Adopt')",message="a sealed key is in no Secret: remove secretName, labels, annotations and existing"
// +kubebuilder:validation:XValidation:rule="has(self.secretName) == has(oldSelf.secretName) && (!has(self.secretName) || self.secretName == oldSelf.secretName)",message="secretName cannot be changed: those who use the key know it by this name; create another ApiKey",fieldPath=".secretName"
type Delivery struct {
	// Type is Secret (the key is put into a Secret) or Sealed (the key is encrypted to the recipients
	// and shown in status.sealed; its plain text is written nowhere). It cannot be changed.
	// +kubebuilder:default=Secret
	// +optional
	Type DeliveryType `json:"type,omitempty"`

	// Recipients are the age public keys that a sealed key is encrypted to, each of which can read it. The
	// next key is sealed to them as they are then; changing them does not seal again.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Recipients []Recipient `json:"recipients,omitempty"`

	// SecretName is the name of the Secret, by default the ApiKey's. It cannot be changed. A Secret of
	// that name which is not this ApiKey's own is not touched, unless existing is Adopt.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	SecretName string `json:"secretName,omitempty"`

	// Labels to put on the Secret besides Claviger's own.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keys.claviger.dev/'))",message="labels under keys.claviger.dev/ are Claviger's own"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// Annotations to put on the Secret besides Claviger's own.
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('keys.claviger.dev/'))",message="annotations under keys.claviger.dev/ are Claviger's own"
	// +optional
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// DeletionPolicy is Delete (the Secret goes with the ApiKey) or Retain (it stays, with
	// a key that no longer works).
	// +kubebuilder:default=Delete
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// Existing is Refuse (a Secret of that name which is not this ApiKey's own is never touched) or
	// Adopt (if it holds a key that begins as this ApiKey's do, the Secret and the key become this ApiKey's:
	// for keys that come back from a backup or from another cluster).
	// +kubebuilder:default=Refuse
	// +optional
	Existing ExistingSecret `json:"existing,omitempty"`

	// OnLoss is Rotate (a deleted Secret is replaced by one with a new key, and the old key
	// stops working) or Fail (the loss is only reported).
	// +kubebuilder:default=Rotate
	// +optional
	OnLoss OnLoss `json:"onLoss,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string
