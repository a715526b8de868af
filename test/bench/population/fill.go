package population

import (
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/keyindex"
)

// Fill puts the population into an index, as a feed would.
func (p *Population) Fill(x *keyindex.Index) error {
	for number := range p.Tenants() {
		x.SetWorkspace(Workspace(number))
		x.SetServiceAccount(ServiceAccount(number))
		x.SetKeyLimit(KeyLimit(number))
	}
	for number := range p.Keys.Count() {
		k := ApiKey(number)
		x.SetApiKey(k)
		x.SetCredential(credential.Name(k.UID, 1), p.Credential(number))
	}
	return nil
}
