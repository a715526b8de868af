package population

import "github.com/claviger-dev/claviger/internal/keyindex"

// Fill puts the population into an index, as a feed would.
func (p *Population) Fill(x *keyindex.Index) error {
	for number := range p.Tenants() {
		x.SetWorkspace(Workspace(number))
		x.SetServiceAccount(ServiceAccount(number))
		x.SetKeyLimit(KeyLimit(number))
	}
	for number := range p.Keys.Count() {
		if err := x.SetApiKey(ApiKey(number)); err != nil {
			return err
		}
		if err := x.SetCredential(p.Credential(number)); err != nil {
			return err
		}
	}
	return nil
}
