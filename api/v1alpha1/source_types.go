package v1alpha1

// Source is where a key that exists already is brought along from.
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.sha256)",message="set secretRef or sha256, one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.hint) || has(self.sha256)",message="hint goes with sha256: of a key in a Secret it is known",fieldPath=".hint"
type Source struct {
	// SecretRef names a Secret in the ApiKey's namespace that holds the key in plain text. It is read, and looked
	// at again every minute, and never changed.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// SHA256 is the SHA-256 of the key, in small hexadecimal digits. The key itself is never seen. Use
	// it only for keys that cannot be guessed: whoever reads the hash can try.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +optional
	SHA256 string `json:"sha256,omitempty"`

	// Hint is enough to recognise the key by: of a key of Claviger's format the beginning and the last
	// four characters, such as ak_live_…x7Qz. A key without one counts as legacy.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]{0,15}_(live|test)_…[0-9A-Za-z]{4}$`
	// +optional
	Hint string `json:"hint,omitempty"`
}

// SecretKeyReference names one data key of a Secret in the same namespace.
type SecretKeyReference struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the data key within it.
	// +kubebuilder:default=api-key
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +optional
	Key string `json:"key,omitempty"`
}
