package v1alpha1

// LocalReference names an object of a known kind in the same namespace. It may be
// written before the object it names exists: what depends on it waits.
type LocalReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Scope is one permission, written path.of.words:verb (workspace.collection:create) or as a
// bare word (read). In a path * stands for one segment and ** for all that remain; as
// a verb * stands for any.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^(\*|\*\*|[A-Za-z0-9_-]+)(\.(\*|\*\*|[A-Za-z0-9_-]+))*(:(\*|[A-Za-z0-9_-]+))?$`
type Scope string
