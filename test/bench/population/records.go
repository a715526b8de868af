package population

import (
	"fmt"

	"github.com/claviger-dev/claviger/test/bench/load"
)

// Where the parts of a record are: what a request about one key has that others do not.
const (
	AtKey       = 0
	AtWorkspace = AtKey + KeyLength
	AtResource  = AtWorkspace + len("tenant-000/shop")
	AtAddress   = AtResource + len("property/0000000")
	recordSize  = AtAddress + len("110.100.100.100")
)

// Records are what requests with these keys differ in, each as if it were of the key of its
// number.
func (k Keys) Records() load.Records {
	records := make([]byte, 0, k.Count()*recordSize)
	for number := range k.Count() {
		records = append(records, k[number*KeyLength:(number+1)*KeyLength]...)
		records = append(records, WorkspaceID(number)...)
		records = append(records, Resource(number)...)
		records = append(records, Address(number)...)
	}
	return load.Records{Data: records, Length: recordSize}
}

// Field is the part of a record that begins at one of the places above.
func Field(record []byte, at int) []byte {
	ends := map[int]int{AtKey: AtWorkspace, AtWorkspace: AtResource, AtResource: AtAddress, AtAddress: recordSize}
	return record[at:ends[at]]
}

// Address is where somebody may be who has no business here: one of a million.
func Address(number int) string {
	octet := func(divisor int) int { return 100 + number/divisor%100 }
	return fmt.Sprintf("110.%d.%d.%d", octet(10_000), octet(100), octet(1))
}
