package population

import (
	"strconv"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
)

// Fill puts the population into an index, as a feed would.
func (p *Population) Fill(x *keyindex.Index) error { return p.fill(x, ApiKey) }

// FillUnlike puts it in so that no two keys are alike: each has metadata of its own.
func (p *Population) FillUnlike(x *keyindex.Index) error {
	return p.fill(x, func(number int) *v1alpha1.ApiKey {
		k := ApiKey(number)
		k.Spec.Metadata = map[string]v1alpha1.MetadataValue{"customer": v1alpha1.MetadataValue(strconv.Itoa(number))}
		return k
	})
}

func (p *Population) fill(x *keyindex.Index, apiKey func(int) *v1alpha1.ApiKey) error {
	for number := range p.Tenants() {
		x.SetWorkspace(Workspace(number))
		x.SetServiceAccount(ServiceAccount(number))
		x.SetKeyLimit(KeyLimit(number))
	}
	for number := range p.Keys.Count() {
		if err := x.SetApiKey(apiKey(number)); err != nil {
			return err
		}
		if err := x.SetCredential(p.Credential(number)); err != nil {
			return err
		}
	}
	return nil
}
