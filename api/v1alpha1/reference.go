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

// Resource names what a request is about, say one property or one project: property/4711.
// Claviger reads nothing into it; it means what the service behind means by it. A * at the end
// stands for any rest (property/*), and * alone is any resource.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:XValidation:rule="self.matches('^[!-)+-~]*[*]?$')",message="must be visible ASCII characters without spaces, with a * nowhere but at the end: property/4711 or property/*"
type Resource string

// Grant says what may be done to one resource, or to those that begin alike. Of several
// that match, the longest one counts.
type Grant struct {
	// Resource is the name that a request must give, or the beginning of it and a *.
	Resource Resource `json:"resource"`

	// Scopes are what may be done to it, in place of those that hold for everything else.
	// Where it is empty, nothing.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Scopes []Scope `json:"scopes,omitempty"`
}

// Entity is to whom the usage of a key is attributed. It permits and forbids nothing.
type Entity struct {
	// Kind is what sort of entity it is, a word like a Kubernetes kind. Agent, Member,
	// Department, User, Customer and Project are well known; another may be chosen.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*$`
	Kind string `json:"kind"`

	// ID tells the entity from others of its kind, in visible ASCII characters without spaces.
	ID EntityID `json:"id"`

	// Department is the ID of the department that the entity belongs to, for adding up
	// usage by department.
	// +optional
	Department EntityID `json:"department,omitempty"`
}

// EntityID identifies an entity among those of its kind. It is sent in headers.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:Pattern=`^[!-~]+$`
type EntityID string
